// Package product_test applies the sample product's SQL to real servers under an owner role and
// works with it as a login that has USAGE and DML and nothing else, not even EXECUTE on the
// product's functions: less than any application gets.
package product_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/test/platform"
)

var (
	fileName = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)
	// concurrently marks a file that cannot run in a transaction.
	concurrently = regexp.MustCompile(`(?m)^CREATE INDEX CONCURRENTLY`)
)

// configMapLimit is etcd's bound on one object (1.5 MiB) less room for metadata.
const configMapLimit = 1 << 20

func TestFilesAreNumberedAndShipped(t *testing.T) {
	raw, err := os.ReadFile("kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		ConfigMapGenerator []struct {
			Name  string
			Files []string
		}
	}
	if err := yaml.Unmarshal(raw, &k); err != nil {
		t.Fatal(err)
	}
	shipped := map[string][]string{}
	for _, g := range k.ConfigMapGenerator {
		shipped[g.Name] = g.Files
	}
	want := map[string][]string{"tasklane-migrations": files(t, "."), "tasklane-shared-migrations": files(t, "shared")}
	if diff := cmp.Diff(want, shipped); diff != "" {
		t.Errorf("files in the ConfigMaps (-on disk +shipped):\n%s", diff)
	}
	for name, paths := range want {
		size := 0
		for i, path := range paths {
			match := fileName.FindStringSubmatch(filepath.Base(path))
			if match == nil || match[1] != fmt.Sprintf("%04d", i+1) {
				t.Errorf("%s: file %d is %s, want the number %04d and no gap", name, i+1, path, i+1)
			}
			size += len(read(t, path))
		}
		if size > configMapLimit {
			t.Errorf("%s holds %d bytes, a ConfigMap takes %d", name, size, configMapLimit)
		}
	}
}

func TestProduct(t *testing.T) {
	for _, major := range []int{15, 18} {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			t.Parallel()
			server, err := platform.StartPostgres(t.Context(), platform.PostgresMajor(major))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := server.Stop(); err != nil {
					t.Error(err)
				}
			})
			p := &product{dsn: server.AdminDSN()}
			p.shared(t)
			p.tenant(t, "acme", false)
			p.tenant(t, "globex", true)

			t.Run("catalog", p.catalogIsSound)
			t.Run("work", p.appWorks)
			t.Run("numbers", p.numbersAreUnique)
			t.Run("refusals", p.appIsRefused)
			t.Run("path", p.triggersNeedNoPath)
			t.Run("neighbour", p.neighbourSeesNothing)
		})
	}
}

// product is a database with the product in it.
type product struct{ dsn string }

// session opens a session of a role, with the search_path that it has in production.
func (p *product) session(t *testing.T, role, path string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if role != "" {
		exec(t, conn, "SET SESSION AUTHORIZATION "+role)
	}
	exec(t, conn, "SET search_path = "+path)
	return conn
}

func (p *product) app(t *testing.T, tenant string) *pgx.Conn {
	t.Helper()
	return p.session(t, tenant+"_app", tenant+", shared")
}

// shared makes the shared schema and gives tenants what the sample's TenantDatabase gives them.
func (p *product) shared(t *testing.T) {
	admin := p.session(t, "", "pg_catalog")
	exec(t, admin, `
		CREATE ROLE tenants NOLOGIN;
		CREATE ROLE shared_owner NOLOGIN;
		CREATE SCHEMA shared AUTHORIZATION shared_owner;
		GRANT USAGE ON SCHEMA shared TO tenants`)
	owner := p.session(t, "shared_owner", "shared")
	for _, path := range files(t, "shared") {
		apply(t, owner, path)
	}
	exec(t, admin, "GRANT SELECT ON shared.plans, shared.feature_flags TO tenants")
}

// tenant makes a schema with its roles and migrates it, either file by file or, as a new tenant
// is, with all files up to the next non-transactional one in one transaction.
func (p *product) tenant(t *testing.T, name string, together bool) {
	exec(t, p.session(t, "", "pg_catalog"), strings.ReplaceAll(`
		CREATE ROLE NAME_owner NOLOGIN IN ROLE tenants;
		CREATE ROLE NAME_app NOLOGIN IN ROLE tenants;
		CREATE SCHEMA NAME AUTHORIZATION NAME_owner;
		GRANT USAGE ON SCHEMA NAME TO NAME_app;
		ALTER DEFAULT PRIVILEGES FOR ROLE NAME_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES FOR ROLE NAME_owner REVOKE USAGE ON TYPES FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES FOR ROLE NAME_owner IN SCHEMA NAME
			GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO NAME_app`, "NAME", name))
	owner := p.session(t, name+"_owner", name+", shared")
	open := false
	for _, path := range files(t, ".") {
		switch {
		case concurrently.Match(read(t, path)) && open:
			exec(t, owner, "COMMIT")
			open = false
		case together && !open && !concurrently.Match(read(t, path)):
			exec(t, owner, "BEGIN")
			open = true
		}
		apply(t, owner, path)
	}
	if open {
		exec(t, owner, "COMMIT")
	}
}

