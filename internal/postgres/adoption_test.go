package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// legacy makes a schema as a product without an operator has one: everything that a schema can hold, made by a
// login of the product. It returns that login.
func legacy(t *testing.T, db *postgres.DB) (login string) {
	t.Helper()
	database := db.Config().Database()
	login = "product_of_" + database
	exec(t, admin(t, database),
		"CREATE ROLE "+quote(login), "CREATE SCHEMA acme AUTHORIZATION "+quote(login),
		"GRANT USAGE ON SCHEMA acme TO PUBLIC",
		"SET ROLE "+quote(login), "SET search_path = acme",
		"CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
		"CREATE TYPE pair AS (a int, b int)", "CREATE TYPE span AS RANGE (subtype = float8)", "REVOKE USAGE ON TYPE mood FROM PUBLIC",
		`CREATE TABLE "or""der" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, old serial, mood mood NOT NULL, n positive, spans span[], note text)`,
		`CREATE INDEX ON "or""der" (note)`, `CREATE STATISTICS odd ON mood, note FROM "or""der"`,
		"CREATE TABLE part (id int, day date) PARTITION BY RANGE (day)", "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
		"CREATE SEQUENCE ticket", `CREATE VIEW moods AS SELECT mood FROM "or""der"`, `CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM "or""der"`,
		"CREATE FUNCTION double(positive) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'", "CREATE PROCEDURE nothing() LANGUAGE sql AS ''",
		"CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int)", "REVOKE ALL ON FUNCTION double FROM PUBLIC",
		"CREATE COLLATION mine (locale = 'C')", "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
		"CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple)", "CREATE TEXT SEARCH DICTIONARY stem (TEMPLATE = simple)",
		`INSERT INTO "or""der" (mood, n, note) SELECT 'ok', i, 'row ' || i FROM generate_series(1, 500) i`, "INSERT INTO part VALUES (1, '2026-05-05')",
		"REFRESH MATERIALIZED VIEW sums", "SELECT nextval('ticket')")
	return login
}

// grant runs the statements that a message asks a superuser for.
func grant(t *testing.T, db *postgres.DB, err error) {
	t.Helper()
	_, sql, found := strings.Cut(fault.Of(err, "").Message, "Run as a superuser: ")
	if !found {
		t.Fatalf("no statements in %v", err)
	}
	for statement := range strings.SplitSeq(strings.TrimSuffix(sql, ";"), "; ") {
		exec(t, admin(t, db.Config().Database()), statement)
	}
}

// owners lists who owns what in a schema, and how often.
func owners(t *testing.T, db *postgres.DB, schema string) string {
	t.Helper()
	return query(t, admin(t, db.Config().Database()), `SELECT string_agg(DISTINCT pg_get_userbyid(d.refobjid), ', ') FROM pg_shdepend d
		WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND (pg_identify_object(d.classid, d.objid, 0)).schema = $1 OR d.deptype = 'o' AND d.classid = 'pg_namespace'::regclass AND d.objid = to_regnamespace($1)`, schema)
}

// rows is a fingerprint of all rows of the schema that legacy makes.
func rows(t *testing.T, db *postgres.DB) string {
	t.Helper()
	return query(t, admin(t, db.Config().Database()), `SELECT md5(string_agg(o::text, ',' ORDER BY id)) || (SELECT string_agg(p::text, ',') FROM acme.part p)
		|| (SELECT count FROM acme.sums) || (SELECT last_value FROM acme.ticket) FROM acme."or""der" o`)
}

