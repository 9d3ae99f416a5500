package migrations

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/test/platform"
)

// rich is a product with an object of every kind that has lines of its own.
const rich = `-- file 1_a.sql --
CREATE TYPE status AS ENUM ('open', 'done');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE numbers START 100;
CREATE TABLE plan (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, made timestamptz NOT NULL DEFAULT now());
INSERT INTO plan (name) VALUES ('free'), ('it''s plan.gold');
CREATE TABLE task (
	id serial PRIMARY KEY, plan bigint REFERENCES plan ON DELETE CASCADE, state status NOT NULL DEFAULT 'open',
	n positive DEFAULT nextval('numbers'), title text COLLATE "C", twice int GENERATED ALWAYS AS (id * 2) STORED, CHECK (length(title) < 100));
COMMENT ON COLUMN task.title IS 'what to do';
CREATE INDEX task_state ON task (state) WHERE state <> 'done';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN NEW.title := upper(NEW.title); RETURN NEW; END $$;
CREATE FUNCTION open_tasks(p plan) RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT count(*) FROM task WHERE plan = p.id $$;
CREATE FUNCTION double(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT max(task.id) * a FROM task; END;
CREATE TRIGGER touch BEFORE INSERT ON task FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW board AS SELECT t.id, p.name, t.state FROM task t JOIN plan p ON p.id = t.plan WHERE t.state = 'open'::status;
CREATE RULE no_delete AS ON DELETE TO plan DO INSTEAD NOTHING;
ALTER TABLE task ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON task USING (state = 'open');
CREATE STATISTICS task_stats ON plan, state FROM task;
CREATE TABLE log (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
-- file 2_b.sql --
ALTER TABLE task ADD COLUMN due date;
ALTER TABLE task DROP COLUMN n;
`

// Two schemas that the same files made have the same shape; every difference between two has a line.
func TestShape(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := load(t, rich)
		shape := func(schema string, also ...string) Shape {
			t.Helper()
			target := db.tenant(t, schema)
			target.App = ""
			db.apply(t, target, set, "")
			for _, sql := range also {
				db.exec(t, "SET ROLE "+ident(target.Owner)+"; SET search_path = "+schema+"; "+sql+"; RESET ROLE; RESET search_path")
			}
			s, err := ReadShape(t.Context(), db.pool, target)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		first := shape("acme")
		if diff := cmp.Diff(first, shape("globex")); diff != "" {
			t.Errorf("the shape depends on the schema (-acme +globex):\n%s", diff)
		}
		for i, tt := range []struct{ sql, want string }{
			{"ALTER TABLE task ALTER due SET NOT NULL", "table task column due"},
			{"ALTER TABLE task ALTER state SET DEFAULT 'done'", "table task column state"},
			{"DROP INDEX task_state", "index task_state"},
			{"ALTER TABLE task DROP CONSTRAINT task_plan_fkey", "constraint task_plan_fkey"},
			{"ALTER TYPE status ADD VALUE 'late'", "type status"},
			{"CREATE OR REPLACE FUNCTION double(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function double(integer)"},
			{"CREATE OR REPLACE VIEW board AS SELECT t.id, p.name, t.state FROM task t JOIN plan p ON p.id = t.plan", "view board"},
			{"ALTER TABLE task DISABLE TRIGGER touch", "trigger CREATE TRIGGER touch"},
			{"DROP RULE no_delete ON plan", "rule"},
			{"ALTER POLICY all_of_them ON task USING (true)", "policy all_of_them"},
			{"INSERT INTO plan (name) VALUES ('x')", "table plan rows: 3"},
			{"UPDATE plan SET name = 'Free' WHERE id = 1", "table plan rows: 2"},
			{"SELECT nextval('plan_id_seq')", "sequence plan_id_seq"},
			{"GRANT SELECT ON plan TO PUBLIC", "table plan rights"},
			{"COMMENT ON TABLE plan IS 'x'", "table plan comment x"},
			{"DROP STATISTICS task_stats", "statistics task_stats"},
			{"ALTER SEQUENCE numbers INCREMENT 5", "sequence numbers"},
			{"ALTER DOMAIN positive SET DEFAULT 7", "type positive"},
			{"CREATE COLLATION german (provider = icu, locale = 'de')", "objects pg_collation: 1"},
			{"ALTER TABLE task RENAME title TO titel", "column titel"},
			{"INSERT INTO task (state, title) VALUES ('done', 'hidden from its owner'); ALTER TABLE task FORCE ROW LEVEL SECURITY", "table task rows: 1"},
			{"CREATE TABLE log_2027 PARTITION OF log FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')", "table log_2027"},
		} {
			found := strings.Join(first.Differences(shape("other"+string(rune('a'+i)), tt.sql)), "\n")
			if !strings.Contains(found, tt.want) {
				t.Errorf("%s: differences %q, want %q in them", tt.sql, found, tt.want)
			}
		}
		// The clock is no difference.
		if found := first.Differences(shape("later", "UPDATE plan SET made = now() - interval '1 day'")); len(found) > 0 {
			t.Errorf("another time: %v", found)
		}
	})
}

