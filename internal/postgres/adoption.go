package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// ReasonAdoptionBlocked : a schema that is to be taken over cannot be taken over yet.
const ReasonAdoptionBlocked = "AdoptionBlocked"

// LedgerTable is the record of migrations in every schema, which tenants' logins may only read; package
// migrations writes it.
const LedgerTable = "tenantry_migrations"

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
		if rights := strings.Join(d.app, ", "); d.objects == "TABLES" || d.objects == "SEQUENCES" {
			grants = append(grants, "GRANT "+rights+" ON ALL "+d.objects+in)
		}
	}
	for _, o := range e.Objects {
		switch o.Kind { // one by one: some in the schema are the server's own, see adoption.sql
		case "ROUTINE":
			grants = append(grants, "GRANT EXECUTE ON ROUTINE "+o.Name+" TO "+app)
		case "TYPE":
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
