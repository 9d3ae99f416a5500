package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Between the parts of a drop another leader may have retained the schema: the UID is the same, and the
// data are kept.
func TestDropStopsWhereTheSchemaWasRetained(t *testing.T) {
	for name, tables := range map[string]int{"at once": 1, "in parts": 300} {
		t.Run(name, func(t *testing.T) {
			db := newDB(t)
			tn, _ := newTenant(t, db, "acme")
			var sql []string
			for i := range tables {
				sql = append(sql, fmt.Sprintf("CREATE TABLE t%d (id int PRIMARY KEY)", i))
			}
			asOwner(t, db, tn, strings.Join(sql, ";"))
			other := open(t, db.Config())
			err := db.Before(t.Context(), "c.oid DESC LIMIT", func() {
				if err := other.Retain(t.Context(), tn.UID, "acme"); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			err = db.Drop(t.Context(), tn.UID, "acme")
			if fault.ReasonOf(err) != postgres.ReasonSchemaRetained || fault.KindOf(err) != fault.Waiting {
				t.Errorf("Drop = %v", err)
			}
			if got := query(t, db.Config(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'acme'"); got != fmt.Sprint(tables) {
				t.Errorf("%s tables left, want %d", got, tables)
			}
			rows := must(other.Tenants(t.Context()))(t)
			if len(rows) != 1 || rows[0].State != postgres.StateRetained {
				t.Errorf("rows = %+v", rows)
			}
		})
	}
}
