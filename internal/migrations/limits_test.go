package migrations

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
)

// Bounds of sessions to come do not reach those that are open. Once a DBA raised one, the next try has it.
func TestRaisedLimitIsUsedAtOnce(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		set := load(t, `-- file 1_tally.sql --
CREATE TABLE tally (notes bigint);
-- file 2_count.sql --
WITH notes AS MATERIALIZED (SELECT repeat(md5(i::text), 5) AS body FROM generate_series(1, 50000) i)
INSERT INTO tally SELECT count(DISTINCT body) FROM notes;
`)
		db.exec(t, "ALTER ROLE "+db.migrator+" SET temp_file_limit = '64kB'")
		_, err := Apply(t.Context(), db.pool, target, set, "")
		if fault.ReasonOf(err) != ReasonMigrationFailed || !strings.Contains(err.Error(), "(53400); the schema stays at version 1") {
			t.Fatalf("Apply: %v, want that the limit is exceeded", err)
		}
		db.exec(t, "ALTER ROLE "+db.migrator+" SET temp_file_limit = -1")
		if result := db.apply(t, target, set, ""); result.To != "2" {
			t.Errorf("with a raised limit the schema is at version %s, want 2", result.To)
		}
	})
}
