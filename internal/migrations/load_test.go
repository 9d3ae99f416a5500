package migrations

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
)

// outline describes a set: version, file, how each runs, and each statement's line and first word.
func outline(s *Set) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", s.Format)
	for _, m := range s.Migrations {
		how := "tx"
		if !m.Transactional {
			how = "units"
		}
		fmt.Fprintf(&text, "%s %s %s %s", m.Version, m.Name, m.File, how)
		for i, st := range m.Statements {
			for _, u := range m.units {
				if u.from == i {
					fmt.Fprint(&text, " |")
				}
			}
			word, _, _ := strings.Cut(strings.ReplaceAll(st.SQL, "\n", " "), " ")
			fmt.Fprintf(&text, " %d:%s", st.Line, word)
		}
		text.WriteString("\n")
	}
	return text.String()
}

func TestLoad(t *testing.T) {
	tests := map[string]struct{ files, want string }{
		"plain": {
			files: "-- file 0002_b.sql --\n-- why\nCREATE TABLE b (id int); /* ; */ INSERT INTO b VALUES (';');\n\nSELECT $x$;$x$\n-- file 0001_a.sql --\nSELECT 1\n-- file 10-c.sql --\n-- nothing to do\n-- file README.md --\n# hello\n",
			want: `Plain
1 a 0001_a.sql tx 1:SELECT
2 b 0002_b.sql tx 2:CREATE 2:INSERT 4:SELECT
10 c 10-c.sql tx
`,
		},
		"golang-migrate strips a transaction around the file": {
			files: "-- file 1_a.up.sql --\nBEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;\n-- file 1_a.down.sql --\nDROP ROLE x;\n-- file 2_b.up.sql --\nBEGIN;SELECT 1;COMMIT;\nBEGIN;SELECT 2;SELECT 3;END;\nSELECT 4;\n-- file 3_empty.up.sql --\n",
			want: `GolangMigrate
1 a 1_a.up.sql tx 2:SELECT 3:SELECT
2 b 2_b.up.sql units | 1:SELECT | 2:SELECT 2:SELECT | 3:SELECT
3 empty 3_empty.up.sql tx
`,
		},
		"goose": {
			files: "-- file 20240101120000_a.sql --\n-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\n-- +goose StatementEnd\nSELECT 1;\n-- +goose Down\n-- Down migration\nDROP FUNCTION f();\n" +
				"-- file 20240102120000_b.sql --\n-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\nSELECT 2;\n",
			want: `Goose
20240101120000 a 20240101120000_a.sql tx 3:CREATE 5:SELECT
20240102120000 b 20240102120000_b.sql units | 3:SELECT | 4:SELECT
`,
		},
		"flyway": {
			files: "-- file V1_10__late.sql --\nSELECT 1;\n-- file V1.2__early.sql --\nSELECT 1;\n-- file U1.2__early.sql --\nSELECT 0;\n-- file R__view b.sql --\nSELECT 1;\n-- file R__a.sql --\nSELECT 1;\n-- file V2__slow.sql --\nSELECT 1;\n-- file V2__slow.sql.conf --\nexecuteInTransaction=false\n",
			want: `Flyway
1.2 early V1.2__early.sql tx 1:SELECT
1.10 late V1_10__late.sql tx 1:SELECT
2 slow V2__slow.sql units | 1:SELECT
R__a a R__a.sql tx 1:SELECT
R__view b view b R__view b.sql tx 1:SELECT
`,
		},
		"what cannot run in a transaction is found by the parser": {
			files: "-- file 1_a.sql --\ncreate /* x */ unique\nindex concurrently i on t (a);\n-- file 2_b.sql --\nDROP INDEX CONCURRENTLY i;\nSELECT 1;\n-- file 3_c.sql --\nREINDEX (VERBOSE) INDEX CONCURRENTLY i;\n-- file 4_d.sql --\nVACUUM t;\n-- file 5_e.sql --\nALTER TYPE color ADD VALUE 'red';\nREFRESH MATERIALIZED VIEW CONCURRENTLY v;\n-- CREATE INDEX CONCURRENTLY\n-- file 6_f.sql --\nALTER TABLE t DETACH PARTITION p CONCURRENTLY;\n-- file 7_g.sql --\nVACUUM t;\nCALL p();\nDO $$ BEGIN COMMIT; END $$;\nDO $$ BEGIN END $$;\n",
			want: `Plain
1 a 1_a.sql units | 1:create
2 b 2_b.sql units | 1:DROP | 2:SELECT
3 c 3_c.sql units | 1:REINDEX
4 d 4_d.sql units | 1:VACUUM
5 e 5_e.sql tx 1:ALTER 2:REFRESH
6 f 6_f.sql units | 1:ALTER
7 g 7_g.sql units | 1:VACUUM | 2:CALL | 3:DO | 4:DO
`,
		},
		"semicolons inside of statements": {
			files: "-- file 1_a.sql --\nCREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 END; SELECT 2; END;\nCREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);\nSELECT 'a\\'; SELECT U&'\\0061', E'\\';';\nSELECT \"a;b\" FROM t;\n",
			want: `Plain
1 a 1_a.sql tx 1:CREATE 2:CREATE 3:SELECT 3:SELECT 4:SELECT
`,
		},
		"line ends and a byte order mark": {
			files: "-- file 1_a.sql --\n\xef\xbb\xbf-- x\r\nSELECT 1;\r\nSELECT 2;\r\n",
			want:  "Plain\n1 a 1_a.sql tx 2:SELECT 3:SELECT\n",
		},
		"settings and savepoints": {
			files: "-- file 1_a.sql --\nSET search_path = x;\nSET LOCAL lock_timeout = 1;\nRESET ALL;\nSET CONSTRAINTS ALL DEFERRED;\nSAVEPOINT a;\nROLLBACK TO a;\nRELEASE a;\nCREATE USER MAPPING FOR x SERVER y;\nUPDATE t SET role = 'x';\nGRANT SELECT ON t TO x;\n",
			want:  "Plain\n1 a 1_a.sql tx 1:SET 2:SET 3:RESET 4:SET 5:SAVEPOINT 6:ROLLBACK 7:RELEASE 8:CREATE 9:UPDATE 10:GRANT\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, outline(load(t, tt.files))); diff != "" {
				t.Errorf("set (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	one := func(sql string) string { return "-- file 0001_a.sql --\nSELECT 1;\n" + sql }
	tests := map[string]struct {
		files  string
		format Format
		want   string
	}{
		"no files":              {files: "-- file README.md --\nx", want: "there are no migration files; add 0001_name.sql"},
		"unknown format":        {files: one(""), format: "Rails", want: `format "Rails" is unknown; use Plain, Goose, GolangMigrate or Flyway`},
		"unfit name":            {files: "-- file a.sql --\nSELECT 1;", want: "a.sql: the name fits no format; use 0001_name.sql, 1_name.up.sql (golang-migrate) or V1__name.sql (Flyway)"},
		"mixed formats":         {files: one("\n-- file 2_b.up.sql --\nSELECT 1;"), want: "0001_a.sql: looks like format Plain while other files look like GolangMigrate; name the format or make all files alike"},
		"same version":          {files: one("\n-- file 1_b.sql --\nSELECT 1;"), want: "1_b.sql: has the same version (1) as 0001_a.sql; give one of them another"},
		"same Flyway version":   {files: "-- file V1__a.sql --\nSELECT 1;\n-- file V1.0__b.sql --\nSELECT 1;", want: "V1.0__b.sql: has the same version (1.0) as V1__a.sql; give one of them another"},
		"down without up":       {files: "-- file 1_a.up.sql --\nSELECT 1;\n-- file 2_b.down.sql --\nSELECT 1;", want: "2_b.down.sql: there is no file that migrates up to version 2; add it or remove this one"},
		"empty":                 {files: "-- file 1_a.sql --\n \n", want: "1_a.sql: is empty; write at least a comment that says why"},
		"Go":                    {files: one("\n-- file 0002_b.go --\npackage x"), want: "0002_b.go: migrations in Go do not run here; write it in SQL"},
		"odd ending":            {files: one("\n-- file 0002_b.sql.bak --\nSELECT 1;"), want: "0002_b.sql.bak: the file should be called 0001_name.sql; rename it"},
		"NUL":                   {files: one("SELECT '\x00';"), want: "0001_a.sql line 2: is not UTF-8 text; save it in UTF-8"},
		"Latin-1":               {files: one("\nSELECT '\xe9';"), want: "0001_a.sql line 3: is not UTF-8 text; save it in UTF-8"},
		"psql command":          {files: one("\\connect other"), want: `0001_a.sql line 2: psql's own commands (\...) do not run on a server; remove them`},
		"copy":                  {files: one("COPY t FROM STDIN;\n1\tit's\n\\."), want: `0001_a.sql line 2: COPY from or to the client has no client here; write INSERT ... VALUES instead`},
		"unended string":        {files: one("\nSELECT 'abc;\n"), want: `0001_a.sql line 3: unterminated quoted string at or near "'abc; ...`},
		"unended parenthesis":   {files: one("SELECT (1;\nSELECT 2;"), want: `0001_a.sql line 2: cannot tell where the statement ends: syntax error at or near ";"`},
		"COMMIT alone":          {files: one("COMMIT;"), want: "0001_a.sql line 2: COMMIT without BEGIN; remove it, every migration has its own transaction"},
		"BEGIN alone":           {files: one("BEGIN;\nSELECT 1;"), want: "0001_a.sql line 2: BEGIN without COMMIT; add it, or remove BEGIN"},
		"BEGIN twice":           {files: one("BEGIN;\nBEGIN;COMMIT;"), want: "0001_a.sql line 3: BEGIN inside of the transaction of line 2; end that first"},
		"ROLLBACK":              {files: one("ROLLBACK;"), want: "0001_a.sql line 2: a migration that takes itself back cannot be recorded; remove ROLLBACK"},
		"modes":                 {files: one("START TRANSACTION ISOLATION LEVEL SERIALIZABLE;COMMIT;"), want: "0001_a.sql line 2: the transaction's modes are the engine's; write BEGIN alone"},
		"COMMIT and more":       {files: one("COMMIT AND CHAIN;"), want: "0001_a.sql line 2: write COMMIT alone"},
		"two-phase":             {files: one("PREPARE TRANSACTION 'x';"), want: "0001_a.sql line 2: two-phase commit cannot be part of a migration; use BEGIN and COMMIT or neither"},
		"concurrently in BEGIN": {files: one("BEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);COMMIT;"), want: "0001_a.sql line 3: the statement cannot run in a transaction (BEGIN in line 2); move it out"},
		"concurrently, whole":   {files: "-- file 1_a.sql --\nBEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);\nCOMMIT;", want: "1_a.sql line 2: the statement cannot run in a transaction (BEGIN in line 1); move it out"},
		"temporary, in units":   {files: one("CREATE TEMP TABLE x (id int);\nVACUUM t;"), want: "0001_a.sql line 2: a temporary table does not survive if this migration is continued on another connection; use a plain table, or a file without statements that cannot run in a transaction"},
		"the ledger":            {files: one("DELETE FROM \"tenantry_migrations\";"), want: "0001_a.sql line 2: tenantry_migrations is the ledger of the migrations themselves; remove the statement"},
		"goose without Up":      {files: "-- file 1_a.sql --\n-- +goose Down\nSELECT 1;", want: "1_a.sql line 1: goose takes one Down section, behind a complete Up section"},
		"goose, open":           {files: "-- file 1_a.sql --\n-- +goose Up\n-- +goose StatementBegin\nSELECT 1;", want: "1_a.sql line 2: StatementBegin without StatementEnd"},
		"goose, unknown":        {files: "-- file 1_a.sql --\n-- +goose Up\n-- +goose ENVSUB ON\nSELECT 1;", want: "1_a.sql line 2: -- +goose ENVSUB ON is not supported; remove it"},
		"goose as Plain":        {files: "-- file 1_a.sql --\n\n-- +goose Up\nSELECT 1;", format: Plain, want: "1_a.sql line 2: goose's annotations mean nothing in format Plain; declare the format Goose"},
		"Plain as goose":        {files: one(""), format: Goose, want: `0001_a.sql: has no line "-- +goose Up"; add it above the SQL`},
		"dbmate":                {files: "-- file 1_a.sql --\n-- migrate:up\nSELECT 1;\n-- migrate:down\n", want: "1_a.sql line 1: -- migrate:up belongs to a tool whose files hold both directions; keep the part that migrates up alone"},
		"sql-migrate":           {files: "-- file 1_a.sql --\n-- x\n-- +migrate Up\nSELECT 1;\n", want: "1_a.sql line 2: -- +migrate Up belongs to a tool whose files hold both directions; keep the part that migrates up alone"},
		"tern":                  {files: "-- file 1_a.sql --\nSELECT 1;\n---- create above / drop below ----\nSELECT 2;\n", want: "1_a.sql line 2: -- create above / drop below belongs to a tool whose files hold both directions; keep the part that migrates up alone"},
		"node-pg-migrate":       {files: "-- file 1_a.sql --\n-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n", want: "1_a.sql line 3: -- Down Migration belongs to a tool whose files hold both directions; keep the part that migrates up alone"},
		"temporary view":        {files: one("CREATE OR REPLACE TEMP VIEW x AS SELECT 1;\nVACUUM t;"), want: "0001_a.sql line 2: a temporary table does not survive if this migration is continued on another connection; use a plain table, or a file without statements that cannot run in a transaction"},
		"placeholder":           {files: "-- file V1__a.sql --\n\nCREATE TABLE ${schema}.x (id int);", want: "V1__a.sql line 2: the placeholder ${schema} has no value here; write the value itself"},
		"Flyway option":         {files: "-- file V1__a.sql --\nSELECT 1;\n-- file V1__a.sql.conf --\n# x\nshouldExecute=false", want: "V1__a.sql.conf line 2: shouldExecute is not supported; remove it"},
		"Flyway baseline":       {files: "-- file B1__a.sql --\nSELECT 1;", want: "B1__a.sql: Flyway's baseline migrations are not supported; name it V...__name.sql"},
	}
	const who = "0001_a.sql line 2: migrations run as the schema's owner and may not change the role; remove it"
	for _, sql := range []string{
		"SET ROLE x", "set local role x", "SET SESSION ROLE x", "RESET ROLE", "SET SESSION AUTHORIZATION x", "SET LOCAL SESSION AUTHORIZATION x",
		"RESET SESSION AUTHORIZATION", `SET "role" = 'x'`, "SET session_authorization TO x", "SET /* */ Role TO x",
	} {
		tests[sql] = struct {
			files  string
			format Format
			want   string
		}{files: one(sql), want: who}
	}
	outside := func(what string) string {
		return "0001_a.sql line 2: migrations change one schema and may not touch " + what + "; do that outside of migrations"
	}
	for sql, what := range map[string]string{
		"CREATE ROLE x": "roles", "ALTER USER x PASSWORD 'y'": "roles", "DROP GROUP x": "roles", "CREATE DATABASE x": "databases",
		"ALTER DATABASE x SET a = 1": "databases", "ALTER SYSTEM SET a = 1": "the server's settings", "DROP OWNED BY x": "objects by role",
		"CREATE TABLESPACE x LOCATION '/y'": "tablespaces", "CREATE SUBSCRIPTION x CONNECTION '' PUBLICATION y": "subscriptions",
	} {
		tests[sql] = struct {
			files  string
			format Format
			want   string
		}{files: one(sql), want: outside(what)}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load(parseFiles(tt.files), tt.format)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Load = %v\nwant   %s", err, tt.want)
			}
			if fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != ReasonInvalidMigration {
				t.Errorf("the error is no Invalid fault with reason %s", ReasonInvalidMigration)
			}
		})
	}
}

