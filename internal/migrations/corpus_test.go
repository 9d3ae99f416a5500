package migrations

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// catalog describes what a product made in a schema, without names of schemas.
const catalog = `
SELECT c.relname::text, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       replace(coalesce(pg_get_expr(d.adbin, d.adrelid), ''), $1 || '.', '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = $1::regnamespace AND c.relname !~ '^tenantry_migrations'
UNION ALL SELECT i.indexrelid::regclass::text, 'def', '', replace(pg_get_indexdef(i.indexrelid), $1 || '.', ''), i.indisvalid, ''
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = $1::regnamespace AND c.relname !~ '^tenantry_migrations'`

// Real products' published migrations, unchanged, reach their last version in three tenants of one
// database, and each tenant's schema equals what the files make when they are run one by one. That
// is done twice, because two files of Mattermost look for a constraint's name in the whole database
// and leave it out if any schema has it: the first schema has two unique constraints that no later
// one gets, whoever runs the files.
func TestRealProducts(t *testing.T) {
	// How many migrations cannot run in one transaction: Minder's two CONCURRENTLY, and one of two blocks.
	for product, wantOutside := range map[string]int{"mattermost": 0, "minder": 3} {
		t.Run(product, func(t *testing.T) {
			files := corpus(t, product)
			set, err := Load(files, Auto)
			if err != nil {
				t.Fatal(err)
			}
			outside := 0
			for _, m := range set.Migrations {
				if !m.Transactional {
					outside++
				}
			}
			if set.Format != GolangMigrate || len(files) < 100 || outside != wantOutside {
				t.Fatalf("%d files of format %s, %d not transactional, want %d", len(files), set.Format, outside, wantOutside)
			}
			onServers(t, func(t *testing.T, db *database) { db.takesProduct(t, files, set) })
		})
	}
}

func (db *database) takesProduct(t *testing.T, files []File, set *Set) {
	// One of Minder's files makes a temporary table: what docs/migrations.md tells its DBA to do.
	db.exec(t, "GRANT TEMPORARY ON DATABASE "+db.name+" TO PUBLIC")
	db.byHand(t, "byhand1", files)
	want := db.byHand(t, "byhand2", files)
	for _, name := range []string{"acme", "globex", "initech"} {
		target := db.tenant(t, name)
		result := db.apply(t, target, set, "")
		if result.To != set.Latest() || len(result.Applied) != len(set.Migrations) {
			t.Errorf("%s: at %s with %d applied, want %s and %d", name, result.To, len(result.Applied), set.Latest(), len(set.Migrations))
		}
		got := db.catalog(t, name)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-by hand +by the engine):\n%s", name, diff)
		}
	}
	t.Logf("%d files, %d migrations, version %s; %d lines of catalog in each schema", len(files), len(set.Migrations), set.Latest(), strings.Count(want, "\n")+1)
}

// corpus has a product's files written by their own module.
func corpus(t *testing.T, product string) []File {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", "-product", product, "-out", dir)
	cmd.Dir = filepath.Join("..", "..", "test", "corpus")
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run in test/corpus: %v\n%s", err, output)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []File
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{Name: e.Name(), Content: content})
	}
	return files
}

// byHand runs the files that migrate up, each as one message, in a schema of their own.
func (db *database) byHand(t *testing.T, schema string, files []File) string {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), db.admin.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	// As a role of its own: some files ask information_schema, which shows a role only what it may use.
	role := ident(db.name + "_" + schema)
	if _, err := conn.Exec(t.Context(), "CREATE ROLE "+role+"; CREATE SCHEMA "+schema+" AUTHORIZATION "+role+"; SET ROLE "+role+"; SET search_path = "+schema); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".up.sql") {
			continue
		}
		if _, err := conn.PgConn().Exec(t.Context(), string(f.Content)).ReadAll(); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	return db.catalog(t, schema)
}

func (db *database) catalog(t *testing.T, schema string) string {
	t.Helper()
	lines := strings.Split(strings.ReplaceAll(db.text(t, catalog, schema), schema+".", ""), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
