package postgres_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// INSERT goes from the tables on which the login had it, also from those that come later, and comes back
// on just these. What migrations decided on single tables stays decided.
func TestInsertIsRevokedAndRestored(t *testing.T) {
	db := newDB(t)
	tn, app := newTenant(t, db, "acme")
	asOwner(t, db, tn, "CREATE TABLE item (id int)", "CREATE TABLE fixed (id int)", "CREATE VIEW seen AS SELECT * FROM item",
		"REVOKE INSERT ON fixed FROM "+quote(app.User()), "CREATE TABLE gone (id int)")
	before := query(t, admin(t, db.Config().Database()), aclsSQL)
	for _, want := range []bool{true, false} {
		if changed := must(db.RevokeInsert(t.Context(), tn.UID, "acme"))(t); changed != want {
			t.Errorf("RevokeInsert changed: %v, want %v", changed, want)
		}
	}
	for _, relation := range []string{"item", "seen", "fixed", "gone"} {
		refused(t, app, "INSERT INTO "+relation+" VALUES (1)")
	}
	exec(t, app, "UPDATE item SET id = 2", "DELETE FROM item", "SELECT FROM item")
	if got := must(postgres.Probe(t.Context(), app, "acme"))(t); !cmp.Equal(got.LackingInsert, []string{"fixed", "gone", "item"}) || len(got.LackingTables) > 0 {
		t.Errorf("%+v", got)
	}
	if changed := must(db.Provision(t.Context(), tn))(t); changed {
		t.Error("Provision gives back what a quota took")
	}
	asOwner(t, db, tn, "CREATE TABLE later (id int)", "DROP TABLE gone", "CREATE TABLE refused (id int)", "REVOKE INSERT ON refused FROM "+quote(app.User()))
	must(db.RevokeInsert(t.Context(), tn.UID, "acme"))(t)
	refused(t, app, "INSERT INTO later VALUES (1)")
	tables, revoked, err := db.InsertRevoked(t.Context(), "acme")
	if err != nil || !revoked || !cmp.Equal(tables, []string{"gone", "item", "later", "seen"}) {
		t.Errorf("InsertRevoked() = %q, %v, %v", tables, revoked, err)
	}
	for _, want := range []bool{true, false} {
		if changed := must(db.RestoreInsert(t.Context(), tn.UID, "acme"))(t); changed != want {
			t.Errorf("RestoreInsert changed: %v, want %v", changed, want)
		}
	}
	exec(t, app, "INSERT INTO item VALUES (1)", "INSERT INTO later VALUES (1)", "INSERT INTO seen VALUES (1)")
	refused(t, app, "INSERT INTO fixed VALUES (1)")
	refused(t, app, "INSERT INTO refused VALUES (1)")
	asOwner(t, db, tn, "DROP TABLE later, refused", "CREATE TABLE gone (id int)")
	if diff := cmp.Diff(before, query(t, admin(t, db.Config().Database()), aclsSQL)); diff != "" {
		t.Errorf("rights differ:\n%s", diff)
	}
	for name, call := range map[string]func() error{
		"revoke":  func() error { _, err := db.RevokeInsert(t.Context(), "intruder", "acme"); return err },
		"restore": func() error { _, err := db.RestoreInsert(t.Context(), "intruder", "acme"); return err },
	} {
		if err := call(); fault.ReasonOf(err) != postgres.ReasonNotOwner {
			t.Errorf("%s by another: %v", name, err)
		}
	}
}

// A migration may give tables other names while INSERT is taken from them: they are the same tables.
func TestInsertComesBackToRenamedTables(t *testing.T) {
	db := newDB(t)
	tn, app := newTenant(t, db, "acme")
	asOwner(t, db, tn, "CREATE TABLE orders (id int)", "CREATE TABLE item (id int)")
	must(db.RevokeInsert(t.Context(), tn.UID, "acme"))(t)
	asOwner(t, db, tn, "ALTER TABLE orders RENAME TO purchases", "ALTER TABLE item RENAME TO item_old", "CREATE TABLE item (id int)",
		"REVOKE INSERT ON item FROM "+quote(app.User()))
	tables, revoked, err := db.InsertRevoked(t.Context(), "acme")
	if err != nil || !revoked || !cmp.Equal(tables, []string{"item", "item_old", "orders", "purchases"}) {
		t.Errorf("InsertRevoked() = %q, %v, %v", tables, revoked, err)
	}
	must(db.RestoreInsert(t.Context(), tn.UID, "acme"))(t)
	exec(t, app, "INSERT INTO purchases VALUES (1)", "INSERT INTO item_old VALUES (1)")
	if n := query(t, admin(t, db.Config().Database()), "SELECT count(*)::text FROM tenantry.quota_relation"); n != "0" {
		t.Errorf("%s tables are still recorded", n)
	}
}

