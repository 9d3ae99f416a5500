package migrationset

import (
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A set is held against what a database's schemas got: what was applied must still be there as it was, and
// nothing new may come below it.
func TestCompare(t *testing.T) {
	t.Parallel()
	set, err := migrations.Load([]migrations.File{
		{Name: "V1__a.sql", Content: []byte("SELECT 1;")},
		{Name: "V2__b.sql", Content: []byte("SELECT 2;")},
		{Name: "V2.1__c.sql", Content: []byte("SELECT 3;")},
		{Name: "R__r.sql", Content: []byte("SELECT 4;")},
	}, migrations.Flyway)
	if err != nil {
		t.Fatal(err)
	}
	applied := func(versions ...string) (files []postgres.AppliedFile) {
		for _, v := range versions {
			f := postgres.AppliedFile{Version: v, Name: "V" + v, Checksum: "another"}
			if m, ok := set.At(migrations.Version(v)); ok {
				f.Checksum = m.Checksum
			}
			files = append(files, f)
		}
		return files
	}
	changed := applied("1", "2")
	changed[0].Checksum = "another"
	for name, tt := range map[string]struct {
		files  []postgres.AppliedFile
		reason string
	}{
		"nothing":              {},
		"behind":               {files: applied("1")},
		"up to date":           {files: applied("1", "2", "2.1")},
		"equal version":        {files: applied("1.0", "2")},
		"changed":              {files: changed, reason: v1alpha1.ReasonChecksumChanged},
		"removed":              {files: applied("1", "1.5"), reason: v1alpha1.ReasonMigrationRemoved},
		"late, between":        {files: applied("1", "2.1"), reason: v1alpha1.ReasonOutOfOrder},
		"late, at the start":   {files: applied("2"), reason: v1alpha1.ReasonOutOfOrder},
		"order does not count": {files: applied("2.1", "2", "1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fault.ReasonOf(compare(set, tt.files)); got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
		})
	}
}
