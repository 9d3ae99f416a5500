package frameworks

import (
	"strconv"
	"strings"
)

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

// table says where a framework records, and how its rows are read: as an entry and its state, so that the
// last row of an entry is the one that counts.
type table struct {
	name         string
	columns      []string
	entry, state string
	order        string
}

// Names, columns and what a row means were read in the frameworks' own sources, which each entry names.
// A table can be called otherwise in its framework's settings; that is not read.
var tables = map[Framework]table{
	// Django: django/db/migrations/recorder.py. A row always means applied; what is unapplied is deleted.
	// A squashed migration has a row beside those of what it replaces (executor.py: record_migration, and
	// check_replacements at every run), until `migrate --prune` deletes the latter.
	Django: {name: "django_migrations", columns: []string{"app", "name"}, entry: "app || '.' || name", state: "'applied'"},
	// Rails (read at 8.2): activerecord/lib/active_record/schema_migration.rb. Versions are text, compared as numbers
	// (integer_versions); a rollback deletes the row.
	Rails: {name: "schema_migrations", columns: []string{"version"}, entry: "version", state: "'applied'"},
	// Flyway (read at 13.0): PostgreSQLDatabase.getRawCreateScript; MigrationInfoServiceImpl for what rows mean: of a
	// version the last one counts, a DELETE (by repair) or UNDO_... takes it back, and everything up to the newest
	// baseline, be it of the command (BASELINE) or of a file (BaselineMigrationType: SQL_BASELINE, JDBC_BASELINE),
	// is never run. One that failed stops Flyway, repeatable or not (MigrationInfoImpl.validate, DbMigrate); those
	// that are repeatable have no version and are told apart by their description.
	Flyway: {
		name: "flyway_schema_history", columns: []string{"installed_rank", "version", "description", "type", "success"},
		entry: "coalesce(version, CASE WHEN type <> 'SCHEMA' THEN 'R__' || description END)",
		state: "CASE WHEN NOT success THEN 'broken' WHEN pg_catalog.right(type, 8) = 'BASELINE' THEN 'baseline' WHEN type LIKE 'UNDO%' OR type = 'DELETE' THEN 'undone' ELSE 'applied' END",
		order: "installed_rank",
	},
	// Prisma (prisma-engines): schema-engine/connectors/sql-schema-connector/src/sql_migration_persistence.rs; and
	// schema-engine/commands/src/commands/apply_migrations.rs for what rows mean, in whatever order they came: any
	// that neither finished nor was rolled back stops Prisma, and one that was not rolled back is applied.
	Prisma: {
		name: "_prisma_migrations", columns: []string{"migration_name", "finished_at", "rolled_back_at"}, entry: "migration_name",
		state: "CASE WHEN rolled_back_at IS NOT NULL THEN 'undone' WHEN finished_at IS NULL THEN 'broken' ELSE 'applied' END",
		order: "rolled_back_at IS NULL, finished_at IS NULL",
	},
	// Alembic (read at 1.19): alembic/ddl/impl.py (version_table_impl) and alembic/runtime/migration.py (HeadMaintainer).
	// There is a row for each head, and none for what is below one or is a dependency (depends_on) of one.
	Alembic: {name: "alembic_version", columns: []string{"version_num"}, entry: "version_num", state: "'applied'"},
	// goose (read at 3.29): internal/dialects/postgres.go. goose 3 deletes the rows of what goes down; before, another row
	// said is_applied = false, and the last one of a version counts (migrate.go: EnsureDBVersionContext).
	Goose: {
		name: "goose_db_version", columns: []string{"id", "version_id", "is_applied"}, entry: "version_id",
		state: "CASE WHEN is_applied THEN 'applied' ELSE 'undone' END", order: "id",
	},
	// golang-migrate (read at 4.19): database/pgx/v5/pgx.go (ensureVersionTable, SetVersion). There is one row; dirty is set
	// before a migration begins and stays if it fails.
	GolangMigrate: {
		name: "schema_migrations", columns: []string{"version", "dirty"}, entry: "version",
		state: "CASE WHEN dirty THEN 'broken' ELSE 'applied' END",
	},
}

// Table returns the name of a framework's table, "" for a framework that is not known.
func Table(f Framework) string { return tables[f].name }

// maxRows bounds what is read; who has more is no product's record.
const maxRows = 20000

// read selects entries and states.
func (t table) read(schema string) string {
	sql := "SELECT pg_catalog.left((" + t.entry + ")::pg_catalog.text, " + strconv.Itoa(maxEntry+1) + "), " + t.state + " FROM ONLY " + ident(schema, t.name) + " WHERE (" + t.entry + ") IS NOT NULL"
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
