package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/postgres"
)

// bare is a program that knows what to send and sends nothing else: no look at what is there, no proof
// that it worked, no second try.
type bare struct {
	database        string
	admin, migrator *pgxpool.Pool
	files           map[string]string
	config          postgres.Config
	work            bareWork
}

// bareWork is what a bare program does otherwise than the bound: with it the table tells what of an operator's time
// no operator could save that keeps the same word.
type bareWork struct {
	// short makes schemas from the checkpoint's file.
	short bool
	// logsIn tries each tenant's password, which no other way proves.
	logsIn bool
}

// set is the name of the migration set whose login the bare program uses.
const set = "bench/app"

// newBare prepares the stage's database as the operator's DBA step does.
func newBare(b *testing.B, s *stage, connections int) *bare {
	b.Helper()
	config, err := postgres.ParseDSN(s.DSN)
	if err != nil {
		b.Fatal(err)
	}
	db, err := postgres.Open(b.Context(), config, postgres.PoolOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Bootstrap(b.Context(), "bench", ""); err != nil {
		b.Fatal(err)
	}
	return openBare(b, s, db, set, connections)
}

// openBare opens the connections of the two logins that the SQL needs. Whoever calls it closes them.
func openBare(b *testing.B, s *stage, db *postgres.DB, set string, connections int) *bare {
	b.Helper()
	migrator, err := db.EnsureMigrator(b.Context(), set)
	if err != nil {
		b.Fatal(err)
	}
	open := func(c postgres.Config) *pgxpool.Pool {
		dsn := fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable&pool_max_conns=%d&pool_min_conns=%d",
			c.User(), c.Password(), c.Host(), c.Port(), c.Database(), connections, connections)
		pool, err := pgxpool.New(b.Context(), dsn)
		if err != nil {
			b.Fatal(err)
		}
		return pool
	}
	return &bare{database: s.Name, admin: open(db.Config()), migrator: open(migrator), files: s.Files.Data, config: db.Config()}
}

// close ends its sessions. The server wakes every session, the idle ones too, for what any of them does to the catalogs:
// those of earlier runs would be charged to later ones.
func (p *bare) close() {
	p.admin.Close()
	p.migrator.Close()
}

func q(names ...string) string { return pgx.Identifier(names).Sanitize() }

// send sends statements as one message.
func send(ctx context.Context, pool *pgxpool.Pool, statements ...string) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
	return err
}

// provision makes a tenant by three messages: registry's row, roles, schema and rights; the migrations with
// their ledger, a transaction each; version and host in the registry.
func (p *bare) provision(ctx context.Context, namespace, name, schema, host string) error {
	password := postgres.NewPassword()
	verifier, err := postgres.SCRAMVerifier(password)
	if err != nil {
		return err
	}
	if err := send(ctx, p.admin, p.makeTenant(namespace, name, schema, verifier)...); err != nil {
		return err
	}
	files := p.migrate(schema)
	if p.work.short {
		files = p.checkpoint(schema)
	}
	if err := send(ctx, p.migrator, files...); err != nil {
		return err
	}
	if p.work.logsIn {
		login := p.config.WithLogin(postgres.TenantRoles(p.database, schema).App, password)
		if err := postgres.Login(ctx, login); err != nil {
			return err
		}
	}
	return send(ctx, p.admin, "BEGIN", "UPDATE tenantry.tenant SET version = '20', digest = 'digest' WHERE schema_name = '"+schema+"'",
		"INSERT INTO tenantry.domain (host, schema_name, position) VALUES ('"+host+"', '"+schema+"', 0)", "COMMIT")
}