// A registry of before names tables alone, until Bootstrap is there: what was taken is known, and comes back.
func TestInsertOfAnOlderRegistry(t *testing.T) {
	db := newDB(t)
	tn, app := newTenant(t, db, "acme")
	asOwner(t, db, tn, "CREATE TABLE orders (id int)")
	exec(t, admin(t, db.Config().Database()), "DROP TABLE tenantry.quota_relation")
	must(db.RevokeInsert(t.Context(), tn.UID, "acme"))(t)
	refused(t, app, "INSERT INTO orders VALUES (1)")
	if tables, revoked, err := db.InsertRevoked(t.Context(), "acme"); err != nil || !revoked || !cmp.Equal(tables, []string{"orders"}) {
		t.Errorf("InsertRevoked() = %q, %v, %v", tables, revoked, err)
	}
	if !must(db.RestoreInsert(t.Context(), tn.UID, "acme"))(t) {
		t.Error("nothing is given back")
	}
	exec(t, app, "INSERT INTO orders VALUES (1)")
}

const aclsSQL = `SELECT jsonb_object_agg(relname, ARRAY(SELECT x.grantee::regrole || ':' || x.privilege_type FROM aclexplode(relacl) x ORDER BY 1))
	FROM pg_class WHERE relnamespace = 'acme'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'tenantry_migrations'`

// Sizes are those of the schemas that were asked for, and of no others.
func TestSchemaSizes(t *testing.T) {
	db := newDB(t)
	for _, schema := range []string{"acme", "empty", "other"} {
		tn, _ := newTenant(t, db, schema)
		if schema != "empty" {
			asOwner(t, db, tn, "CREATE TABLE item (t text)", "INSERT INTO item SELECT repeat(md5(i::text), 100) FROM generate_series(1, 1000) i")
		}
	}
	sizes := must(db.SchemaSizes(t.Context(), []string{"acme", "empty", "nobody"}))(t)
	if sizes["acme"] < 64<<10 || sizes["empty"] != 0 || sizes["nobody"] != 0 || len(sizes) != 3 {
		t.Errorf("sizes are %v", sizes)
	}
}

// Who holds a lock on a table, or on one of its indexes, or waits for it, keeps only its own schema from being
// measured.
func TestSchemaSizesBesideLocks(t *testing.T) {
	db := newDB(t)
	var logins []postgres.Config
	for _, schema := range []string{"a", "b", "c", "free"} {
		tn, app := newTenant(t, db, schema)
		asOwner(t, db, tn, "CREATE TABLE item (t text)", "CREATE INDEX item_t ON item (t)", "GRANT TRUNCATE ON item TO "+quote(app.User()))
		logins = append(logins, app)
	}
	begin := func(config postgres.Config, statements ...string) {
		t.Helper()
		conn := must(pgx.Connect(t.Context(), config.URI()))(t)
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		for _, sql := range append([]string{"BEGIN"}, statements...) {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin(logins[0], "LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
	begin(admin(t, db.Config().Database()), "REINDEX TABLE b.item")
	begin(logins[2], "SELECT FROM item")
	go func() { _ = tryExec(t, logins[2], "TRUNCATE item") }() // It waits for the reader until the test ends.
	eventually(t, "the TRUNCATE waits", func() bool {
		return query(t, admin(t, db.Config().Database()), "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = 'c.item'::regclass") != "0"
	})
	sizes := must(db.SchemaSizes(t.Context(), []string{"a", "b", "c", "free"}))(t)
	if diff := cmp.Diff(map[string]int64{"free": sizes["free"]}, sizes); diff != "" || sizes["free"] == 0 {
		t.Errorf("sizes beside locks (-want +got):\n%s", diff)
	}
}
