package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/test/operator"
)

// writes counts the operator's requests that wrote to the API since a mark of the audit log, a tenant each.
func (s *stage) writes(b *testing.B, what string, mark int64) string {
	b.Helper()
	events, err := s.Plane.AuditEvents(mark)
	if err != nil {
		b.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range events {
		if e.User == operator.OperatorUser && (e.Namespace == s.Namespace || e.Namespace == "") {
			count[strings.TrimSuffix(e.Verb+" "+e.Resource+"/"+e.Subresource, "/")]++
		}
	}
	var parts []string
	for kind, n := range count {
		parts = append(parts, fmt.Sprintf("%.2f %s", float64(n)/float64(len(s.names)), kind))
	}
	slices.Sort(parts)
	return fmt.Sprintf("API writes of the operator for a tenant's %s: %s.", what, strings.Join(parts, ", "))
}

func (s *stage) mark(b *testing.B) int64 {
	b.Helper()
	mark, err := s.Plane.AuditMark()
	if err != nil {
		b.Fatal(err)
	}
	return mark
}