// catalogIsSound finds what a migration can leave half done, and foreign keys whose deletes
// would scan a table.
func (p *product) catalogIsSound(t *testing.T) {
	admin := p.session(t, "", "pg_catalog")
	// A flag's row is looked up by flag; there are as many as there are flags.
	exempt := "'feature_overrides_changed_by_fkey'"
	tests := map[string]string{
		"invalid indexes": `SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid`,
		"constraints not validated": `SELECT conname FROM pg_constraint
			WHERE NOT convalidated AND connamespace IN ('acme'::regnamespace, 'globex'::regnamespace)`,
		"objects that others own": `SELECT relname FROM pg_class
			WHERE relnamespace = 'acme'::regnamespace AND relowner <> 'acme_owner'::regrole`,
		"functions with the owner's rights": `SELECT proname FROM pg_proc
			WHERE prosecdef AND pronamespace IN ('acme'::regnamespace, 'shared'::regnamespace)`,
		"foreign keys into the shared schema": `SELECT conname FROM pg_constraint
			WHERE contype = 'f' AND connamespace = 'acme'::regnamespace
			AND confrelid IN (SELECT oid FROM pg_class WHERE relnamespace <> 'acme'::regnamespace)`,
		"foreign keys without an index": `SELECT c.conname FROM pg_constraint c
			WHERE c.contype = 'f' AND c.connamespace = 'acme'::regnamespace AND c.conname NOT IN (` + exempt + `)
			AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid
				AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)`,
	}
	for what, query := range tests {
		rows, err := admin.Query(t.Context(), query)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(names) > 0 {
			t.Errorf("%s: %v", what, names)
		}
	}
}

// appWorks goes through the product as its application does.
func (p *product) appWorks(t *testing.T) {
	app := p.app(t, "acme")
	for _, sql := range []string{
		"SELECT set_config('tasklane.actor', '1', false)",
		"UPDATE workspace SET display_name = 'Acme', plan_code = 'team'",
		"INSERT INTO members (email, full_name, role) VALUES ('ana@acme.example', 'Ana', 'owner')",
		"INSERT INTO teams (slug, name) VALUES ('web', 'Web')",
		"INSERT INTO projects (key, name, lead_id, team_id, visibility) VALUES ('WEB', 'Website', 1, 1, 'team')",
		`INSERT INTO tasks (project_id, title, state_id, priority, estimate, assignee_id)
			SELECT 1, 'Task ' || n, s.id, 'high', 2, 1 FROM generate_series(1, 4) n, workflow_states s WHERE s.is_default`,
		"INSERT INTO sprints (project_id, name, starts_on, ends_on) VALUES (1, 'One', '2030-01-07', '2030-01-18')",
		"UPDATE tasks SET sprint_id = 1",
		"UPDATE tasks SET parent_id = 1 WHERE number = 2",
		"UPDATE tasks SET state_id = (SELECT id FROM workflow_states WHERE name = 'Done') WHERE number = 2",
		"UPDATE tasks SET state_id = (SELECT id FROM workflow_states WHERE name = 'Canceled') WHERE number = 4",
		"INSERT INTO comments (task_id, author_id, body) VALUES (1, 1, 'Helo')",
		"UPDATE comments SET body = 'Hello'",
		"INSERT INTO mentions (comment_id, member_id) VALUES (1, 1)",
		"INSERT INTO task_labels (task_id, label_id) SELECT 1, id FROM labels",
		"INSERT INTO time_entries (task_id, member_id, started_at, ended_at) VALUES (1, 1, '2030-01-07 9:00', '2030-01-07 10:30')",
		`INSERT INTO attachments (task_id, file_name, media_type, size_bytes, sha256, storage_key)
			VALUES (1, 'plan.pdf', 'application/pdf', 10, sha256('x'), 'k/1')`,
		"INSERT INTO webhooks (url, events, secret_enc) VALUES ('https://acme.example/hook', '{task.done}', 'x')",
		"INSERT INTO feature_overrides (flag, enabled) VALUES ('sprints', true)",
		"DELETE FROM projects WHERE key = 'NONE'",
	} {
		exec(t, app, sql)
	}
	tests := map[string]struct{ query, want string }{
		"numbers":      {"SELECT string_agg(number::text, ',' ORDER BY id) FROM tasks", "1,2,3,4"},
		"state stamps": {"SELECT string_agg(number::text, ',' ORDER BY id) FROM tasks WHERE completed_at IS NOT NULL", "2,4"},
		"search":       {"SELECT count(*)::text FROM tasks WHERE search @@ to_tsquery('simple', 'task & 3')", "1"},
		"progress":     {"SELECT concat_ws('/', tasks, done, canceled, percent_done) FROM project_progress", "4/1/1/33"},
		"workload":     {"SELECT concat_ws('/', open_tasks, important, estimate) FROM member_workload", "2/2/4.0"},
		"burndown":     {"SELECT concat_ws('/', count(*), min(remaining)) FROM sprint_burndown", "12/4.0"},
		"time spent":   {"SELECT spent::text FROM time_entries", "01:30:00"},
		"edit stamp":   {"SELECT (edited_at IS NOT NULL)::text FROM comments", "true"},
		"log":          {"SELECT string_agg(DISTINCT entity || '.' || action, ',') FROM activity WHERE actor_id = 1", "comments.insert,comments.update,projects.insert,sprints.insert,tasks.insert,tasks.update"},
		"log diff":     {"SELECT changes::text FROM activity WHERE entity = 'tasks' AND changes ? 'parent_id' AND action = 'update'", `{"parent_id": [null, 1]}`},
		"outbox":       {"SELECT string_agg(event || n, ',' ORDER BY event) FROM (SELECT event, count(*) n FROM outbox GROUP BY event) e", "comment.created1,project.created1,task.created4"},
		"seeds":        {"SELECT concat_ws('/', (SELECT count(*) FROM roles), (SELECT count(*) FROM workflow_states), (SELECT count(*) FROM labels))", "4/6/3"},
		"shared plan":  {"SELECT p.name FROM workspace w JOIN plans p ON p.code = w.plan_code", "Team"},
		"shared flags": {"SELECT count(*)::text FROM feature_flags", "4"},
	}
	for name, tt := range tests {
		if got := one(t, app, tt.query); got != tt.want {
			t.Errorf("%s = %q, want %q", name, got, tt.want)
		}
	}
	exec(t, app, "DELETE FROM tasks WHERE number = 1")
	if got := one(t, app, "SELECT coalesce(parent_id::text, 'none') || project_id FROM tasks WHERE number = 2"); got != "none1" {
		t.Errorf("sub-task of a deleted task = %q, want it to stay in its project without a parent", got)
	}
}

