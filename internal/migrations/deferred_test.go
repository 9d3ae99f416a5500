package migrations

import (
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
)

// What a constraint puts off until the end of the transaction is refused by COMMIT, and is the file's failure like any.
func TestDeferredConstraint(t *testing.T) {
	const first = `-- file 1_a.sql --
CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
`
	cases := map[string]struct{ files, want string }{
		"a":        {"-- file 2_b.sql --\nINSERT INTO b VALUES (7);\n", "; the schema stays at version 1"},
		"in-units": {"-- file 2_b.sql --\nVACUUM a;\nINSERT INTO b VALUES (7);\n", "; the file's first 1 statements took effect; the schema stays at version 1"},
		"behind":   {"-- file 2_a.sql --\nINSERT INTO a VALUES (1);\n-- file 3_b.sql --\nINSERT INTO b VALUES (7);\n", "; the schema stays at version 2"},
	}
	onServers(t, func(t *testing.T, db *database) {
		for name, c := range cases {
			target := db.tenant(t, name)
			_, err := Apply(t.Context(), db.pool, target, load(t, first+c.files), "")
			file := "2_b.sql"
			if name == "behind" {
				file = "3_b.sql"
			}
			want := file + `: at COMMIT: insert or update on table "b" violates foreign key constraint "b_a_fkey" (23503)` + c.want
			if err == nil || err.Error() != want || fault.ReasonOf(err) != ReasonMigrationFailed || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: error = %v\nwant %s", name, err, want)
			}
		}
	})
}
