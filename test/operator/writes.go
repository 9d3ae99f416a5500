package operator

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/test/platform"
)

// Writes is a point in time from which writes of the operator are counted, in the API and in SQL.
type Writes struct {
	servers *Servers
	since   time.Time
	audit   int64
	log     int64
	xid     int64
}

// nextXID is the transaction that the server begins next. Only transactions that write get a number,
// so the difference of two is the number of transactions that wrote, on the whole server, in
// whatever way: also by SELECT ... FOR UPDATE and by functions, which no log of statements tells.
const nextXID = `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`

// Writes begins to count. Nothing else may write on the servers meanwhile.
func (s *Servers) Writes(t testing.TB) *Writes {
	t.Helper()
	w := &Writes{servers: s, since: time.Now()}
	var err error
	if w.audit, err = s.Plane.AuditMark(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.Postgres.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	w.log = info.Size()
	w.xid = Query[int64](t, s.Postgres.AdminDSN(), nextXID)
	return w
}

// API returns the operator's write requests since then, and what they wrote.
func (w *Writes) API(t testing.TB) []string {
	t.Helper()
	events, err := w.servers.Plane.AuditEvents(w.audit)
	if err != nil {
		t.Fatal(err)
	}
	var writes []string
	for _, e := range events {
		if e.User == OperatorUser && e.Writes() && !w.late(e) {
			writes = append(writes, describe(e))
		}
	}
	return writes
}

// late tells an event of Kubernetes that was recorded before and sent since: recorders have a queue.
// The name of an event ends with the moment of its recording.
func (w *Writes) late(e platform.AuditEvent) bool {
	if e.Resource != "events" || e.Verb != "create" {
		return false
	}
	nanoseconds, err := strconv.ParseInt(e.Name[strings.LastIndex(e.Name, ".")+1:], 16, 64)
	return err == nil && nanoseconds < w.since.UnixNano()
}

func describe(e platform.AuditEvent) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s/%s %s/%s: %d", e.Verb, e.Resource, e.Subresource, e.Namespace, e.Name, e.Code))
}

// SQL returns how many transactions wrote since then, and the statements that the server logged as
// writing, which may tell where from.
func (w *Writes) SQL(t testing.TB) (transactions int64, statements []string) {
	t.Helper()
	transactions = Query[int64](t, w.servers.Postgres.AdminDSN(), nextXID) - w.xid
	log, err := os.ReadFile(w.servers.Postgres.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log[w.log:])) {
		if strings.Contains(line, "LOG:  statement: ") || strings.Contains(line, "LOG:  execute ") {
			statements = append(statements, strings.TrimSpace(line))
		}
	}
	return transactions, statements
}
