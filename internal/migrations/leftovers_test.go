package migrations

import (
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
)

// TestFailedBuildsOfUnknownNamesLeaveNothing tries each twice: what the first try left would make the second one's
// name another.
func TestFailedBuildsOfUnknownNamesLeaveNothing(t *testing.T) {
	const table = `-- file 1_a.sql --
CREATE TABLE a (id int, other int);
INSERT INTO a VALUES (1, 2), (1, 2);
CREATE FUNCTION fickle(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE INDEX a_fickle ON a (fickle(other));
CREATE OR REPLACE FUNCTION fickle(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1 / ($1 - 2)';
-- file 2_b.sql --
`
	cases := map[string]struct{ statement, left string }{
		"unnamed": {"CREATE UNIQUE INDEX CONCURRENTLY ON a (id);", "a_fickle|true"},
		"copy":    {"REINDEX INDEX CONCURRENTLY a_fickle;", "a_fickle|true"},
		"copies":  {"REINDEX TABLE CONCURRENTLY a;", "a_fickle|true"},
	}
	onServers(t, func(t *testing.T, db *database) {
		for name, c := range cases {
			target, set := db.tenant(t, name), load(t, table+c.statement)
			for range 2 {
				if _, err := Apply(t.Context(), db.pool, target, set, ""); fault.ReasonOf(err) != ReasonMigrationFailed {
					t.Fatalf("%s: %v", name, err)
				}
				if got := db.indexes(t, target); got != c.left {
					t.Errorf("%s: indexes = %s, want %s", name, got, c.left)
				}
			}
		}
	})
}

func TestInvalidIndexesOfOthersStay(t *testing.T) {
	const files = `-- file 1_a.sql --
CREATE TABLE a (id int);
INSERT INTO a VALUES (1), (1);
-- file 2_b.sql --
CREATE UNIQUE INDEX CONCURRENTLY ON a (id);
`
	onServers(t, func(t *testing.T, db *database) {
		target := db.tenant(t, "acme")
		db.apply(t, target, load(t, files), "1")
		conn, err := db.admin.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `CREATE UNIQUE INDEX CONCURRENTLY theirs ON `+ident(target.Schema, "a")+` (id)`); err == nil {
			t.Fatal("an index became unique over duplicates")
		}
		conn.Release()
		if _, err := Apply(t.Context(), db.pool, target, load(t, files), ""); fault.ReasonOf(err) != ReasonMigrationFailed {
			t.Fatal(err)
		}
		if got := db.indexes(t, target); got != "theirs|false" {
			t.Errorf("indexes = %s, want theirs alone", got)
		}
	})
}
