package migrations

import (
	"strings"
	"testing"
)

// A file says what it needs of the shared schema; a set needs what its files up to a version do.
func TestNeedsShared(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, []File{
		{Name: "0001_a.sql", Content: []byte("-- tenantry:requires-shared 2\nSELECT 1;")},
		{Name: "0002_b.sql", Content: []byte("SELECT 2; -- tenantry:requires-shared 99 is no line of its own")},
		{Name: "0003_c.sql", Content: []byte("  --  tenantry:requires-shared 0010\n-- tenantry:requires-shared 1_2\nSELECT 3;")},
	})
	for upto, want := range map[Version]Version{"": "", "1": "2", "2": "2", "3": "10"} {
		if got := set.NeedsShared(upto); got != want {
			t.Errorf("up to %q the set needs %q, want %q", upto, got, want)
		}
	}
	for _, line := range []string{"-- tenantry:requires-shared", "-- tenantry:requires-shared x", "-- tenantry:requires 7", "--tenantry:requires-share 7"} {
		if _, err := Load([]File{{Name: "0001_a.sql", Content: []byte("\n" + line + "\nSELECT 1;")}}, Plain); err == nil || !strings.Contains(err.Error(), "0001_a.sql line 2") {
			t.Errorf("%q: error %v", line, err)
		}
	}
}