// A checkpoint made with pg_dump makes in any schema what the migrations make: of a set with an object of
// every kind, and of the sample product.
func TestCheckpointByDump(t *testing.T) {
	samples, err := filepath.Glob("../../config/samples/product/*.sql")
	if err != nil || len(samples) == 0 {
		t.Fatal(samples, err)
	}
	var product []File
	for _, name := range samples {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		product = append(product, File{Name: filepath.Base(name), Content: text})
	}
	shared, err := filepath.Glob("../../config/samples/product/shared/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	program, err := platform.FindPgDump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db := newDatabase(t, program.Major)
	common := db.tenant(t, "shared")
	var sharedFiles []File
	for _, name := range shared {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sharedFiles = append(sharedFiles, File{Name: filepath.Base(name), Content: text})
	}
	db.apply(t, common, mustLoad(t, sharedFiles), "")
	db.exec(t, "GRANT USAGE ON SCHEMA shared TO PUBLIC", "GRANT SELECT, REFERENCES ON ALL TABLES IN SCHEMA shared TO PUBLIC")
	for name, tt := range map[string]struct {
		files []File
		name  string
	}{
		"every kind":         {parseFiles(rich), "checkpoint_2.pgsql"},
		"the sample product": {product, "checkpoint_0018.pgsql"},
	} {
		t.Run(name, func(t *testing.T) {
			schema := strings.ReplaceAll(name, " ", "_")
			made := db.tenant(t, schema)
			made.App, made.SharedSchema = "", "shared"
			set := mustLoad(t, tt.files)
			db.apply(t, made, set, "")
			want, err := ReadShape(t.Context(), db.pool, made)
			if err != nil {
				t.Fatal(err)
			}
			text := db.dump(t, program, schema, filled(want))
			if strings.Contains(text, schema) {
				t.Errorf("the checkpoint names the schema:\n%s", text)
			}
			set = mustLoad(t, append(tt.files, File{Name: tt.name, Content: []byte(text)}))
			started := db.tenant(t, schema+"_2")
			started.App, started.SharedSchema = "", "shared"
			db.apply(t, verified(started, set), set, "")
			got, err := ReadShape(t.Context(), db.pool, started)
			if err != nil {
				t.Fatal(err)
			}
			if found := want.Differences(got); len(found) > 0 {
				t.Errorf("the checkpoint differs:\n%s", strings.Join(found, "\n"))
			}
		})
	}
}

// filled are the tables with rows.
func filled(shape Shape) (tables []string) {
	for _, line := range shape {
		object, property, _ := strings.Cut(line, "\t")
		if strings.HasPrefix(property, "rows: ") && !strings.HasPrefix(property, "rows: 0,") {
			tables = append(tables, strings.TrimPrefix(object, "table "))
		}
	}
	return tables
}

// dump makes a checkpoint of a schema with the rows of some tables.
func (db *database) dump(t *testing.T, program platform.PgDump, schema string, seeds []string) string {
	t.Helper()
	args, err := DumpArguments(t.Context(), db.admin, schema, seeds)
	if err != nil {
		t.Fatal(err)
	}
	dsn := strings.Replace(db.server.AdminDSN(), "/postgres?", "/"+db.name+"?", 1)
	cmd := exec.CommandContext(t.Context(), program.Path, append(args, dsn)...)
	cmd.Env = program.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pg_dump: %v: %s", err, out)
	}
	text, err := Relocate(string(out), schema)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
