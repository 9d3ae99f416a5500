package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// tellsNamesake wants that Provision tells the namesake whose the schema is, and nobody else.
func tellsNamesake(t *testing.T, db *postgres.DB, namesake postgres.Tenant, uid, reason string) {
	t.Helper()
	_, err := db.Provision(t.Context(), namesake)
	if fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != reason || !strings.Contains(err.Error(), uid) {
		t.Errorf("Provision by the namesake = %v, want %s", err, reason)
	}
	thief := namesake
	thief.UID, thief.Name = "uid-3", "thief"
	if _, err := db.Provision(t.Context(), thief); fault.ReasonOf(err) != postgres.ReasonSchemaNameTaken || strings.Contains(err.Error(), uid) {
		t.Errorf("Provision by another = %v", err)
	}
	before := observe(t, db, namesake)
	if err := db.Adopt(t.Context(), thief, uid); err == nil {
		t.Error("another Tenant adopted the schema")
	}
	if err := db.Adopt(t.Context(), namesake, "uid-wrong"); err == nil {
		t.Error("a wrong UID adopted the schema")
	}
	if after := observe(t, db, namesake); after.State != before.State || after.OwnerUID != before.OwnerUID {
		t.Errorf("who may not adopt changed %s of %s to %s of %s", before.State, before.OwnerUID, after.State, after.OwnerUID)
	}
}

// A deletion that stopped before anything was dropped, and whose Tenant is gone, has all its data: they are
// adopted, also by the Tenant with its UID, as after a restore of the cluster.
func TestAdoptWhatADeletionLeft(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	asOwner(t, db, tn, "CREATE TABLE item (id int)", "INSERT INTO item VALUES (42)")
	exec(t, admin(t, db.Config().Database()), "CREATE VIEW public.v AS SELECT * FROM acme.item")
	again := tn
	again.UID = "uid-2"
	for _, by := range []struct{ from, to postgres.Tenant }{{tn, again}, {again, again}} {
		if err := db.Drop(t.Context(), by.from.UID, "acme"); fault.ReasonOf(err) != string(postgres.DependentObjects) {
			t.Fatalf("Drop = %v", err)
		}
		tellsNamesake(t, db, by.to, by.from.UID, postgres.ReasonSchemaRetained)
		for range 2 {
			if err := db.Adopt(t.Context(), by.to, by.from.UID); err != nil {
				t.Fatal(err)
			}
		}
		must(db.Provision(t.Context(), by.to))(t)
		if got := query(t, setPassword(t, db, by.to), "SELECT id FROM item"); got != "42" {
			t.Errorf("data = %s", got)
		}
		if err := db.Drop(t.Context(), tn.UID, "acme"); fault.ReasonOf(err) != postgres.ReasonNotOwner {
			t.Errorf("Drop by the old UID = %v", err)
		}
	}
}

// Half a schema is adopted for no other end than that the rest of it goes.
func TestAdoptHalfASchemaToDropIt(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	tn, _ := newTenant(t, db, "acme")
	var sql []string
	for i := range 250 {
		sql = append(sql, fmt.Sprintf("CREATE TABLE t%d (id int PRIMARY KEY)", i))
	}
	asOwner(t, db, tn, strings.Join(sql, ";"))
	reader := connect(t, admin(t, db.Config().Database()))
	if _, err := reader.Exec(t.Context(), "BEGIN; SELECT FROM acme.t0"); err != nil { // t0 is dropped last
		t.Fatal(err)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); fault.ReasonOf(err) != string(postgres.LockTimeout) {
		t.Fatalf("Drop under a lock = %v", err)
	}
	_ = reader.Close(t.Context())
	again := tn
	again.UID = "uid-2"
	tellsNamesake(t, db, again, tn.UID, postgres.ReasonPartlyDropped)
	for range 2 {
		if err := db.Adopt(t.Context(), again, tn.UID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Provision(t.Context(), again); fault.ReasonOf(err) != postgres.ReasonPartlyDropped || !strings.Contains(err.Error(), "deletionPolicy") {
		t.Errorf("Provision of half a schema = %v", err)
	}
	if o := observe(t, db, again); o.State != postgres.StateDropping || o.OwnerUID != again.UID {
		t.Errorf("the registry says %s of %s", o.State, o.OwnerUID)
	}
	if err := db.Drop(t.Context(), tn.UID, "acme"); fault.ReasonOf(err) != postgres.ReasonNotOwner {
		t.Errorf("Drop by the old UID = %v", err)
	}
	if err := db.Drop(t.Context(), again.UID, "acme"); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, db, again); o.Registered || o.SchemaExists {
		t.Errorf("left: %+v", o)
	}
}

// Who retained the schema may have ended before its sessions had. They do not write on beside the new ones.
func TestAdoptEndsSessionsThatRemained(t *testing.T) {
	t.Parallel()
	for _, state := range []string{postgres.StateRetained, postgres.StateDeleting} {
		t.Run(state, func(t *testing.T) {
			db := newDB(t)
			tn, cfg := newTenant(t, db, "acme")
			session := connect(t, cfg)
			exec(t, admin(t, db.Config().Database()), "UPDATE tenantry.tenant SET state = '"+state+"'", "ALTER ROLE "+quote(cfg.User())+" NOLOGIN")
			again := tn
			again.UID = "uid-2"
			if err := db.Adopt(t.Context(), again, tn.UID); err != nil {
				t.Fatal(err)
			}
			if err := session.Ping(t.Context()); err == nil {
				t.Error("a session of before lives on")
			}
			must(db.Provision(t.Context(), again))(t)
		})
	}
}
