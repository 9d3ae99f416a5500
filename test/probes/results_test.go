package probes

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// The tables, in the order in which they are printed.
const (
	isolation = "Tenant to tenant"
	injection = "Injection"
	leaks     = "Leaks"
)

// result is one line of a table.
type result struct {
	table string
	// where it was tried: a version of PostgreSQL, the API server.
	where, name, want, got string
	unexpected             bool
	// place keeps the order of the tables, whatever ran first.
	place int
}

// results are what all tests of the process found.
var results collection

type collection struct {
	mu   sync.Mutex
	rows []result
}

// add records what came of a probe, and fails the test if it should not have come of it.
func (c *collection) add(t testing.TB, r result) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	r.place = len(c.rows)
	c.rows = append(c.rows, r)
	if r.unexpected {
		t.Errorf("%s, %s: %s\n got %s\nwant %s", r.table, r.where, r.name, r.got, r.want)
	}
}

// print shows the tables and says whether every probe ended as it should. Nothing is printed where
// nothing ran, as for a single test of something else.
func (c *collection) print(w io.Writer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rows) == 0 {
		return true
	}
	var counts []string
	unexpected := 0
	for _, table := range []string{isolation, injection, leaks} {
		var rows []result
		for _, r := range c.rows {
			if r.table == table {
				rows = append(rows, r)
			}
		}
		unexpected += printTable(w, table, rows)
		counts = append(counts, fmt.Sprintf("%s %d", strings.ToLower(table), len(rows)))
	}
	_, _ = fmt.Fprintf(w, "\nprobes: %s; %d unexpected\n", strings.Join(counts, ", "), unexpected)
	return unexpected == 0
}

func printTable(w io.Writer, title string, rows []result) (unexpected int) {
	if len(rows) == 0 {
		return 0
	}
	slices.SortStableFunc(rows, func(a, b result) int { return cmp.Or(cmp.Compare(a.where, b.where), cmp.Compare(a.place, b.place)) })
	_, _ = fmt.Fprintf(w, "\n%s\n\n", title)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tab, "\tWHERE\tPROBE\tEXPECTED\tGOT")
	perPlace := map[string]int{}
	for _, r := range rows {
		mark := "ok"
		if r.unexpected {
			mark = "UNEXPECTED"
			unexpected++
		}
		perPlace[r.where]++
		_, _ = fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\n", mark, r.where, r.name, r.want, r.got)
	}
	_ = tab.Flush()
	_, _ = fmt.Fprintln(w)
	for _, where := range slices.Sorted(mapKeys(perPlace)) {
		_, _ = fmt.Fprintf(w, "%s, %s: %d\n", title, where, perPlace[where])
	}
	return unexpected
}
