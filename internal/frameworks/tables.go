package frameworks

import "strings"

// Framework is who writes the table.
type Framework string

// The frameworks whose tables are known.
const (
	Django        Framework = "Django"
	Rails         Framework = "Rails"
	Flyway        Framework = "Flyway"
	Prisma        Framework = "Prisma"
	Alembic       Framework = "Alembic"
	Goose         Framework = "Goose"
	GolangMigrate Framework = "GolangMigrate"
)

// table says where a framework records, and how its rows are read: as an entry and its state, in the
// order in which they were written where a later row can take an earlier one back.
type table struct {
	name         string
	columns      []string
	entry, state string
	order        string
}

// Names and columns are those of Django 1.7 to 5 (db/migrations/recorder.py), Rails 4 to 8
// (ActiveRecord::SchemaMigration), Flyway 5 to 11 (PostgreSQLDatabase.getRawCreateScript), Prisma 2.17
// to 6 (schema-engine's sql_migration_persistence.rs), Alembic (runtime/migration.py), goose 3
// (internal/dialects/postgres.go) and golang-migrate 4 (database/pgx/v5). Each can be called otherwise
// in its framework's settings; that is not read.
var tables = map[Framework]table{
	Django: {name: "django_migrations", columns: []string{"app", "name"}, entry: "app || '.' || name", state: "'applied'"},
	Rails:  {name: "schema_migrations", columns: []string{"version"}, entry: "version", state: "'applied'"},
	Flyway: {
		name: "flyway_schema_history", columns: []string{"installed_rank", "version", "type", "success"}, entry: "version",
		state: "CASE WHEN NOT success THEN 'broken' WHEN type = 'BASELINE' THEN 'baseline' WHEN type LIKE 'UNDO%' OR type = 'DELETE' THEN 'undone' ELSE 'applied' END",
		order: "installed_rank",
	},
	Prisma: {
		name: "_prisma_migrations", columns: []string{"migration_name", "started_at", "finished_at", "rolled_back_at"}, entry: "migration_name",
		state: "CASE WHEN rolled_back_at IS NOT NULL THEN 'undone' WHEN finished_at IS NULL THEN 'broken' ELSE 'applied' END",
		order: "started_at",
	},
	Alembic: {name: "alembic_version", columns: []string{"version_num"}, entry: "version_num", state: "'applied'"},
	Goose: {
		name: "goose_db_version", columns: []string{"id", "version_id", "is_applied"}, entry: "version_id",
		state: "CASE WHEN is_applied THEN 'applied' ELSE 'undone' END", order: "id",
	},
	GolangMigrate: {
		name: "schema_migrations", columns: []string{"version", "dirty"}, entry: "version",
		state: "CASE WHEN dirty THEN 'broken' ELSE 'applied' END",
	},
}

// maxRows bounds what is read; who has more is no product's record.
const maxRows = 20000

// read selects entries and states.
func (t table) read(schema string) string {
	sql := "SELECT (" + t.entry + ")::pg_catalog.text, " + t.state + " FROM ONLY " + ident(schema, t.name) + " WHERE (" + t.entry + ") IS NOT NULL"
	if t.order != "" {
		sql += " ORDER BY " + t.order
	}
	return sql + " LIMIT " + limit
}

// guard fails by a division by zero unless the table is absent, or a plain one of the owner whose
// columns are of PostgreSQL's own types: a view, a rule, a policy or a type with a function behind it
// would run what a tenant wrote on the reader's session.
func (t table) guard(schema, owner string) string {
	columns := make([]string, len(t.columns))
	for i, c := range t.columns {
		columns[i] = literal(c)
	}
	return `SELECT 1 / CASE WHEN relkind = 'r' AND NOT relhasrules AND NOT relrowsecurity AND relowner = ` + literal(ident(owner)) + `::pg_catalog.regrole
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
		WHERE a.attrelid = c.oid AND a.attname IN (` + strings.Join(columns, ", ") + `)
			AND (y.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace OR a.attgenerated <> '')) THEN 1 ELSE 0 END
FROM pg_catalog.pg_class c WHERE oid = pg_catalog.to_regclass(` + literal(ident(schema, t.name)) + `)`
}
