package frameworks

import (
	"strings"
	"testing"
)

func TestBaselineOfRecords(t *testing.T) {
	applied := func(entries ...string) (all []record) {
		for _, e := range entries {
			all = append(all, record{e, "applied"})
		}
		return all
	}
	for name, tt := range map[string]struct {
		framework Framework
		records   []record
		want, err string
	}{
		"nothing":                  {Goose, nil, "", ""},
		"only goose's beginning":   {Goose, applied("0"), "", ""},
		"goose":                    {Goose, applied("0", "1", "2"), "2", ""},
		"goose, gone back":         {Goose, append(applied("0", "1", "2"), record{"2", "undone"}), "1", ""},
		"goose, with a gap":        {Goose, applied("0", "1", "3"), "", "has version 3 and lacks 2"},
		"goose, ahead of the set":  {Goose, applied("0", "1", "2", "3", "4"), "", "has version 4, and the set has not"},
		"golang-migrate":           {GolangMigrate, applied("2"), "2", ""},
		"golang-migrate, dirty":    {GolangMigrate, []record{{"2", "broken"}}, "", "version 2 failed half way"},
		"golang-migrate, ahead":    {GolangMigrate, applied("9"), "", "has version 9, and the set has not"},
		"Flyway":                   {Flyway, applied("1", "2", "3"), "3", ""},
		"Flyway's own baseline":    {Flyway, append([]record{{"1.5", "baseline"}}, applied("2")...), "2", ""},
		"Flyway, repeatable":       {Flyway, applied("1", "2", "R__the view"), "2", ""},
		"Flyway, another view":     {Flyway, applied("1", "R__my view"), "", "has version R__my view, and the set has not"},
		"Flyway, failed":           {Flyway, append(applied("1"), record{"2", "broken"}), "", "version 2 failed half way"},
		"Flyway, another numbers":  {Flyway, applied("1", "2.1"), "", "has version 2.1, and the set has not"},
		"golang-migrate, a number": {GolangMigrate, applied("3"), "3", ""},
	} {
		got, err := Ledger{framework: tt.framework, records: tt.records}.Baseline([]string{"1", "2", "3"}, []string{"R__the_view"})
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, tt.want, tt.err)
		}
	}
}