func TestChecksums(t *testing.T) {
	sum := func(text string) string { return load(t, "-- file 1_a.sql --\n"+text).Migrations[0].Checksum }
	same := []string{"SELECT 1;\nSELECT 2;\n", "SELECT 1;\r\nSELECT 2;\r\n", "\xef\xbb\xbfSELECT 1;\nSELECT 2;\n", "SELECT 1;\nSELECT 2;", "SELECT 1;\nSELECT 2;\n\n"}
	for _, text := range same[1:] {
		if sum(text) != sum(same[0]) {
			t.Errorf("%q has another checksum than %q", text, same[0])
		}
	}
	if sum("SELECT 1;\nSELECT 3;\n") == sum(same[0]) {
		t.Error("another statement has the same checksum")
	}
	const up = "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT "
	if sum(up+"1;") != sum(up+"2;") {
		t.Error("goose's Down section counts")
	}
	// The checksum is in ledgers; it must not change from one version of the engine to the next.
	if got, want := sum("SELECT 1;\n"), "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a"; got != want {
		t.Errorf("checksum = %s, want %s", got, want)
	}
}

func TestLimits(t *testing.T) {
	big := []byte(strings.Repeat("-- padding\n", MaxFileBytes/11+1))
	if _, err := Load([]File{{"1_a.sql", big}}, Plain); err == nil || !strings.Contains(err.Error(), "1_a.sql: is 41943") {
		t.Errorf("a file above the limit: %v", err)
	}
	var many []File
	for i := range 9 {
		many = append(many, File{fmt.Sprintf("%d_a.sql", i), big[:MaxFileBytes]})
	}
	if _, err := Load(many, Plain); err == nil || !strings.Contains(err.Error(), "are too many") {
		t.Errorf("a set above the limit: %v", err)
	}
}

