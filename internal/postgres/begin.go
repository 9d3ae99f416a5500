package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// beginSQL asks which of a tenant's names are taken, and what its statements hang on. Names are only looked
// up: in a session whose caches other tenants' migrations have just emptied, observe.sql takes ten times as
// long.
const beginSQL = `SELECT current_setting('server_version_num')::int, current_user::text, current_database()::text,
	to_regnamespace(quote_ident($1)) IS NOT NULL OR EXISTS (SELECT FROM tenantry.shared_schema WHERE schema_name = $1),
	EXISTS (SELECT FROM unnest($2::text[]) role WHERE to_regrole(quote_ident(role)) IS NOT NULL),
	to_regrole(quote_ident(NULLIF($3, ''))) IS NOT NULL,
	(SELECT string_agg(quote_ident(p), ', ' ORDER BY i) FROM unnest($4::text[]) WITH ORDINALITY u (p, i))`

// Begin is Provision for a tenant that the registry does not know, without a look before and without one
// after: it returns what Observe would. The registry's row is the fence as ever; where the schema or the UID
// has one, or a name is taken, nothing is changed, and begun is false: Provision has the words for it. It makes
// tenants with a login of their own and no reader (see Plain).
func (db *DB) Begin(ctx context.Context, t Tenant) (o Observation, begun bool, err error) {
	if err := t.validate(); err != nil || !t.Plain() {
		return o, false, err
	}
	var c *catalog
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		c = nil
		fresh, err := register(ctx, tx, db.config.Database(), t)
		if err != nil || !fresh {
			return err
		}
		c, err = db.begin(ctx, tx, t)
		return err
	})
	db.recent.changed(t.Schema)
	if errors.Is(err, errTaken) {
		return o, false, nil
	}
	if err != nil || c == nil {
		return o, false, failed(err, "cannot provision schema "+t.Schema)
	}
	db.recent.made(t, c)
	return c.observation(t), true, nil
}

// errTaken rolls the beginning of a tenant back.
var errTaken = errors.New("a name of the new tenant is taken")

// Plain says that a tenant has a login of its own and no other.
func (t Tenant) Plain() bool { return t.ClassLogin == "" && t.Reader == nil }

// begin carries out the plan for a tenant of which there is nothing, and returns what there is then.
func (db *DB) begin(ctx context.Context, tx pgx.Tx, t Tenant) (*catalog, error) {
	database := db.config.Database()
	names := TenantRoles(database, t.Schema)
	c := &catalog{Group: GroupRole(database), names: names, keeper: KeeperRole(database, t.Schema)}
	if t.MigrationSet != "" {
		c.Migrator = MigratorRole(database, t.MigrationSet)
	}
	var schemaTaken, rolesTaken bool // the shared schema's name included
	roles := []string{names.Owner, names.App, names.Second(), names.Reader(), names.SecondReader()}
	err := tx.QueryRow(ctx, beginSQL, t.Schema, roles, c.Migrator, t.searchPath()).Scan(
		&c.VersionNum, &c.Login, &c.Database, &schemaTaken, &rolesTaken, &c.HasMigrator, &c.WantPath)
	if err != nil {
		return nil, err
	}
	if schemaTaken || rolesTaken {
		return nil, errTaken
	}
	if err := c.migratorExists(t); err != nil {
		return nil, err
	}
	p := c.plan(t)
	if err := script(ctx, tx, p.statements(c)...); err != nil {
		return nil, err
	}
	app := &role{Name: names.App, Inherit: true}
	if err := tx.QueryRow(ctx, `SELECT to_regrole(quote_ident($1))::oid`, app.Name).Scan(&app.OID); err != nil {
		return nil, err
	}
	c.made, c.SchemaOwner, c.Owner, c.App = &t, &names.Owner, &role{Name: names.Owner, Inherit: true}, app
	c.Row = &registered{
		Schema: t.Schema, UID: t.UID, Namespace: t.Namespace, Name: t.Name, Owner: names.Owner, App: names.App,
		Keeper: c.keeper, State: StateActive, MigrationSet: t.MigrationSet,
	}
	return c, nil
}

// plainly says that a catalog was not read but follows from what was made, for just this tenant: there is no
// difference to plan for.
func (c *catalog) plainly(t Tenant) bool { return c.made != nil && *c.made == t }

// keepMade is how long what follows from the making of a tenant is kept at most.
const keepMade = time.Minute

// made keeps what there is of a tenant that was begun just now.
func (r *recent) made(t Tenant, c *catalog) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]sighting{}
	}
	at := time.Now()
	r.seen[t.Schema] = sighting{c, t.SharedSchema, at}
	time.AfterFunc(keepMade, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.seen[t.Schema].at.Equal(at) {
			delete(r.seen, t.Schema)
		}
	})
}