func TestTakeOver(t *testing.T) {
	db := newDB(t)
	product := legacy(t, db)
	tn := tenant("acme")
	tn.Reader = &postgres.Reader{}
	before := rows(t, db)
	found := must(db.FindSchema(t.Context(), "acme"))(t)
	if !found.Exists || found.Empty || !found.HasTable("part") || found.HasTable("moods") {
		t.Errorf("found %+v", found)
	}
	untouched := snapshot(t, db)
	err := db.TakeOver(t.Context(), tn, "18")
	if fault.ReasonOf(err) != postgres.ReasonAdoptionBlocked || fault.KindOf(err) != fault.Waiting ||
		!strings.Contains(fault.Of(err, "").Message, "role "+product+` owns schema "acme" and `) {
		t.Fatalf("without the owner's rights: %v", err)
	}
	if diff := cmp.Diff(untouched, snapshot(t, db)); diff != "" {
		t.Fatalf("what cannot be adopted was changed:\n%s", diff)
	}
	grant(t, db, err)
	if err := db.TakeOver(t.Context(), tn, "18"); err != nil {
		t.Fatal(err)
	}
	roles := postgres.TenantRoles(db.Config().Database(), "acme")
	if got := owners(t, db, "acme"); got != roles.Owner {
		t.Errorf("owners: %s", got)
	}
	if after := rows(t, db); after != before {
		t.Errorf("rows changed: %s, were %s", after, before)
	}
	o := observe(t, db, tn)
	if !o.Registered || !o.Adopted || o.Baseline != "18" || o.Version != "" || len(o.Drift)+len(o.Foreign) > 0 || !o.SchemaOwnedByOwner {
		t.Errorf("observation = %+v", o)
	}
	login := setPassword(t, db, tn)
	exec(t, login, `INSERT INTO "or""der" (mood, n) VALUES ('sad', 7)`, `UPDATE "or""der" SET note = 'x'`, "SELECT nextval('ticket'), double(3)", "CALL nothing()",
		"SELECT total(n) FROM part, moods, sums, generate_series(1, 2) n", "SELECT 'ok'::mood, 1 === 1", `DELETE FROM "or""der"`, "SELECT to_tsvector('plain', 'a')")
	probe, excess, err := postgres.Examine(t.Context(), login, postgres.Bounds{Schema: "acme", Shared: "shared", Roles: roles, Group: postgres.GroupRole(login.Database())})
	if err != nil || len(excess) > 0 || len(probe.LackingTables)+len(probe.LackingInsert)+len(probe.LackingSequences)+len(probe.LackingFunctions) > 0 {
		t.Errorf("probe = %+v, %v, %v", probe, excess, err)
	}
	if changed := must(db.Provision(t.Context(), tn))(t); changed {
		t.Error("provisioning an adopted tenant again is a change")
	}
	still := snapshot(t, db)
	if err := db.TakeOver(t.Context(), tn, "19"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(still, snapshot(t, db)); diff != "" {
		t.Errorf("adopting again is a change:\n%s", diff)
	}
	// The operator's login needs the product's rights no more, and the product has none.
	exec(t, admin(t, db.Config().Database()), "REVOKE "+quote(product)+" FROM "+quote(db.Config().User()), "ALTER ROLE "+quote(product)+" LOGIN PASSWORD 'p'",
		"GRANT CONNECT ON DATABASE "+quote(db.Config().Database())+" TO "+quote(product))
	if err := tryExec(t, db.Config().WithLogin(product, "p"), "SELECT FROM acme.part"); postgres.CauseOf(err) != postgres.InsufficientPrivilege {
		t.Errorf("the product's old login: %v", err)
	}
	exec(t, admin(t, db.Config().Database()), "REVOKE CONNECT ON DATABASE "+quote(db.Config().Database())+" FROM "+quote(product))
	if err := db.Drop(t.Context(), tn.UID, "acme"); err != nil {
		t.Errorf("drop: %v", err)
	}
}

// What blocks an adoption is said with the statements that mend it, and these do.
func TestTakeOverBlocked(t *testing.T) {
	for name, tt := range map[string]struct {
		sql  []string // $D stands for the database, $L for the operator's login
		want string
	}{
		"a superuser's table": {[]string{"CREATE TABLE acme.of_super (id int)"}, `ALTER TABLE acme.of_super OWNER TO`},
		"two owners":          {[]string{"CREATE ROLE second_$D", "GRANT USAGE, CREATE ON SCHEMA acme TO second_$D", "SET ROLE second_$D", "CREATE VIEW acme.v AS SELECT 1"}, `role second_`},
		"another tenant's":    {[]string{"ALTER TABLE acme.part OWNER TO tn_$D__other_owner"}, "nobody should be given the rights of that role"},
		"an extension":        {[]string{"CREATE EXTENSION plpgsql_probe SCHEMA acme"}, `ALTER EXTENSION`},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDB(t)
			newTenant(t, db, "other")
			legacy(t, db)
			if name == "an extension" {
				// Any that the server has: it needs not to be installed on every one.
				extension := query(t, admin(t, db.Config().Database()), `SELECT name FROM pg_available_extensions WHERE name IN ('pgcrypto', 'hstore', 'citext', 'pg_trgm') ORDER BY name LIMIT 1`)
				if extension == "" {
					t.Fatal("the server has no extension to try")
				}
				tt.sql = []string{"CREATE EXTENSION " + extension + " SCHEMA acme"}
			}
			replace := strings.NewReplacer("$D", db.Config().Database(), "$L", db.Config().User())
			var sql []string
			for _, s := range tt.sql {
				sql = append(sql, replace.Replace(s))
			}
			exec(t, admin(t, db.Config().Database()), sql...)
			before := snapshot(t, db)
			err := db.TakeOver(t.Context(), tenant("acme"), "")
			if fault.ReasonOf(err) != postgres.ReasonAdoptionBlocked || !strings.Contains(fault.Of(err, "").Message, tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
				t.Fatalf("changed:\n%s", diff)
			}
			grant(t, db, err)
			if err := db.TakeOver(t.Context(), tenant("acme"), ""); err != nil {
				t.Fatal(err)
			}
			if got, want := owners(t, db, "acme"), postgres.TenantRoles(db.Config().Database(), "acme").Owner; got != want {
				t.Errorf("owners: %s", got)
			}
		})
	}
}