// The module behind the parser cannot report an exhausted stack: it would hang. Such statements
// are left to the server.
func TestDeepStatementsDoNotHangTheParser(t *testing.T) {
	repeat := strings.Repeat
	for name, nest := range map[string]func(n int) string{
		"operators":   func(n int) string { return "SELECT " + repeat("1+", n) + "1" },
		"not":         func(n int) string { return "SELECT " + repeat("NOT ", n) + "a" },
		"casts":       func(n int) string { return "SELECT 1" + repeat("::int", n) },
		"calls":       func(n int) string { return "SELECT " + repeat("f(", n) + "1" + repeat(")", n) },
		"subqueries":  func(n int) string { return repeat("SELECT (", n) + "SELECT 1" + repeat(")", n) },
		"from":        func(n int) string { return repeat("SELECT * FROM (", n) + "SELECT 1" + repeat(") x", n) },
		"with":        func(n int) string { return repeat("WITH x AS (", n) + "SELECT 1" + repeat(") SELECT 1", n) },
		"case":        func(n int) string { return "SELECT " + repeat("CASE WHEN a THEN b ELSE ", n) + "1" + repeat(" END", n) },
		"rows":        func(n int) string { return "SELECT " + repeat("(1,", n) + "1" + repeat(")", n) },
		"unions":      func(n int) string { return repeat("SELECT 1, 2 UNION ALL ", n) + "SELECT 1, 2" },
		"joins":       func(n int) string { return "SELECT 1 FROM a" + repeat(" CROSS JOIN b", n) },
		"arrays":      func(n int) string { return "SELECT " + repeat("ARRAY[", n) + "1" + repeat("]", n) },
		"json":        func(n int) string { return "SELECT " + repeat("JSON_OBJECT(1:", n) + "1" + repeat(")", n) },
		"intersected": func(n int) string { return "SELECT 1" + repeat(" IN (SELECT a, b FROM c", n) + repeat(")", n) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 20, 40, 60, 80, 100, 150, 200, 300, 1000, 20000} {
				set := load(t, "-- file 1_a.sql --\n"+nest(n)+";\nSELECT 1;\n")
				if m := set.Migrations[0]; len(m.Statements) != 2 || m.Statements[1].Unparsed != "" {
					t.Fatalf("%d levels: %d statements", n, len(m.Statements))
				}
			}
		})
	}
}

