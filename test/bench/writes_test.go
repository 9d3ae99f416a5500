package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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

// putOff tells what the operator put off until all tenants were Ready: their events, and what claims repeat of them.
// The processor time is that beyond what programs take that rest.
func (s *stage) putOff(b *testing.B, what string) string {
	b.Helper()
	mark := s.mark(b)
	behind := measure(func() { s.quiet(b) })
	const look = 5 * time.Second
	resting := measure(func() { <-time.After(look) })
	more := behind.processor - time.Duration(float64(resting.processor)*behind.clock.Seconds()/look.Seconds())
	return fmt.Sprintf("Put off until all were Ready: %.1f ms of processor time for each, in %.0f s. %s",
		float64(more.Microseconds())/1000/float64(len(s.names)), behind.clock.Seconds(), s.writes(b, what+", put off", mark))
}

// settle lets the servers finish what is left of the work before: what vacuum, checkpoints and the garbage collector
// do beside it is charged to nobody.
func (s *stage) settle(b *testing.B) {
	b.Helper()
	s.vacuum(b)
	operator.Exec(b, s.Server.AdminDSN(), "CHECKPOINT")
	const look, idle, patience = 2 * time.Second, 0.15, 2 * time.Minute
	for began := time.Now(); time.Since(began) < patience; {
		if used := measure(func() { <-time.After(look) }); used.processor.Seconds()/look.Seconds() < idle {
			return
		}
	}
}

// vacuum does at once what autovacuum would do in the next minute about the catalogs, which a thousand schemas that
// were made or taken away leave behind: seconds of work, charged to whoever is measured then. What autovacuum does about
// the work that is measured stays part of it.
func (s *stage) vacuum(b *testing.B) {
	b.Helper()
	operator.Exec(b, s.AdminDSN, "VACUUM (ANALYZE) "+operator.Query[string](b, s.AdminDSN, `SELECT string_agg(c.oid::regclass::text, ', ')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname IN ('pg_catalog', 'tenantry')`))
}
