package migrations

import (
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
)

// A schema that is known to have been migrated is not taken for a new one because its ledger is gone.
func TestLostLedger(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target, set := db.tenant(t, "acme"), mustLoad(t, twelve(nil))
		db.apply(t, target, set, "3")
		before := effects(t, db, target)
		target.Recorded = "3"
		for _, lose := range []string{"DELETE FROM acme.tenantry_migrations", "DROP TABLE acme.tenantry_migrations"} {
			db.exec(t, "CREATE TABLE IF NOT EXISTS public.backup AS SELECT * FROM acme.tenantry_migrations", lose)
			result, err := Apply(t.Context(), db.pool, target, set, "")
			if fault.ReasonOf(err) != ReasonLedgerUnusable || fault.KindOf(err) != fault.Invalid || result.Read || result.Fits {
				t.Errorf("after %s: %+v, %v", lose, result, err)
			}
		}
		if got := effects(t, db, target); got != before {
			t.Errorf("effects = %s, want %s", got, before)
		}
		unknown := target
		unknown.Recorded = ""
		if _, err := Apply(t.Context(), db.pool, unknown, set, ""); err == nil {
			t.Error("the first file ran again on its own tables")
		}
		for _, sql := range target.createLedger() {
			db.exec(t, "SET ROLE "+ident(target.Owner)+"; "+sql+"; RESET ROLE")
		}
		db.exec(t, "INSERT INTO acme.tenantry_migrations SELECT * FROM public.backup")
		db.apply(t, target, set, "")
		if got := effects(t, db, target); got != allEffects {
			t.Errorf("effects = %s", got)
		}
	})
}
