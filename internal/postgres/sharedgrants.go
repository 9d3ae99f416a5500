package postgres

import (
	"context"
	_ "embed" // for the query
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

//go:embed sharedgrants.sql
var sharedGrantsSQL string

// ReasonInvalidGrant : a grant on the shared schema names a table or privilege that does not exist.
const ReasonInvalidGrant = "InvalidGrant"

// sharedPrivileges are what may be granted to tenants on a shared table.
var sharedPrivileges = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"}

// TableGrant is what tenants may do on one table of the shared schema.
type TableGrant struct {
	Table string
	// Privileges are of SELECT, INSERT, UPDATE, DELETE and REFERENCES.
	Privileges []string
}

// sharedRights is what sharedgrants.sql returns.
type sharedRights struct {
	Owner     *string                        `json:"owner"`
	Tables    []string                       `json:"tables"`
	Sequences []struct{ Name, Table string } `json:"sequences"`
	Grants    []struct {
		Object, Privilege, Column string
		Public                    bool
	} `json:"grants"`
}

// SetSharedGrants gives all tenants of the database exactly these rights on the tables of the
// shared schema; other rights of theirs, and PUBLIC's, are taken. Sequences that belong to columns of a
// table with INSERT come with it. A table that does not exist is fault.Invalid, and nothing
// changes then. When nothing differs it writes nothing.
func (db *DB) SetSharedGrants(ctx context.Context, schema string, grants []TableGrant) (changed bool, err error) {
	if err := validateGrants(grants); err != nil {
		return false, err
	}
	changed, err = db.setSharedGrants(ctx, schema, grants)
	return changed, failed(err, "cannot set the tenants' rights on the shared schema "+schema)
}

func validateGrants(grants []TableGrant) error {
	for _, g := range grants {
		if g.Table == LedgerTable {
			return fault.NewInvalid(ReasonInvalidGrant, "table %s of the shared schema is Tenantry's own and cannot be granted", LedgerTable)
		}
		for _, p := range g.Privileges {
			if !slices.Contains(sharedPrivileges, p) {
				return fault.NewInvalid(ReasonInvalidGrant, "privilege %q on shared table %q is not one of %s", p, g.Table, strings.Join(sharedPrivileges, ", "))
			}
		}
	}
	return nil
}

func (db *DB) setSharedGrants(ctx context.Context, schema string, grants []TableGrant) (changed bool, err error) {
	group := GroupRole(db.config.Database())
	read := func(q querier) (r sharedRights, todo []string, err error) {
		if err := q.QueryRow(ctx, sharedGrantsSQL, schema, group).Scan(&r); err != nil {
			return r, nil, err
		}
		if r.Owner == nil {
			return r, nil, notProvisioned(schema)
		}
		todo, err = r.statements(schema, group, grants)
		return r, todo, err
	}
	_, todo, err := read(db.pool)
	if err != nil || len(todo) == 0 {
		return false, err
	}
	return true, db.inTx(ctx, func(tx pgx.Tx) error {
		// Two that compare at once would both be right and both be too late.
		if _, err := tx.Exec(ctx, `SELECT FROM tenantry.shared_schema WHERE schema_name = $1 FOR UPDATE`, schema); err != nil {
			return err
		}
		r, todo, err := read(tx)
		if err != nil {
			return err
		}
		return script(ctx, tx, append([]string{"SET LOCAL ROLE " + ident(*r.Owner)}, todo...)...)
	})
}

// statements compares object by object. Rights on a single column are never wanted.
func (r *sharedRights) statements(schema, group string, grants []TableGrant) ([]string, error) {
	wanted, err := r.wanted(schema, grants)
	if err != nil {
		return nil, err
	}
	var todo []string
	have := map[string][]string{}
	for _, g := range r.Grants {
		switch on := r.on(schema, g.Object); {
		case g.Public:
			todo = append(todo, "REVOKE ALL ON "+on+" FROM PUBLIC")
		case g.Column != "":
			todo = append(todo, "REVOKE "+g.Privilege+" ("+ident(g.Column)+") ON "+on+" FROM "+ident(group))
		case !slices.Contains(wanted[g.Object], g.Privilege):
			todo = append(todo, "REVOKE "+g.Privilege+" ON "+on+" FROM "+ident(group))
		default:
			have[g.Object] = append(have[g.Object], g.Privilege)
		}
	}
	for _, object := range slices.Sorted(maps.Keys(wanted)) {
		if missing := without(wanted[object], have[object]); len(missing) > 0 {
			todo = append(todo, "GRANT "+strings.Join(missing, ", ")+" ON "+r.on(schema, object)+" TO "+ident(group))
		}
	}
	return todo, nil
}

func (r *sharedRights) on(schema, object string) string {
	for _, s := range r.Sequences {
		if s.Name == object {
			return "SEQUENCE " + ident(schema, object)
		}
	}
	return "TABLE " + ident(schema, object)
}

func (r *sharedRights) wanted(schema string, grants []TableGrant) (map[string][]string, error) {
	wanted := map[string][]string{}
	for _, g := range grants {
		if !slices.Contains(r.Tables, g.Table) {
			return nil, fault.NewInvalid(ReasonInvalidGrant, "the shared schema %q has no table %q", schema, g.Table)
		}
		wanted[g.Table] = slices.Compact(slices.Sorted(slices.Values(append(wanted[g.Table], g.Privileges...))))
	}
	for _, s := range r.Sequences {
		if slices.Contains(wanted[s.Table], "INSERT") {
			wanted[s.Name] = []string{"SELECT", "USAGE"}
		}
	}
	return wanted, nil
}
