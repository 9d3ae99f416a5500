package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/migrations"
)

// had is what tenants have in the cases: a file before the new one.
const had = `
CREATE TABLE orders (id bigint PRIMARY KEY, code varchar(20), note text, total numeric(10,2), placed date, tags text[]);
CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint);
CREATE VIEW open_orders AS SELECT * FROM orders;
CREATE MATERIALIZED VIEW sums AS SELECT 1 AS one;
CREATE SEQUENCE counter;
CREATE TYPE mood AS ENUM ('good');
CREATE FUNCTION code() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
CREATE FUNCTION fixed() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$;
`

// load makes a set of files, each the next version.
func load(t *testing.T, files ...string) *migrations.Set {
	t.Helper()
	var all []migrations.File
	for i, text := range files {
		all = append(all, migrations.File{Name: fmt.Sprintf("%d_f.sql", i+1), Content: []byte(text)})
	}
	set, err := migrations.Load(all, migrations.Plain)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// above are the migrations above a version.
func above(v migrations.Version) func(*migrations.Migration) bool {
	return func(m *migrations.Migration) bool { return m.Version.Compare(v) > 0 }
}

// outline writes findings as "rule object" each, with the line if it is not the first, and marks.
func outline(findings []Finding) string {
	var lines []string
	for _, f := range findings {
		text := strings.TrimSpace(f.Name + " " + f.Object)
		if f.Line != 1 {
			text += fmt.Sprintf(" @%d", f.Line)
		}
		if f.Severity != Rules[f.Name].Severity {
			text += " " + string(f.Severity)
		}
		if f.Allowed != "" {
			text += " allowed: " + f.Allowed
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n")
}

// tests are by category: a new file, and what is found in it.
var tests = map[Category]map[string]string{
	Destructive: {
		"DROP TABLE orders":                                                                                         "drop-table orders",
		"DROP TABLE IF EXISTS orders, items CASCADE":                                                                "drop-table orders\ndrop-table items",
		"CREATE TABLE tmp (id int); DROP TABLE tmp":                                                                 "",
		"ALTER TABLE orders ADD IF NOT EXISTS note text; ALTER TABLE orders DROP note":                              "drop-column orders.note",
		"ALTER TABLE away ADD IF NOT EXISTS x text; ALTER TABLE away DROP x":                                        "drop-column away.x",
		"ALTER TABLE orders ADD IF NOT EXISTS x text; ALTER TABLE orders DROP x":                                    "",
		"DROP TABLE orders; CREATE TABLE orders (id bigint)":                                                        "drop-table orders",
		"ALTER TABLE orders DROP COLUMN note, DROP COLUMN IF EXISTS total CASCADE":                                  "drop-column orders.note\ndrop-column orders.total",
		"ALTER TABLE orders ADD COLUMN x int; ALTER TABLE orders DROP COLUMN x":                                     "",
		"ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE":                                                    "drop-cascade orders.orders_pkey",
		"ALTER TABLE orders DROP CONSTRAINT c, ALTER COLUMN note DROP NOT NULL":                                     "",
		"DROP SCHEMA acme CASCADE":                                                                                  "drop-schema acme",
		"DROP VIEW open_orders":                                                                                     "drop-view open_orders",
		"DROP VIEW open_orders; CREATE VIEW open_orders AS SELECT id FROM orders":                                   "",
		"DROP VIEW open_orders CASCADE; CREATE VIEW open_orders AS SELECT id FROM orders":                           "drop-cascade open_orders",
		"CREATE OR REPLACE VIEW open_orders AS SELECT id FROM orders":                                               "",
		"DROP MATERIALIZED VIEW sums":                                                                               "drop-view sums",
		"DROP SEQUENCE counter":                                                                                     "drop-sequence counter",
		"DROP TYPE mood":                                                                                            "drop-type mood",
		"DROP TYPE mood CASCADE":                                                                                    "drop-cascade mood",
		"DROP FUNCTION code()":                                                                                      "drop-routine code",
		"DROP FUNCTION code(); CREATE FUNCTION code() RETURNS int LANGUAGE sql AS 'SELECT 1'":                       "",
		"DROP INDEX orders_pkey; DROP TRIGGER IF EXISTS x ON orders":                                                "",
		"DROP TRIGGER x ON orders CASCADE":                                                                          "drop-cascade orders.x",
		"DROP EXTENSION citext":                                                                                     "drop-extension citext",
		"TRUNCATE orders, items":                                                                                    "truncate orders\ntruncate items",
		"CREATE TABLE tmp (id int); TRUNCATE tmp":                                                                   "",
		"DELETE FROM orders":                                                                                        "delete-all-rows orders",
		"DELETE FROM orders WHERE true":                                                                             "delete-all-rows orders",
		"DELETE FROM orders WHERE id = 1":                                                                           "",
		"WITH gone AS (DELETE FROM items RETURNING id) SELECT count(*) FROM gone":                                   "delete-all-rows items",
		"UPDATE orders SET note = ''":                                                                               "update-all-rows orders",
		"UPDATE orders SET note = '' WHERE note IS NULL":                                                            "",
		"INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = ''":                               "",
		"ALTER TABLE orders SET UNLOGGED":                                                                           "set-unlogged orders\nrewrite-table orders",
		"ALTER TABLE orders RENAME TO purchases":                                                                    "rename-table orders",
		"ALTER TABLE orders RENAME COLUMN note TO remark":                                                           "rename-column orders.note",
		"ALTER TABLE orders RENAME CONSTRAINT a TO b; ALTER INDEX a RENAME TO b":                                    "",
		"CREATE TABLE a (x int); ALTER TABLE a RENAME TO b; DROP TABLE b":                                           "",
		"DO $$\nBEGIN\n IF true THEN\n  DROP TABLE orders;\n END IF;\nEND $$":                                       "drop-table orders @4",
		"DO $$ BEGIN EXECUTE 'DROP TABLE ' || quote_ident('a'); EXECUTE format('TRUNCATE %I', 'x') USING 1; END $$": "drop-table *\ntruncate *",
		"DO $$ BEGIN UPDATE orders SET note = CASE WHEN true THEN 'a' ELSE 'b' END; END $$":                         "update-all-rows orders",
		"DO 'BEGIN DELETE FROM orders; END'":                                                                        "delete-all-rows orders",
		"CREATE FUNCTION clean() RETURNS void BEGIN ATOMIC DELETE FROM orders; END":                                 "",
		"CREATE RULE r AS ON DELETE TO open_orders DO INSTEAD DELETE FROM orders":                                   "",
		"CREATE FUNCTION clean() RETURNS void LANGUAGE sql AS $$ DELETE FROM orders; TRUNCATE items $$":             "",
	},
	Lock: {
		"CREATE INDEX ON orders (note)":                                             "create-index orders",
		"CREATE UNIQUE INDEX i ON orders (note)":                                    "create-index orders",
		"CREATE INDEX CONCURRENTLY i ON orders (note)":                              "",
		"CREATE TABLE n (id int); CREATE INDEX ON n (id)":                           "",
		"CREATE TABLE IF NOT EXISTS orders (id int); CREATE INDEX i ON orders (id)": "create-index orders",
		"CREATE TABLE n AS SELECT 1 AS a; CREATE INDEX ON n (a)":                    "",
		"REINDEX TABLE orders":                                                      "reindex orders",
		"REINDEX (CONCURRENTLY) TABLE orders":                                       "",
		"REINDEX INDEX CONCURRENTLY i":                                              "",
		"ALTER TABLE orders ALTER COLUMN id TYPE int":                               "alter-column-type orders.id",
		"ALTER TABLE orders ALTER code TYPE varchar(40), ALTER note TYPE varchar, ALTER total TYPE numeric(12,2)": "",
		"ALTER TABLE orders ALTER code TYPE text":                                                                                        "",
		"ALTER TABLE orders ALTER code TYPE varchar(10)":                                                                                 "alter-column-type orders.code",
		"ALTER TABLE orders ALTER note TYPE varchar(10)":                                                                                 "alter-column-type orders.note",
		"ALTER TABLE orders ALTER total TYPE numeric(12,3)":                                                                              "alter-column-type orders.total",
		"ALTER TABLE orders ALTER code TYPE text USING lower(code)":                                                                      "alter-column-type orders.code",
		"ALTER TABLE orders RENAME code TO c; ALTER TABLE orders ALTER c TYPE text":                                                      "rename-column orders.code",
		"ALTER TABLE orders ALTER note SET NOT NULL":                                                                                     "set-not-null orders.note",
		"ALTER TABLE orders ADD COLUMN x int NOT NULL":                                                                                   "add-not-null-column orders.x",
		"ALTER TABLE orders ADD COLUMN x int NOT NULL DEFAULT NULL":                                                                      "add-not-null-column orders.x",
		"ALTER TABLE orders ADD COLUMN x int NOT NULL DEFAULT 0, ADD y int, ADD z timestamptz DEFAULT now()":                             "",
		"ALTER TABLE orders ADD COLUMN x uuid DEFAULT gen_random_uuid()":                                                                 "volatile-default orders.x",
		"ALTER TABLE orders ADD COLUMN x text DEFAULT 'a' || lower('B') || fixed()":                                                      "",
		"ALTER TABLE orders ADD COLUMN x text DEFAULT code()":                                                                            "volatile-default orders.x",
		"ALTER TABLE orders ADD COLUMN x bigserial":                                                                                      "volatile-default orders.x",
		"ALTER TABLE orders ADD COLUMN x bigint GENERATED ALWAYS AS IDENTITY":                                                            "volatile-default orders.x",
		"ALTER TABLE orders ADD COLUMN x text GENERATED ALWAYS AS (lower(note)) STORED":                                                  "generated-column orders.x",
		"ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES orders":                                                   "add-foreign-key items.fk",
		"ALTER TABLE items ADD FOREIGN KEY (order_id) REFERENCES orders NOT VALID":                                                       "",
		"ALTER TABLE items ADD COLUMN o bigint REFERENCES orders":                                                                        "",
		"ALTER TABLE items ADD COLUMN o bigint DEFAULT 1 REFERENCES orders":                                                              "add-foreign-key items.o",
		"CREATE TABLE n (id bigint REFERENCES orders, CHECK (id > 0), UNIQUE (id)); ALTER TABLE n ADD CHECK (id > 1), ALTER id TYPE int": "",
		"ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0)":                                                                          "add-check orders.c",
		"ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID":                                                                "",
		"ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c":                      "validate-with-add orders.c",
		"ALTER TABLE orders VALIDATE CONSTRAINT c":                                                                                       "",
		"ALTER TABLE orders ADD COLUMN x int CHECK (x > 0)":                                                                              "add-column-check orders.x",
		"ALTER TABLE orders ADD CONSTRAINT u UNIQUE (note)":                                                                              "add-unique orders.u",
		"ALTER TABLE orders ADD CONSTRAINT u UNIQUE USING INDEX i":                                                                       "",
		"ALTER TABLE orders ADD COLUMN x int UNIQUE":                                                                                     "add-unique orders.x",
		"ALTER TABLE orders ADD PRIMARY KEY (note)":                                                                                      "add-unique orders",
		"ALTER TABLE orders ADD EXCLUDE USING gist (placed WITH =)":                                                                      "add-exclusion orders",
		"ALTER TABLE orders ADD COLUMN x int; UPDATE orders SET x = 1":                                                                   "backfill-behind-alter orders",
		"ALTER TABLE orders ADD COLUMN x int; UPDATE orders SET x = 1 WHERE id > 5":                                                      "backfill-behind-alter orders",
		"ALTER TABLE orders ADD COLUMN x int; UPDATE orders SET note = '' WHERE id = 5":                                                  "",
		"VACUUM FULL orders": "vacuum-full",
		"VACUUM orders; VACUUM (FULL false) orders; ANALYZE orders": "",
		"CLUSTER orders USING i":                                    "cluster orders",
		"LOCK TABLE orders":                                         "lock-table orders",
		"LOCK TABLE orders IN ROW SHARE MODE":                       "",
		"REFRESH MATERIALIZED VIEW sums":                            "refresh-view sums",
		"REFRESH MATERIALIZED VIEW CONCURRENTLY sums":               "",
		"CREATE MATERIALIZED VIEW m AS SELECT 1 AS a WITH NO DATA; REFRESH MATERIALIZED VIEW m": "",
		"ALTER TABLE orders SET ACCESS METHOD heap2":                                            "rewrite-table orders",
		"ALTER TABLE orders SET LOGGED":                                                         "rewrite-table orders",
		"ALTER TABLE orders ENABLE ROW LEVEL SECURITY, SET (fillfactor = 70)":                   "",
		"SET lock_timeout = 0":                                                                  "timeout-off lock_timeout",
		"SET LOCAL lock_timeout = '0'; SET LOCAL statement_timeout = '1h'":                      "timeout-off lock_timeout",
		"SET LOCAL lock_timeout = '2s'":                                                         "",
		"ALTER TYPE mood ADD VALUE 'bad'; COMMENT ON TABLE orders IS 'x'":                       "",
	},
	Session: {
		"SET search_path = public":              "search-path search_path",
		"SET LOCAL search_path TO acme, shared": "search-path search_path",
		"RESET search_path":                     "search-path search_path",
		"RESET ALL":                             "search-path ALL",
		"SELECT pg_catalog.set_config('search_path', '', false)":                                           "search-path search_path",
		"SELECT set_config('role', 'postgres', true)":                                                      "set-role role",
		"SELECT set_config('app.actor', '1', true); SET app.x = 1":                                         "",
		"DO $$ BEGIN SET ROLE postgres; END $$":                                                            "set-role role",
		"DO $$ BEGIN RESET SESSION AUTHORIZATION; END $$":                                                  "set-role session_authorization",
		"DO $$ BEGIN EXECUTE 'SET ROLE ' || 'x'; END $$":                                                   "set-role role",
		"DO $$ BEGIN EXECUTE format('SET search_path TO %I', 'x'); END $$":                                 "search-path search_path",
		"DO $$ BEGIN PERFORM set_config('search_path', 'x', true); END $$":                                 "search-path search_path",
		"DO $$ DECLARE x text; BEGIN x := set_config('role', 'y', true); END $$":                           "set-role role",
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET ROLE x; END $$":                 "set-role role Notice",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT 1'": "",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT 1'":          "",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = public AS 'SELECT 1'":              "search-path search_path",
		"CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT set_config('role', 'x', true); END":          "set-role role",
		"ALTER FUNCTION f() SET role = x":                                                                  "set-role role",
		"CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'":                                           "",
	},
	CrossSchema: {
		"SELECT 1 FROM acme.orders":                           "cross-schema acme.orders",
		"INSERT INTO acme.orders (id) SELECT id FROM orders":  "cross-schema acme.orders",
		"CREATE TABLE public.n (id int)":                      "cross-schema public.n",
		"CREATE TABLE n (id bigint REFERENCES public.x)":      "cross-schema public.x",
		"CREATE TABLE n (id uuid REFERENCES shared.accounts)": "",
		"CREATE VIEW v AS SELECT * FROM shared.plans p JOIN pg_catalog.pg_class c ON true JOIN information_schema.tables t ON true": "",
		"INSERT INTO shared.plans VALUES (1)":                                                                                              "shared-write shared.plans",
		"ALTER TABLE shared.plans ADD COLUMN x int":                                                                                        "shared-write shared.plans",
		"DROP TABLE shared.plans":                                                                                                          "shared-write shared.plans\ndrop-table shared.plans",
		"CREATE TRIGGER t AFTER INSERT ON shared.plans EXECUTE FUNCTION f()":                                                               "shared-write shared.plans",
		"CREATE TABLE n (id pg_catalog.int4, c public.citext, d text DEFAULT public.f())":                                                  "foreign-name public.citext\nforeign-name public.f",
		"SELECT 'public.orders'::regclass, nextval('acme.s'), 'a.b'::text":                                                                 "cross-schema public.orders\ncross-schema acme.s",
		"CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'":                                                                "cross-schema public.f",
		"CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM acme.orders'":                                            "cross-schema acme.orders Notice",
		"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT id FROM acme.orders; END":                                                     "cross-schema acme.orders",
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SELECT 1 FROM %I.orders', TG_TABLE_SCHEMA); END $$": "",
		"DO $$ BEGIN EXECUTE 'DELETE FROM acme.orders WHERE id = 1'; END $$":                                                               "cross-schema acme.orders",
		"CREATE SCHEMA extra":                                          "create-schema extra",
		"ALTER TABLE orders SET SCHEMA public":                         "set-schema orders",
		"GRANT SELECT ON orders TO PUBLIC":                             "grant PUBLIC",
		"GRANT SELECT ON orders TO reporting, CURRENT_USER":            "grant reporting",
		"REVOKE ALL ON orders FROM PUBLIC":                             "",
		"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reporting": "grant reporting",
		"SELECT o.id, (o).note FROM orders o; CREATE FUNCTION f(a orders.id%TYPE) RETURNS int LANGUAGE sql AS 'SELECT 1'": "",
	},
	Unparsed: {
		"SELEC 1":  "unparsed",
		"SELECT 1": "",
	},
}

func TestRules(t *testing.T) {
	tried := map[string]bool{}
	for category, cases := range tests {
		for text, want := range cases {
			t.Run(string(category)+"/"+text, func(t *testing.T) {
				found := Check(load(t, had, text), Options{New: above("1"), Shared: []string{"shared"}})
				if diff := cmp.Diff(want, outline(found)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", text, diff)
				}
			})
			for line := range strings.Lines(want) {
				tried[strings.Fields(line)[0]] = true
			}
		}
	}
	for name, rule := range Rules {
		if !tried[name] && name != "allow-unreasoned" && name != "backfill" {
			t.Errorf("no case finds %s", name)
		}
		if rule.Category == "" || rule.Severity == "" || len(rule.Message) < 40 || len(rule.Message) > 400 {
			t.Errorf("%s is not whole: %+v", name, rule)
		}
	}
}

// What several files tell together.
func TestFilesTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		files []string
		from  migrations.Version
		want  string
	}{
		"a first version": {[]string{had, "CREATE INDEX ON orders (note); DROP VIEW open_orders; ALTER TABLE orders ALTER id TYPE int"}, "", "drop-view open_orders"},
		"NOT NULL that a CHECK proves": {
			[]string{had, "ALTER TABLE orders ADD CONSTRAINT n CHECK (note IS NOT NULL) NOT VALID", "ALTER TABLE orders VALIDATE CONSTRAINT n", "ALTER TABLE orders ALTER note SET NOT NULL"}, "1", "",
		},
		"a CHECK that is not valid proves nothing": {
			[]string{had, "ALTER TABLE orders ADD CONSTRAINT n CHECK (note IS NOT NULL) NOT VALID", "ALTER TABLE orders ALTER note SET NOT NULL"}, "1", "set-not-null orders.note",
		},
		"a column of one file that another fills": {[]string{had, "ALTER TABLE orders ADD COLUMN x int", "UPDATE orders SET x = 1"}, "1", "backfill orders"},
		"a column that a table before it had":     {[]string{had + "CREATE TABLE gone (id int, x int); DROP TABLE gone; CREATE TABLE gone (id int);", "ALTER TABLE gone ADD COLUMN IF NOT EXISTS x int", "UPDATE gone SET x = 1"}, "1", "backfill gone"},
		"a column that IF NOT EXISTS leaves":      {[]string{had, "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text", "UPDATE orders SET note = ''"}, "1", "update-all-rows orders"},
		"a column that tenants have":              {[]string{had, "ALTER TABLE orders ADD COLUMN x int", "UPDATE orders SET x = 1"}, "2", "update-all-rows orders"},
		"a file that is no transaction":           {[]string{had, "BEGIN; ALTER TABLE orders ADD COLUMN x int; COMMIT; UPDATE orders SET x = 1"}, "1", "backfill orders"},
	} {
		t.Run(name, func(t *testing.T) {
			found := Check(load(t, tt.files...), Options{New: above(tt.from)})
			if diff := cmp.Diff(tt.want, outline(found)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Comments take findings away, one rule each, and only with a reason.
func TestComments(t *testing.T) {
	for text, want := range map[string]string{
		"-- tenantry:allow drop-table nobody reads it\nDROP TABLE orders":                                  "drop-table orders @2 allowed: nobody reads it",
		"DROP TABLE orders; -- tenantry:allow drop-table nobody reads it\nDROP TABLE items":                "drop-table orders allowed: nobody reads it\ndrop-table items @2",
		"DROP TABLE orders /* tenantry:allow drop-table old */;":                                           "drop-table orders allowed: old",
		"-- tenantry:allow drop-table\nDROP TABLE orders":                                                  "allow-unreasoned\ndrop-table orders @2",
		"-- tenantry:allow drop-tabel typo\nDROP TABLE orders":                                             "allow-unreasoned\ndrop-table orders @2",
		"-- tenantry:allow truncate why\nDROP TABLE orders":                                                "drop-table orders @2",
		"-- tenantry:allow drop-table a\n-- tenantry:allow truncate b\nDROP TABLE orders; TRUNCATE orders": "drop-table orders @3 allowed: a\ntruncate orders @3",
		"-- see tenantry:allow\nDROP TABLE orders":                                                         "drop-table orders @2",
	} {
		found := Check(load(t, had, text), Options{New: above("1")})
		if diff := cmp.Diff(want, outline(found)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// The set of a shared schema may name that schema.
func TestOwnSchema(t *testing.T) {
	found := Check(load(t, "CREATE TABLE shared.a (id int); INSERT INTO shared.a VALUES (1); SELECT * FROM other.b"), Options{New: above(""), Own: []string{"shared"}})
	if diff := cmp.Diff("cross-schema other.b", outline(found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A million statements are no million findings.
func TestManyFindings(t *testing.T) {
	text := strings.Repeat("TRUNCATE orders;\n", 3*maxOfAKind) + "DROP TABLE items;"
	found := Check(load(t, had, text), Options{New: above("1")})
	if len(found) != maxOfAKind+1 || found[maxOfAKind].Name != "drop-table" {
		t.Errorf("%d findings, the last is %s", len(found), found[len(found)-1].Name)
	}
}

// FuzzCheck lints whatever can be loaded.
func FuzzCheck(f *testing.F) {
	for _, cases := range tests {
		for text := range cases {
			f.Add(text)
		}
	}
	f.Add("DO $$ BEGIN EXECUTE $q$ $q$; EXECUTE '' || ; EXECUTE format(; EXECUTE E'\\'' USING ; CASE CASE END END ELSE ; $$")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := migrations.Load([]migrations.File{{Name: "1_a.sql", Content: []byte(text)}}, migrations.Plain)
		if err != nil {
			return
		}
		for _, found := range Check(set, Options{New: above("")}) {
			if found.Line < 1 || found.Line > 1+strings.Count(text, "\n") {
				t.Errorf("%s is in line %d of %q", found.Name, found.Line, text)
			}
		}
	})
}
