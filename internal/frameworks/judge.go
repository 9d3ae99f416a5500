package frameworks

import (
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/migrations"
)

// Missing returns what of the expected is not there, in the order in which it is expected. A schema that
// has it all, and perhaps more, needs no Job.
func (l Ledger) Missing(expected []string) (missing []string) {
	for _, want := range expected {
		if !l.has(want) {
			missing = append(missing, want)
		}
	}
	return missing
}

// Broken returns an entry that began and did not end well, or "". The framework refuses to go on until
// somebody has looked at it.
func (l Ledger) Broken() string {
	last := map[string]string{}
	var order []string
	for _, r := range l.records {
		if _, seen := last[r.entry]; !seen {
			order = append(order, r.entry)
		}
		last[r.entry] = r.state
	}
	for _, entry := range order {
		if last[entry] == "broken" {
			return entry
		}
	}
	return ""
}

// Empty says that nothing was recorded yet.
func (l Ledger) Empty() bool { return len(l.records) == 0 }

// has goes by the last word on an entry, unless it lies below a baseline, where no word counts.
func (l Ledger) has(want string) bool {
	for _, r := range l.records {
		if r.state == "baseline" && !above(want, r.entry) {
			return true
		}
	}
	for _, r := range slices.Backward(l.records) {
		if l.framework == GolangMigrate && r.state == "applied" && !above(want, r.entry) {
			return true
		}
		if l.same(r.entry, want) {
			return r.state == "applied"
		}
	}
	return false
}

// same compares as the framework does: versions by their numbers, names as they are.
func (l Ledger) same(entry, want string) bool {
	switch l.framework {
	case Flyway, Rails, Goose, GolangMigrate:
		return compare(entry, want) == 0
	}
	return entry == want
}

func above(a, b string) bool { return compare(a, b) > 0 }

// compare orders versions part by part. Flyway writes 1_2 in file names and 1.2 in its table, and R__a_view
// for what its table calls "a view".
func compare(a, b string) int {
	plain := func(v string) migrations.Version {
		if migrations.Version(v).Repeatable() {
			return migrations.Version(strings.ReplaceAll(v, " ", "_"))
		}
		return migrations.Written(v)
	}
	return plain(a).Compare(plain(b))
}
