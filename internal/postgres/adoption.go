package postgres

import (
	"context"
	_ "embed" // for the query
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// ReasonAdoptionBlocked : a schema that is to be taken over cannot be taken over yet.
const ReasonAdoptionBlocked = "AdoptionBlocked"

//go:embed adoption.sql
var adoptionSQL string

// LedgerTable is the record of migrations in a tenant's schema, which its login may only read.
const LedgerTable = "tenantry_migrations"

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

// Holder is the Tenant to which a schema belongs by the registry's word.
type Holder struct{ Namespace, Name string }

// Holders returns those of the schemas that the registry knows.
func (db *DB) Holders(ctx context.Context, schemas []string) (map[string]Holder, error) {
	rows, err := db.pool.Query(ctx, `SELECT schema_name, namespace, name FROM tenantry.tenant WHERE schema_name = ANY ($1)`, schemas)
	if err != nil {
		return nil, failed(err, "cannot read the registry")
	}
	holders := map[string]Holder{}
	var schema string
	var h Holder
	_, err = pgx.ForEachRow(rows, []any{&schema, &h.Namespace, &h.Name}, func() error {
		holders[schema] = h
		return nil
	})
	return holders, failed(err, "cannot read the registry")
}

// TakeOver makes a schema that was there before, and all that is in it, t's: in one transaction it registers
// the schema, makes the roles, gives every object to the owner role, and gives t's login the rights that it has
// on what is new. The registry keeps the baseline, see Observation. That the schema is t's the caller must have
// from whoever answers for the database: the registry cannot know.
//
// A schema that is registered as t's already is left as it is. Everything is looked at before anything is
// changed: what somebody must mend first is AdoptionBlocked (Waiting), with the statements that do. Other
// faults are Provision's. The login gets no password here.
func (db *DB) TakeOver(ctx context.Context, t Tenant, baseline string) error {
	if err := t.validate(); err != nil {
		return err
	}
	defer db.recent.changed(t.Schema)
	err := db.inTx(ctx, func(tx pgx.Tx) error { return db.takeOver(ctx, tx, t, baseline) })
	return failed(err, "cannot adopt schema "+t.Schema)
}

func (db *DB) takeOver(ctx context.Context, tx pgx.Tx, t Tenant, baseline string) error {
	fresh, err := register(ctx, tx, db.config.Database(), t)
	if err != nil {
		return err
	}
	row, err := lockRow(ctx, tx, t.UID, t.Schema)
	switch {
	case row == nil && err == nil: // the UID stands in another row
		return fault.NewInvalid(ReasonSchemaNameTaken, "the Tenant already has another schema in this database")
	case row != nil && (err != nil || row.State != StateActive):
		return row.refusal(t)
	case err != nil || !fresh:
		return err
	}
	c, err := readCatalog(ctx, tx, db.config.Database(), t)
	if err != nil {
		return err
	}
	e, err := readExisting(ctx, tx, t.Schema)
	if err != nil {
		return err
	}
	if err := c.mayTakeOver(t, e); err != nil {
		return err
	}
	if err := db.changeOwner(ctx, tx, c.plan(t), c, e); err != nil {
		return err
	}
	// What is the owner's own by now has rights to be set as for any tenant.
	if c, err = readCatalog(ctx, tx, db.config.Database(), t); err != nil {
		return err
	}
	p := c.plan(t)
	if err := script(ctx, tx, append(p.statements(c), e.rights(c)...)...); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, setAdoptedSQL, t.Schema, baseline); err != nil {
		return err
	}
	return db.confirmTakeOver(ctx, tx, t, c.names.Owner)
}

