package databases

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/postgres"
)

// Between the look for the operator's pool and the entry's lock, another caller may have found a changed
// Secret. Nothing is opened on the old server, or given out, for what is on the new one by then.
func TestMigratorIsBesideThePoolInUse(t *testing.T) {
	const uid types.UID = "db"
	before, now, migrator := &postgres.DB{}, &postgres.DB{}, &postgres.DB{}
	tests := map[string]struct {
		admin       *postgres.DB
		change      func(p *Pools)
		wantCurrent bool
	}{
		"the pool in use":       {now, func(*Pools) {}, true},
		"the Secret changed":    {before, func(*Pools) {}, false},
		"the server is another": {now, func(p *Pools) { p.Refute(uid) }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := New(nil, postgres.PoolOptions{})
			e := p.entry(uid)
			e.admin, e.confirmed, e.migrators["set"] = now, true, migrator
			tt.change(p)
			m, current, err := p.migratorBeside(t.Context(), uid, tt.admin, "set")
			if err != nil || current != tt.wantCurrent || (m != nil) != tt.wantCurrent {
				t.Errorf("migratorBeside() = %v, %v, %v, want current %v", m, current, err, tt.wantCurrent)
			}
		})
	}
}