// What the parser does not know is the server's business: it may be newer.
func TestNewSyntaxIsLeftToTheServer(t *testing.T) {
	const sql = "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);\nINSERT INTO t VALUES (1) RETURNING old.a, new.a;\n"
	set := load(t, "-- file 1_a.sql --\n"+sql)
	if m := set.Migrations[0]; !m.Transactional || len(m.Statements) != 2 || m.Statements[0].Unparsed == "" {
		t.Fatalf("migration = %+v", m)
	}
	db := newDatabase(t, 18)
	target := db.tenant(t, "acme")
	db.apply(t, target, set, "")
	if got := db.text(t, "SELECT a, b FROM acme.t"); got != "1|2" {
		t.Errorf("rows = %q", got)
	}
}

// What the files held up to a version is the same set as it was then, unless one of its files changed.
func TestUpto(t *testing.T) {
	file := func(name, text string) File { return File{Name: name, Content: []byte(text)} }
	load := func(files ...File) *Set {
		set, err := Load(files, Auto)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	a, b, c := file("0001_a.sql", "SELECT 1"), file("0003_b.sql", "SELECT 2"), file("0004_c.sql", "SELECT 3")
	before := load(a, b)
	for name, tt := range map[string]struct {
		now  *Set
		same bool
	}{
		"a file more":    {load(a, b, c), true},
		"nothing new":    {load(a, b), true},
		"a file changed": {load(a, file("0003_b.sql", "SELECT 4"), c), false},
		"a late file":    {load(a, file("0002_x.sql", "SELECT 5"), b), false},
	} {
		t.Run(name, func(t *testing.T) {
			upto := tt.now.Upto("3")
			if got := upto.Digest == before.Digest; got != tt.same {
				t.Errorf("the same is %t", got)
			}
			if upto.Latest() != "3" {
				t.Errorf("its newest is %s", upto.Latest())
			}
			if m, ok := upto.At("03"); !ok || m.Version != "3" {
				t.Errorf("version 03 is %v", m)
			}
			if _, ok := upto.At("4"); ok {
				t.Error("it holds version 4")
			}
		})
	}
	if load(a).Upto("7") != nil {
		t.Error("a version that is not there makes a set")
	}
}

// The body of a routine is taken apart as far as its text tells.
func TestFragments(t *testing.T) {
	body := "DECLARE x int := 1;\nBEGIN\n  IF x > 1 THEN PERFORM f(';');\n  ELSE UPDATE t SET a = CASE WHEN b THEN 1 ELSE 2 END;\n  END IF;\n" +
		"  EXECUTE format('DROP TABLE %I.%s', a, b) USING c; -- ; END\n  EXECUTE 'SET ROLE ' || x || $q$;$q$;\nEND"
	var got []string
	for _, f := range Fragments(body) {
		if f.Tree != "" || f.Executed {
			got = append(got, fmt.Sprintf("%d %s %t", f.Line, f.SQL, f.Tree != ""))
		}
	}
	want := []string{
		"2 PERFORM f(';') true", "3 UPDATE t SET a = CASE WHEN b THEN 1 ELSE 2 END true",
		"5 DROP TABLE tenantry_dynamic.tenantry_dynamic true", "6 SET ROLE tenantry_dynamic; true", "7 END true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if Fragments("'") != nil {
		t.Error("what the lexer does not understand has fragments")
	}
}