// changeOwner makes the roles and gives the schema and what is in it to the owner role. For that long the
// operator's login has that role's rights beside those of the present owners: both are needed.
func (db *DB) changeOwner(ctx context.Context, tx pgx.Tx, p plan, c *catalog, e existing) error {
	operator, role := ident(c.Login), ident(c.names.Owner)
	inherit := ""
	if c.VersionNum >= version16 {
		inherit = " WITH INHERIT TRUE, SET TRUE"
	}
	err := script(ctx, tx, slices.Concat(takeOverSettings,
		[]string{"SET LOCAL ROLE " + ident(c.keeper)}, sqlOf(p.keeper), []string{"GRANT " + role + " TO " + operator + inherit, "RESET ROLE"},
		[]string{"ALTER SCHEMA " + ident(e.name) + " OWNER TO " + role, "GRANT CREATE, USAGE ON SCHEMA " + ident(e.name) + " TO " + role},
		e.giveTo(c.names.Owner, multirange))...)
	if err != nil {
		return err
	}
	// Some servers give a multirange with its range, and refuse to give it alone.
	if e, err = readExisting(ctx, tx, e.name); err != nil {
		return err
	}
	return script(ctx, tx, slices.Concat(e.giveTo(c.names.Owner, ""),
		[]string{"SET LOCAL ROLE " + ident(c.keeper), "REVOKE " + role + " FROM " + operator, "RESET ROLE"})...)
}

// confirmTakeOver sees that nothing of the schema is anybody else's, and that nothing is left to mend.
func (db *DB) confirmTakeOver(ctx context.Context, tx pgx.Tx, t Tenant, owner string) error {
	e, err := readExisting(ctx, tx, t.Schema)
	if err != nil {
		return err
	}
	for _, o := range e.Objects {
		if o.Owner != owner {
			return fault.NewWaiting(ReasonAdoptionBlocked, waitForMend, "%s still belongs to %s; is somebody at work in schema %q?", o, o.Owner, t.Schema)
		}
	}
	return confirm(ctx, tx, db.config.Database(), t)
}

const setAdoptedSQL = `UPDATE tenantry.tenant SET adopted_at = now(), baseline = $2 WHERE schema_name = $1`

// takeOverSettings bound the locks: an application that is at work waits behind them.
var takeOverSettings = []string{"SET LOCAL lock_timeout = '2s'", "SET LOCAL statement_timeout = '5min'"}

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

// giveTo gives a role what is not yet its own, but what is of one kind.
func (e *existing) giveTo(role, but string) (alter []string) {
	for _, o := range e.Objects {
		if o.Kind != but && o.Owner != role {
			alter = append(alter, o.alter()+" OWNER TO "+ident(role))
		}
	}
	return alter
}

// rights are what the login has by default privileges on what is new, given on what is there. The reader's
// come with the plan.
func (e *existing) rights(c *catalog) []string {
	in, app := " IN SCHEMA "+ident(c.Row.Schema)+" TO "+ident(c.names.App), ident(c.names.App)
	var grants []string
	for _, d := range defaultRights {
		objects := d.objects
		switch objects {
		case "TYPES":
			continue
		case "FUNCTIONS":
			objects = "ROUTINES" // procedures, too
		}
		grants = append(grants, "GRANT "+strings.Join(d.app, ", ")+" ON ALL "+objects+in)
	}
	for _, o := range e.Objects {
		if o.Kind == "TYPE" {
			grants = append(grants, "GRANT USAGE ON TYPE "+o.Name+" TO "+app)
		}
	}
	if slices.Contains(e.Tables, LedgerTable) {
		ledger := ident(c.Row.Schema, LedgerTable)
		grants = append(grants, "REVOKE ALL ON "+ledger+" FROM PUBLIC, "+app, "GRANT SELECT ON "+ledger+" TO "+app)
	}
	return actingAs(c.keeper, c.VersionNum, c.names.Owner, nil, append([]string{"SET LOCAL ROLE " + ident(c.names.Owner)}, grants...)...)
}

// mayTakeOver holds for roles what Provision asks of a new tenant, and for the schema what TakeOver does.
func (c *catalog) mayTakeOver(t Tenant, e existing) error {
	without := *c
	without.SchemaOwner = nil
	if err := without.mayBegin(t); err != nil {
		return err
	}
	switch {
	case e.Owner == nil:
		return fault.NewWaiting(ReasonAdoptionBlocked, waitForMend, "there is no schema %q in database %s that could be adopted", t.Schema, c.Database)
	case e.Scratch:
		return fault.NewInvalid(ReasonSchemaNameTaken, "schema %q is one in which migrations are tried", t.Schema)
	}
	return e.blocked(t)
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
