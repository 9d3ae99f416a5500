package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Hosts go off another schema only in the name of the Tenant that the registry has for it, and no others with them.
func TestReleaseDomains(t *testing.T) {
	db := newDB(t)
	old, _ := newTenant(t, db, "old")
	acme, _ := newTenant(t, db, "acme")
	must(db.SetDomains(t.Context(), old.UID, "old", []string{"a.example", "b.example", "c.example"}))(t)
	if _, err := db.SetDomains(t.Context(), acme.UID, "acme", []string{"b.example", "new.example"}); fault.ReasonOf(err) != postgres.ReasonDomainTaken {
		t.Fatalf("SetDomains: %v", err)
	}
	holders := must(db.DomainHolders(t.Context(), "acme", []string{"b.example", "a.example", "new.example"}))(t)
	want := []postgres.DomainHolder{{Schema: "old", UID: old.UID, Namespace: old.Namespace, Name: old.Name, Hosts: []string{"a.example", "b.example"}}}
	if diff := cmp.Diff(want, holders); diff != "" {
		t.Fatalf("holders (-want +got):\n%s", diff)
	}
	stranger := holders[0]
	stranger.UID = acme.UID
	if err := db.ReleaseDomains(t.Context(), stranger); fault.ReasonOf(err) != postgres.ReasonNotOwner {
		t.Errorf("in another one's name: %v", err)
	}
	holders[0].Hosts = []string{"b.example"}
	if err := db.ReleaseDomains(t.Context(), holders[0]); err != nil {
		t.Fatal(err)
	}
	must(db.SetDomains(t.Context(), acme.UID, "acme", []string{"b.example", "new.example"}))(t)
	if got := must(db.Observe(t.Context(), old))(t).Domains; !cmp.Equal(got, []string{"a.example", "c.example"}) {
		t.Errorf("the old schema has %q", got)
	}
	if holders := must(db.DomainHolders(t.Context(), "acme", []string{"b.example", "new.example"}))(t); len(holders) > 0 {
		t.Errorf("holders of one's own hosts: %+v", holders)
	}
}
