package platform

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAuditEvents reads a log from every place in it, as it may be found while a server writes.
func TestAuditEvents(t *testing.T) {
	line := func(name string) string { return `{"verb":"create","objectRef":{"name":"` + name + `"}}` + "\n" }
	const half = `{"verb":"crea`
	log := line("a") + line("b") + line("c")
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(log+half), 0o600); err != nil {
		t.Fatal(err)
	}
	for mark := range len(log + half) {
		t.Run(strconv.Itoa(mark), func(t *testing.T) {
			events, err := (&ControlPlane{AuditLog: path}).AuditEvents(int64(mark))
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for _, e := range events {
				got = append(got, e.Name)
			}
			for _, name := range []string{"a", "b", "c"} {
				if mark <= strings.Index(log, line(name)) {
					want = append(want, name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("since %d (-want +got):\n%s", mark, diff)
			}
		})
	}
}
