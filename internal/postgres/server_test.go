package postgres_test

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// What was seen on a server is not believed of the one that answers after it.
func TestForgetsAnotherServer(t *testing.T) {
	s, err := platform.StartPostgres(t.Context(), platform.PostgresSetting("fsync", "off"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	config := must(postgres.ParseDSN(must(s.NewOperatorDatabase(t.Context(), "shop"))(t)))(t)
	db := open(t, config)
	must(db.Bootstrap(t.Context(), "marker", "shared"))(t)
	tn, _ := newTenant(t, db, "acme")
	must(db.SetVersion(t.Context(), tn.UID, tn.Schema, "1", "digest"))(t)

	other := open(t, config)
	seen := func() (version string, err error) {
		if _, err := other.EverRevoked(t.Context(), tn.Schema, time.Hour); err != nil {
			return "", err
		}
		o, err := other.Recall(t.Context(), tn, time.Hour)
		return o.Version, err
	}
	must(seen())(t)
	must(db.SetVersion(t.Context(), tn.UID, tn.Schema, "2", "digest"))(t)
	if version := must(seen())(t); version != "1" {
		t.Errorf("version %s is recalled, want 1, seen before", version)
	}
	if err := s.Halt(); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A session of before fails once; a new one tells that the server is another.
	eventually(t, "the new server's word is heard", func() bool {
		_, err := other.EverRevoked(t.Context(), tn.Schema, 0)
		return err == nil
	})
	if version := must(seen())(t); version != "2" {
		t.Errorf("version %s is recalled behind a restart, want 2", version)
	}
}
