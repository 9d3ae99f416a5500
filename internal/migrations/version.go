package migrations

import (
	"cmp"
	"strings"
)

// Version names a migration within its set, as the format writes it with leading zeros dropped:
// "7" for 0007_orders.sql, "1.2" for Flyway's V1_2__orders.sql, "20260131120000" for a timestamp.
// A repeatable migration's version is its description after "R__"; it sorts behind all others.
// The empty version stands for "none": no migration applied, or no target chosen.
type Version string

// Written is a version as people write it, who have it from a file's name: 0007 and 1_2 compare as 7 and 1.2.
func Written(text string) Version { return Version(strings.ReplaceAll(text, "_", ".")) }

// repeatablePrefix marks the version of a repeatable migration. No numbered version starts with it.
const repeatablePrefix = "R__"

// Compare orders versions by their numbers, part by part: 1 < 2 < 10 and 1.2 < 1.10. A missing part
// counts as 0, so 1 and 1.0 are equal, as in Flyway. The empty version is below every other.
func (v Version) Compare(w Version) int {
	if v.Repeatable() || w.Repeatable() {
		if v.Repeatable() && w.Repeatable() {
			return cmp.Compare(v.description(), w.description())
		}
		if v.Repeatable() {
			return 1
		}
		return -1
	}
	if v == "" || w == "" {
		return cmp.Compare(len(v), len(w))
	}
	a, b := strings.Split(string(v), "."), strings.Split(string(w), ".")
	for i := range max(len(a), len(b)) {
		if c := compareNumbers(part(a, i), part(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

// description is how Flyway sorts repeatable migrations.
func (v Version) description() string { return strings.ReplaceAll(string(v), "_", " ") }

// Repeatable reports whether v belongs to a repeatable migration.
func (v Version) Repeatable() bool { return strings.HasPrefix(string(v), repeatablePrefix) }

// key is the same for versions that compare as equal.
func (v Version) key() Version {
	if v.Repeatable() {
		return v
	}
	v = normalVersion(string(v), ".")
	for strings.HasSuffix(string(v), ".0") {
		v = v[:len(v)-len(".0")]
	}
	return v
}

func part(parts []string, i int) string {
	if i < len(parts) {
		return strings.TrimLeft(parts[i], "0")
	}
	return ""
}

// compareNumbers compares decimal numbers without leading zeros. They are compared as text because
// a timestamp with microseconds does not fit every integer.
func compareNumbers(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// normalVersion drops the leading zeros of each part: "0001_02" with separator "_" becomes "1.2".
func normalVersion(text, separators string) Version {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(separators, r) })
	for i, p := range parts {
		if parts[i] = strings.TrimLeft(p, "0"); parts[i] == "" {
			parts[i] = "0"
		}
	}
	return Version(strings.Join(parts, "."))
}
