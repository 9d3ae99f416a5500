package frameworks

import (
	"fmt"
	"slices"

	"github.com/tenantry/tenantry/internal/migrations"
)

// Of returns the framework whose files a format is, "" for none.
func Of(format migrations.Format) Framework {
	switch format {
	case migrations.Goose:
		return Goose
	case migrations.GolangMigrate:
		return GolangMigrate
	case migrations.Flyway:
		return Flyway
	}
	return ""
}

// Baseline is the version of a set at which a schema stands by its framework's record, "" for none. The set's
// versions come in their order; it may have repeatable migrations besides, which say nothing of a version. A record that does not say just "all up to one version, and nothing else" is an
// error in words for people: what the schema has then only a person can tell.
func (l Ledger) Baseline(versions, repeatables []string) (string, error) {
	if entry := l.Broken(); entry != "" {
		return "", fmt.Errorf("%s says that version %s failed half way", tables[l.framework].name, entry)
	}
	for _, r := range l.records {
		is := func(v string) bool { return l.same(r.entry, v) }
		known := slices.ContainsFunc(versions, is) || slices.ContainsFunc(repeatables, is)
		if !known && l.has(r.entry) && !l.isBeginning(r) {
			return "", fmt.Errorf("%s has version %s, and the set has not", tables[l.framework].name, r.entry)
		}
	}
	at, missing := "", ""
	for _, v := range versions {
		switch has := l.has(v); {
		case has && missing != "":
			return "", fmt.Errorf("%s has version %s and lacks %s", tables[l.framework].name, v, missing)
		case has:
			at = v
		case missing == "":
			missing = v
		}
	}
	return at, nil
}

// isBeginning : goose begins its table with a row for version 0, Flyway's baseline may be any version.
func (l Ledger) isBeginning(r record) bool {
	return l.framework == Goose && r.entry == "0" || r.state == "baseline"
}