// numbersAreUnique has many sessions number tasks of one project at once.
func (p *product) numbersAreUnique(t *testing.T) {
	const sessions, each = 6, 20
	exec(t, p.app(t, "acme"), "INSERT INTO projects (key, name) VALUES ('RACE', 'Race')")
	var wg sync.WaitGroup
	for range sessions {
		app := p.app(t, "acme")
		wg.Go(func() {
			for range each {
				if _, err := app.Exec(t.Context(), `INSERT INTO tasks (project_id, title, state_id)
					SELECT p.id, 'x', s.id FROM projects p, workflow_states s WHERE p.key = 'RACE' AND s.is_default`); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	got := one(t, p.app(t, "acme"), `SELECT concat_ws('/', count(DISTINCT number), min(number), max(number))
		FROM tasks t JOIN projects p ON p.id = t.project_id WHERE p.key = 'RACE'`)
	if want := fmt.Sprintf("%d/1/%d", sessions*each, sessions*each); got != want {
		t.Errorf("numbers = %s, want %s", got, want)
	}
}

func (p *product) appIsRefused(t *testing.T) {
	app := p.app(t, "acme")
	exec(t, app, "INSERT INTO projects (key, name) VALUES ('REF', 'Refusals')")
	tests := map[string]struct{ sql, wantCode string }{
		"key in small letters":      {"INSERT INTO projects (key, name) VALUES ('web', 'x')", "23514"},
		"key taken":                 {"INSERT INTO projects (key, name) VALUES ('REF', 'x')", "23505"},
		"private to no team":        {"INSERT INTO projects (key, name, visibility) VALUES ('PRV', 'x', 'team')", "23514"},
		"second workspace":          {"INSERT INTO workspace DEFAULT VALUES", "23505"},
		"other workspace row":       {"INSERT INTO workspace (singleton) VALUES (false)", "23514"},
		"no address":                {"INSERT INTO members (email, full_name) VALUES ('ana', 'Ana')", "23514"},
		"same address, other case":  {"INSERT INTO members (email, full_name) VALUES ('a@x.example', 'A'), ('A@x.example', 'A')", "23505"},
		"unknown role":              {"INSERT INTO members (email, full_name, role) VALUES ('b@x.example', 'B', 'king')", "23503"},
		"role in use":               {"DELETE FROM roles WHERE name = 'owner'", "23503"},
		"second default state":      {"UPDATE workflow_states SET is_default = true", "23505"},
		"two sprints at a time":     {"INSERT INTO sprints (project_id, name, starts_on, ends_on) SELECT id, 'x', '2031-01-01', '2031-01-02' FROM projects, generate_series(1, 2) WHERE key = 'REF'", "23P01"},
		"parent of another project": {"UPDATE tasks SET parent_id = (SELECT max(id) FROM tasks) WHERE number = 2 AND project_id = 1", "23503"},
		"two timers at once":        {"INSERT INTO time_entries (task_id, member_id) SELECT 2, 1 FROM generate_series(1, 2)", "23505"},
		"time that runs backwards":  {"INSERT INTO time_entries (task_id, member_id, ended_at) VALUES (2, 1, now() - interval '1h')", "23514"},
		"history changed":           {"UPDATE activity SET actor_id = 2", "23001"},
		"history deleted":           {"DELETE FROM activity", "23001"},
		"plain webhook":             {"INSERT INTO webhooks (url, events, secret_enc) VALUES ('http://x.example', '{task.done}', 'x')", "23514"},
		"own table":                 {"CREATE TABLE mine ()", "42501"},
		"truncate":                  {"TRUNCATE tasks", "42501"},
		"alter":                     {"ALTER TABLE tasks DISABLE TRIGGER ALL", "42501"},
		"accounts":                  {"SELECT FROM shared.accounts", "42501"},
		"sessions":                  {"SELECT FROM shared.sessions", "42501"},
		"whose account is where":    {"SELECT FROM shared.account_tenants", "42501"},
		"cheaper plan":              {"UPDATE plans SET monthly_cents = 0", "42501"},
		"flag for all":              {"INSERT INTO feature_flags (name, description) VALUES ('mine', 'x')", "42501"},
		"table in the shared":       {"CREATE TABLE shared.mine ()", "42501"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := app.Exec(t.Context(), tt.sql)
			var pgErr *pgconn.PgError
			if !errors.As(err, &pgErr) || pgErr.Code != tt.wantCode {
				t.Errorf("%s: error = %v, want SQLSTATE %s", tt.sql, err, tt.wantCode)
			}
		})
	}
}

// triggersNeedNoPath writes from a session whose path has nothing in it, and from one whose path
// leads to the neighbour: what triggers write must be beside the table, never by the path.
func (p *product) triggersNeedNoPath(t *testing.T) {
	for i, path := range []string{"pg_catalog, pg_temp", "globex, shared"} {
		conn := p.session(t, "acme_app", path)
		exec(t, conn, fmt.Sprintf("INSERT INTO acme.projects (key, name) VALUES ('PATH%d', 'x')", i))
		exec(t, conn, fmt.Sprintf(`INSERT INTO acme.tasks (project_id, title, state_id)
			SELECT id, 'x', 1 FROM acme.projects WHERE key = 'PATH%d'`, i))
		got := one(t, conn, fmt.Sprintf(`SELECT concat_ws('/', t.number, count(a.id))
			FROM acme.projects p JOIN acme.tasks t ON t.project_id = p.id
			JOIN acme.activity a ON a.entity = 'tasks' AND a.entity_id = t.id
			WHERE p.key = 'PATH%d' GROUP BY t.number`, i))
		if got != "1/1" {
			t.Errorf("with path %s: number/log = %q, want 1/1", path, got)
		}
	}
}

// neighbourSeesNothing holds the other tenant to an empty product and off this one's.
func (p *product) neighbourSeesNothing(t *testing.T) {
	app := p.app(t, "globex")
	if got := one(t, app, "SELECT concat_ws('/', (SELECT count(*) FROM projects), (SELECT count(*) FROM activity), (SELECT count(*) FROM outbox))"); got != "0/0/0" {
		t.Errorf("rows of the neighbour = %s, want 0/0/0", got)
	}
	_, err := app.Exec(t.Context(), "SELECT FROM acme.projects")
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
		t.Errorf("read acme.projects as globex: error = %v, want SQLSTATE 42501", err)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no SQL files in %s: %v", dir, err)
	}
	return paths
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	sql, err := fs.ReadFile(os.DirFS("."), path)
	if err != nil {
		t.Fatal(err)
	}
	return sql
}

func apply(t *testing.T, conn *pgx.Conn, path string) {
	t.Helper()
	// The simple protocol: many statements, one implicit transaction.
	if _, err := conn.PgConn().Exec(t.Context(), string(read(t, path))).ReadAll(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func one(t *testing.T, conn *pgx.Conn, query string) string {
	t.Helper()
	var s string
	if err := conn.QueryRow(t.Context(), query).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}
