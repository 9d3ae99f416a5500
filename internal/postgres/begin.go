package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/fault"
)

// beginSQL asks what stands in the way of a new tenant, and what its statements hang on. Names are only
// looked up: in a session whose caches other tenants' migrations have just emptied, observe.sql takes ten times
// as long.
const beginSQL = `SELECT current_setting('server_version_num')::int, current_user::text, current_database()::text,
	EXISTS (SELECT FROM tenantry.tenant WHERE schema_name = $1) OR EXISTS (SELECT FROM tenantry.tenant WHERE tenant_uid = $5)
		OR to_regnamespace(quote_ident($1)) IS NOT NULL OR EXISTS (SELECT FROM tenantry.shared_schema WHERE schema_name = $1)
		OR EXISTS (SELECT FROM unnest($2::text[]) role WHERE to_regrole(quote_ident(role)) IS NOT NULL),
	to_regrole(quote_ident(NULLIF($3, ''))) IS NOT NULL,
	(SELECT string_agg(quote_ident(p), ', ' ORDER BY i) FROM unnest($4::text[]) WITH ORDINALITY u (p, i))`

// Begin is Provision for a tenant that the registry does not know: one message, after a look at the names alone,
// and none after it. It returns what Observe would. The registry's row is the fence as ever; where the schema or
// the UID has one, or a name is taken, nothing is changed, and begun is false: Provision has the words for it. It
// makes tenants with a login of their own and no reader (see Plain).
//
// When nothing stands in the way, password is asked for the verifier with which the login is made, which can log
// in at once then. It is asked once, and never again for what was made; its error is returned, and nothing made.
// Nil, or "", makes a login without.
func (db *DB) Begin(ctx context.Context, t Tenant, password func(RoleNames) (verifier string, err error)) (o Observation, begun bool, err error) {
	if err := t.validate(); err != nil || !t.Plain() {
		return o, false, err
	}
	what := "cannot provision schema " + t.Schema
	c, err := db.vacancy(ctx, t)
	if err != nil || c == nil {
		return o, false, failed(err, what)
	}
	if password != nil {
		if c.verifier, err = password(c.names); err != nil {
			return o, false, err
		}
		if c.verifier != "" && !isVerifier(c.verifier) {
			return o, false, fault.NewInvalid(ReasonInvalidConnection, "%s: its password is no SCRAM verifier", what)
		}
	}
	begun, err = db.begin(ctx, t, c)
	db.recent.changed(t.Schema)
	if err != nil || !begun {
		return o, false, failed(err, what)
	}
	db.recent.made(t, c)
	return c.observation(t), true, nil
}

// Plain says that a tenant has a login of its own and no other.
func (t Tenant) Plain() bool { return t.ClassLogin == "" && t.Reader == nil }

// vacancy returns the catalog of a tenant of which there is nothing, nil where there is something.
func (db *DB) vacancy(ctx context.Context, t Tenant) (*catalog, error) {
	database := db.config.Database()
	names := TenantRoles(database, t.Schema)
	c := &catalog{Group: GroupRole(database), names: names, keeper: KeeperRole(database, t.Schema)}
	if t.MigrationSet != "" {
		c.Migrator = MigratorRole(database, t.MigrationSet)
	}
	var taken bool
	roles := []string{names.Owner, names.App, names.Second(), names.Reader(), names.SecondReader()}
	err := db.pool.QueryRow(ctx, beginSQL, t.Schema, roles, c.Migrator, t.searchPath(), t.UID).Scan(
		&c.VersionNum, &c.Login, &c.Database, &taken, &c.HasMigrator, &c.WantPath)
	if err != nil || taken {
		return nil, err
	}
	return c, c.migratorExists(t)
}

// begin makes what is planned for a tenant of which there is nothing. All of it is one transaction, and fails
// where anything of it came to be since the look.
func (db *DB) begin(ctx context.Context, t Tenant, c *catalog) (begun bool, err error) {
	p := c.plan(t)
	text := joinStatements(slices.Concat(c.registration(t), p.statements(c),
		[]string{"SELECT pg_catalog.to_regrole(pg_catalog.quote_ident(" + literal(c.names.App) + "))::pg_catalog.oid"}))
	oid, err := db.sendAlone(ctx, text)
	if isTaken(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	number, err := strconv.ParseUint(oid, 10, 32)
	if err != nil {
		return false, fmt.Errorf("the login that was made has no number: %w", err)
	}
	c.App = &role{Name: c.names.App, OID: uint32(number), Inherit: true, Login: c.verifier != ""}
	c.made, c.SchemaOwner, c.Owner = &t, &c.names.Owner, &role{Name: c.names.Owner, Inherit: true}
	c.Row = &registered{
		Schema: t.Schema, UID: t.UID, Namespace: t.Namespace, Name: t.Name, Owner: c.names.Owner, App: c.names.App,
		Keeper: c.keeper, State: StateActive, MigrationSet: t.MigrationSet,
	}
	return true, nil
}

// registration is the registry's row, within the bound of the database: the last statement divides by zero
// where that is full.
func (c *catalog) registration(t Tenant) []string {
	values := []string{t.Schema, t.UID, t.Namespace, t.Name, c.names.Owner, c.names.App, c.keeper, t.MigrationSet}
	for i := range values {
		values[i] = literal(values[i])
	}
	insert := "INSERT INTO tenantry.tenant (schema_name, tenant_uid, namespace, name, owner_role, app_role, keeper_role, migration_set) VALUES (" +
		strings.Join(values, ", ") + ")"
	if t.MaxTenants == 0 {
		return []string{insert}
	}
	return []string{
		"SELECT FROM tenantry.identity FOR UPDATE", insert,
		fmt.Sprintf("SELECT 1 / CASE WHEN count(*) <= %d THEN 1 ELSE 0 END FROM tenantry.tenant", t.MaxTenants),
	}
}

// sendAlone sends a message that is a transaction of its own, and returns the one value of its last statement.
func (db *DB) sendAlone(ctx context.Context, text string) (value string, err error) {
	conflict := func(err error) bool { return CauseOf(err) == Conflict }
	err = again(ctx, conflict, func() (err error) {
		value, err = db.sendOnce(ctx, text)
		return err
	})
	return value, err
}

func (db *DB) sendOnce(ctx context.Context, text string) (string, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Release()
	results, err := conn.Conn().PgConn().Exec(ctx, text).ReadAll()
	if err != nil {
		return "", err
	}
	rows := results[len(results)-1].Rows
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("the server's last answer has %d rows", len(rows))
	}
	return string(rows[0][0]), nil
}

// isTaken says that the beginning of a tenant met what was there before, or a full database.
func isTaken(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"23505", "42710", "42P06", "22012"}, pg.Code)
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
