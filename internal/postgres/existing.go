package postgres

import (
	"context"
	_ "embed" // for the query
	"fmt"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/fault"
)

//go:embed adoption.sql
var adoptionSQL string

// Found is what there is of a schema that the registry may not know.
type Found struct {
	Exists bool
	// Empty: nothing is in it.
	Empty  bool
	tables []string
}

// HasTable tells whether the schema has a table of that name.
func (f Found) HasTable(name string) bool { return slices.Contains(f.tables, name) }

// FindSchema looks what there is of a schema, whoever has it. It never writes.
func (db *DB) FindSchema(ctx context.Context, schema string) (Found, error) {
	e, err := readExisting(ctx, db.pool, schema)
	if err != nil {
		return Found{}, failed(err, "cannot look at schema "+schema)
	}
	return Found{Exists: e.Owner != nil, Empty: len(e.Objects) == 0, tables: e.Tables}, nil
}

// existing is what adoption.sql returns.
type existing struct {
	VersionNum int
	Login      string
	// Inherits: the login is INHERIT.
	Inherits bool
	// Owner of the schema; nil where there is none.
	Owner *string
	// Scratch: migrations are tried in it.
	Scratch    bool
	Owners     []owner
	Objects    []object
	Tables     []string
	Extensions []string

	name string
}

// owner of something in the schema. Usable: the operator has its rights.
type owner struct {
	Name          string
	Super, Usable bool
}

// object has an owner of its own. Name is as the server writes it in SQL.
type object struct{ Kind, Name, Owner string }

const multirange = "MULTIRANGE"

func (o object) String() string { return strings.ToLower(o.Kind) + " " + o.Name }

// alter begins the statement that changes the object.
func (o object) alter() string {
	if o.Kind == multirange {
		return "ALTER TYPE " + o.Name
	}
	return "ALTER " + o.Kind + " " + o.Name
}

func readExisting(ctx context.Context, q querier, schema string) (e existing, err error) {
	err = q.QueryRow(ctx, adoptionSQL, schema).Scan(&e)
	e.name = schema
	return e, err
}

// maxMends bounds the statements in a message.
const maxMends = 10

// blocked says what keeps the operator from taking the schema over, and which statements mend it.
func (e *existing) blocked(t Tenant) error {
	var why, mend []string
	target := "public"
	if t.SharedSchema != "" {
		target = t.SharedSchema
	}
	for _, x := range e.Extensions {
		why = append(why, fmt.Sprintf("extension %s is in it, which would go with it", x))
		mend = append(mend, "ALTER EXTENSION "+ident(x)+" SET SCHEMA "+ident(target))
	}
	for _, o := range e.Owners {
		if o.Name == e.Login || o.Usable && !isOurs(o.Name) {
			continue
		}
		has := e.has(o.Name)
		what := fmt.Sprintf("role %s owns %s", o.Name, has[0])
		if len(has) > 1 {
			what += fmt.Sprintf(" and %d more", len(has)-1)
		}
		if mayBeGranted(o) {
			why = append(why, what+", and login "+e.Login+" has not its rights")
			mend = append(mend, e.grant(o.Name)...)
			continue
		}
		why = append(why, what+", and nobody should be given the rights of that role")
		for _, object := range has {
			mend = append(mend, object.alter()+" OWNER TO "+ident(e.Login))
		}
	}
	if len(why) == 0 {
		return nil
	}
	more := ""
	if len(mend) > maxMends {
		more = fmt.Sprintf(" (and %d more of the kind)", len(mend)-maxMends)
		mend = mend[:maxMends]
	}
	return fault.NewWaiting(ReasonAdoptionBlocked, waitForMend, "schema %q cannot be adopted yet: %s. Run as a superuser: %s;%s",
		t.Schema, strings.Join(why, "; "), strings.Join(mend, "; "), more)
}

// mayBeGranted : not a superuser, a role of PostgreSQL's own, or one of the operator's, such as another
// tenant's.
func mayBeGranted(o owner) bool {
	return !o.Super && !isOurs(o.Name) && !strings.HasPrefix(o.Name, "pg_")
}

// has is what a role owns of the schema and in it, the schema first.
func (e *existing) has(role string) (all []object) {
	if *e.Owner == role {
		all = append(all, object{"SCHEMA", ident(e.name), role})
	}
	for _, o := range e.Objects {
		if o.Owner == role {
			all = append(all, o)
		}
	}
	return all
}

// grant lets the operator's login have a role's rights, for as long as the adoption takes.
func (e *existing) grant(role string) []string {
	grant := "GRANT " + ident(role) + " TO " + ident(e.Login)
	if e.VersionNum >= version16 {
		return []string{grant + " WITH INHERIT TRUE, SET FALSE"}
	}
	if !e.Inherits {
		return []string{grant, "ALTER ROLE " + ident(e.Login) + " INHERIT"}
	}
	return []string{grant}
}