func (p *bare) makeTenant(namespace, name, schema, verifier string) []string {
	roles, group := postgres.TenantRoles(p.database, schema), postgres.GroupRole(p.database)
	owner, app, keeper := q(roles.Owner), q(roles.App), postgres.KeeperRole(p.database, schema)
	const defaults = "ALTER DEFAULT PRIVILEGES "
	return []string{
		"BEGIN",
		fmt.Sprintf("INSERT INTO tenantry.tenant (schema_name, tenant_uid, namespace, name, owner_role, app_role, keeper_role, migration_set) VALUES ('%s', 'uid-%s', '%s', '%s', '%s', '%s', '%s', '%s')",
			schema, schema, namespace, name, roles.Owner, roles.App, keeper, set),
		"SET LOCAL ROLE " + q(keeper),
		"CREATE ROLE " + owner + " NOLOGIN INHERIT",
		"CREATE ROLE " + app + " LOGIN INHERIT PASSWORD '" + verifier + "' VALID UNTIL 'infinity'",
		"GRANT " + q(group) + " TO " + owner + ", " + app + " WITH INHERIT TRUE, SET FALSE",
		"GRANT " + owner + " TO " + q(postgres.MigratorRole(p.database, set)) + " WITH INHERIT FALSE, SET TRUE",
		"ALTER ROLE " + app + " IN DATABASE " + q(p.database) + " SET search_path = " + q(schema),
		"GRANT " + owner + " TO " + q(keeper) + " WITH INHERIT FALSE, SET TRUE",
		"RESET ROLE",
		"CREATE SCHEMA " + q(schema) + " AUTHORIZATION " + owner,
		"SET LOCAL ROLE " + owner,
		"GRANT USAGE ON SCHEMA " + q(schema) + " TO " + app,
		defaults + "GRANT DELETE, INSERT, SELECT, UPDATE ON TABLES TO " + app,
		defaults + "GRANT SELECT, UPDATE, USAGE ON SEQUENCES TO " + app,
		defaults + "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", defaults + "GRANT EXECUTE ON FUNCTIONS TO " + app,
		defaults + "REVOKE USAGE ON TYPES FROM PUBLIC", defaults + "GRANT USAGE ON TYPES TO " + app,
		"SET LOCAL ROLE " + q(keeper),
		"REVOKE " + owner + " FROM " + q(keeper),
		"COMMIT",
	}
}

// migrate is all files, each with its row in the ledger in a transaction of its own, of which the last one
// waits for the disk.
func (p *bare) migrate(schema string) (sql []string) {
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range p.files {
			if !yield(name) {
				return
			}
		}
	})
	roles := postgres.TenantRoles(p.database, schema)
	for i, name := range names {
		sql = append(sql, "BEGIN", "SET LOCAL ROLE "+q(roles.Owner), "SET LOCAL search_path = "+q(schema)+", pg_temp")
		if i < len(names)-1 {
			sql = append(sql, "SET LOCAL synchronous_commit = off")
		}
		if i == 0 {
			sql = append(sql, ledger(schema, roles)...)
		}
		sql = append(sql, p.entries(schema, name), p.files[name], "COMMIT")
	}
	return sql
}

// checkpoint is one transaction that makes what all files make, and lists them as applied.
func (p *bare) checkpoint(schema string) []string {
	roles := postgres.TenantRoles(p.database, schema)
	sql := append([]string{"BEGIN", "SET LOCAL ROLE " + q(roles.Owner), "SET LOCAL search_path = " + q(schema) + ", pg_temp"}, ledger(schema, roles)...)
	var names []string
	for name := range p.files {
		names = append(names, name)
	}
	return append(sql, p.entries(schema, names...), checkpoint(), "COMMIT")
}

func ledger(schema string, roles postgres.RoleNames) []string {
	table := q(schema, "tenantry_migrations")
	return []string{
		"CREATE TABLE " + table + ` (version text COLLATE "C" PRIMARY KEY, file text NOT NULL, checksum text NOT NULL,
	state text NOT NULL CHECK (state IN ('running', 'done')), finished integer NOT NULL, in_doubt boolean NOT NULL DEFAULT false,
	prefix text NOT NULL DEFAULT '', runner text NOT NULL DEFAULT '', applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
		"REVOKE ALL ON " + table + " FROM " + q(roles.App), "GRANT SELECT ON " + table + " TO " + q(roles.App),
	}
}

// entries are files' rows in the ledger.
func (p *bare) entries(schema string, names ...string) string {
	var rows []string
	for _, name := range names {
		rows = append(rows, entry(strings.TrimSuffix(name, "_step.sql"), name, p.files[name]))
	}
	return insert(schema, rows...)
}

func insert(schema string, rows ...string) string {
	return "INSERT INTO " + q(schema, "tenantry_migrations") + " (version, file, checksum, state, finished) VALUES " + strings.Join(rows, ", ")
}

func entry(version, name, text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("('%s', '%s', '%s', 'done', 1)", version, name, hex.EncodeToString(sum[:]))
}

// upgrade brings a schema to its next version by two messages, one for each login. The registry repeats what the
// ledger says, and need not be on disk.
func (p *bare) upgrade(ctx context.Context, schema string, n int) error {
	roles := postgres.TenantRoles(p.database, schema)
	if err := send(ctx, p.migrator, "BEGIN", "SET LOCAL ROLE "+q(roles.Owner), "SET LOCAL search_path = "+q(schema)+", pg_temp",
		insert(schema, entry(fmt.Sprintf("bare_%d", n), fmt.Sprintf("bare_%d", n), upgrade(n))), upgrade(n), "COMMIT"); err != nil {
		return err
	}
	return send(ctx, p.admin, "BEGIN", "SET LOCAL synchronous_commit = off",
		fmt.Sprintf("UPDATE tenantry.tenant SET version = 'bare_%d', digest = 'digest' WHERE schema_name = '%s'", n, schema), "COMMIT")
}