// No consent makes an operator take what the registry, or the server, says is another's.
func TestTakeOverRefusals(t *testing.T) {
	db := newDB(t)
	newTenant(t, db, "taken")
	retained, _ := newTenant(t, db, "retained")
	if err := db.Retain(t.Context(), retained.UID, retained.Schema); err != nil {
		t.Fatal(err)
	}
	exec(t, admin(t, db.Config().Database()), "CREATE SCHEMA ghost", "CREATE ROLE "+quote(postgres.TenantRoles(db.Config().Database(), "ghost").App))
	other := func(schema string) postgres.Tenant {
		tn := tenant(schema)
		tn.UID = "other"
		return tn
	}
	full := other("ghost")
	full.MaxTenants = 2
	second := tenant("ghost")
	second.UID = "uid-taken"
	foreign := other("taken")
	foreign.Name = "nobody"
	before := snapshot(t, db)
	for name, tt := range map[string]struct {
		tenant postgres.Tenant
		want   string
	}{
		"another tenant's":         {foreign, postgres.ReasonSchemaNameTaken},
		"a lost namesake's":        {other("taken"), postgres.ReasonSchemaRetained},
		"a retained one":           {other("retained"), postgres.ReasonSchemaRetained},
		"the shared schema":        {other("shared"), postgres.ReasonInvalidSchemaName},
		"roles that were there":    {other("ghost"), postgres.ReasonSchemaNameTaken},
		"none of the name":         {other("nowhere"), postgres.ReasonAdoptionBlocked},
		"a full database":          {full, postgres.ReasonDatabaseFull},
		"a second one of a UID":    {second, postgres.ReasonSchemaNameTaken},
		"public":                   {other("public"), postgres.ReasonInvalidSchemaName},
		"the registry":             {other("tenantry"), postgres.ReasonInvalidSchemaName},
		"a statement for a schema": {other(`x"; DROP TABLE tenantry.tenant; --`), postgres.ReasonInvalidSchemaName},
	} {
		t.Run(name, func(t *testing.T) {
			if err := db.TakeOver(t.Context(), tt.tenant, ""); fault.ReasonOf(err) != tt.want {
				t.Errorf("%v (%s), want %s", err, fault.ReasonOf(err), tt.want)
			}
		})
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Errorf("refusals changed something:\n%s", diff)
	}
}

// An application that holds a lock makes the adoption wait, and nothing is half done.
func TestTakeOverMeetsALock(t *testing.T) {
	db := newDB(t)
	legacy(t, db)
	grant(t, db, db.TakeOver(t.Context(), tenant("acme"), ""))
	conn := must(pgx.Connect(t.Context(), admin(t, db.Config().Database()).URI()))(t)
	defer func() { _ = conn.Close(context.Background()) }()
	must(conn.Exec(t.Context(), "BEGIN; SELECT FROM acme.part"))(t)
	before := snapshot(t, db)
	if err := db.TakeOver(t.Context(), tenant("acme"), ""); fault.ReasonOf(err) != string(postgres.LockTimeout) {
		t.Fatalf("%v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
		t.Fatalf("changed:\n%s", diff)
	}
	must(conn.Exec(t.Context(), "COMMIT"))(t)
	if err := db.TakeOver(t.Context(), tenant("acme"), ""); err != nil {
		t.Fatal(err)
	}
}

// Rights that others were given stay theirs, and are told; what PUBLIC and the operator's own roles had goes.
func TestTakeOverKeepsWhatOthersHave(t *testing.T) {
	db := newDB(t)
	newTenant(t, db, "other")
	product := legacy(t, db)
	database := db.Config().Database()
	report := "report_of_" + database
	exec(t, admin(t, database), "CREATE ROLE "+quote(report), "GRANT USAGE ON SCHEMA acme TO "+quote(report), "GRANT SELECT ON acme.part TO "+quote(report),
		"GRANT USAGE ON SCHEMA acme TO "+quote(postgres.TenantRoles(database, "other").App), "GRANT "+quote(product)+" TO "+quote(db.Config().User()))
	if err := db.TakeOver(t.Context(), tenant("acme"), ""); err != nil {
		t.Fatal(err)
	}
	o := observe(t, db, tenant("acme"))
	if len(o.Drift) > 0 || len(o.Foreign) != 1 || o.Foreign[0].Mend != "REVOKE USAGE ON SCHEMA \"acme\" FROM "+quote(report) {
		t.Errorf("drift %v, foreign %v", o.Drift, o.Foreign)
	}
	for role, want := range map[string]string{
		report: "true true", postgres.TenantRoles(database, "other").App: "false false", product: "false false", "public": "false false",
	} {
		if got := query(t, admin(t, database), "SELECT has_schema_privilege($1, 'acme', 'USAGE') || ' ' || has_table_privilege($1, 'acme.part', 'SELECT')", role); got != want {
			t.Errorf("%s: %s, want %s", role, got, want)
		}
	}
}
