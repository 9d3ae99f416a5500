package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/fault"
)

// Load reads the files of a set. Every error is an Invalid fault that names file and line and says
// how to mend it. Names without ".sql" in them take no part.
//
// Cost: the first call in a process starts the parser (0.5 s, 2-3 s on a busy machine), then 100
// files of 60 KB together take about 20 ms. Callers keep the result as long as the files are the same.
func Load(files []File, f Format) (*Set, error) {
	if err := checkSizes(files); err != nil {
		return nil, err
	}
	checkpoints, files, err := takeCheckpoints(files)
	if err != nil {
		return nil, err
	}
	if f == Auto {
		if f, err = detect(files); err != nil {
			return nil, err
		}
	}
	if !slices.Contains([]Format{Auto, Plain, Goose, GolangMigrate, Flyway}, f) {
		return nil, fault.NewInvalid(ReasonInvalidMigration, "format %q is unknown; use Plain, Goose, GolangMigrate or Flyway", f)
	}
	known, conf, err := readNames(files, f)
	if err != nil {
		return nil, err
	}
	set := &Set{Format: f, index: map[Version]int{}}
	for _, n := range known {
		m, err := loadFile(n, f, conf)
		if err != nil {
			return nil, err
		}
		set.index[m.Version.key()] = len(set.Migrations)
		set.Migrations = append(set.Migrations, *m)
	}
	if len(set.Migrations) == 0 {
		return nil, fault.NewInvalid(ReasonInvalidMigration, "there are no migration files; add 0001_name.sql")
	}
	set.Digest = digest(set.Migrations)
	return set, set.loadCheckpoints(checkpoints)
}

func checkSizes(files []File) error {
	total := 0
	for _, f := range files {
		total += len(f.Content)
	}
	if total > MaxSetBytes || len(files) > MaxFiles {
		return fault.NewInvalid(ReasonInvalidMigration, "%d files of %d bytes are too many; the limits are %d files and %d bytes",
			len(files), total, MaxFiles, MaxSetBytes)
	}
	return nil
}

// readNames returns the files that run, in the order in which they do, and those that set options.
func readNames(files []File, f Format) ([]*named, map[string][]byte, error) {
	var known []*named
	conf := map[string][]byte{}
	for _, file := range files {
		n, err := readName(file, f)
		switch {
		case err != nil:
			return nil, nil, err
		case n != nil:
			known = append(known, n)
		case strings.HasSuffix(file.Name, ".conf"):
			conf[file.Name] = file.Content
		}
	}
	if err := pairs(known); err != nil {
		return nil, nil, err
	}
	known = slices.DeleteFunc(known, func(n *named) bool { return n.ignored })
	slices.SortFunc(known, func(a, b *named) int { return a.version.Compare(b.version) })
	return known, conf, nil
}

// maxVersion is how long a version may be: what reports it has room for so much.
const maxVersion = 64

func loadFile(n *named, f Format, conf map[string][]byte) (*Migration, error) {
	if !n.repeatable && len(n.version) > maxVersion {
		return nil, invalid(n.Name, 0, "its version has %d characters; at most %d are allowed", len(n.version), maxVersion)
	}
	s, hashed, outside, err := body(n, f, conf)
	if err != nil {
		return nil, err
	}
	statements, err := read(s)
	if err != nil {
		return nil, err
	}
	m := &Migration{
		Version: n.version, Name: n.name, File: n.Name, Repeatable: n.repeatable,
		Checksum: checksum(strings.TrimRight(hashed, " \t\n")),
	}
	if m.NeedsShared, err = needs(s); err != nil {
		return nil, err
	}
	if err := m.arrange(s, statements, outside); err != nil {
		return nil, err
	}
	return m, nil
}

// read tells the statements of a file apart and classifies them.
func read(s source) ([]Statement, error) {
	pieces, err := split(s)
	if err != nil {
		return nil, err
	}
	statements := make([]Statement, 0, len(pieces))
	line, at := 1, 0
	for _, p := range pieces {
		line += strings.Count(s.text[at:p.start], "\n")
		at = p.start
		answer, unparsed, err := check(s, p)
		if err != nil {
			return nil, err
		}
		c, refusal := classify(s, p)
		if refusal == "" && mentions(s, p, ledgerTable) {
			refusal = ledgerTable + " is the ledger of the migrations themselves; remove the statement"
		}
		if refusal != "" {
			return nil, invalid(s.file, line, "%s", refusal)
		}
		stays := temporaryNames(s, p)
		if stays && p.tokens[0].word == "create" {
			c = temporary
		}
		st := Statement{SQL: p.sql(s), Line: line, Unparsed: unparsed, class: c, leaks: leaks(c, p) || unparsed != "" || stays, Notes: p.notes}
		st.keepsRights = unparsed == "" && keepsRights(answer)
		if c == session && (p.tokens[0].word == "set" || p.tokens[0].word == "reset") {
			st.sets = settingOf(s, p)
		}
		if c == createsIndex || c == dropsIndex {
			st.index = indexOf(s, p)
		}
		statements = append(statements, st)
	}
	return statements, nil
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// prefix is a checksum over the first n statements of a migration; "" if it has fewer.
func (m *Migration) prefix(n int) string {
	if n > len(m.Statements) {
		return ""
	}
	var text strings.Builder
	for _, st := range m.Statements[:n] {
		text.WriteString(st.SQL + ";\n")
	}
	return checksum(text.String())
}

func digest(all []Migration) string {
	var text strings.Builder
	for i := range all {
		m := &all[i]
		how := "outside"
		if m.Transactional {
			how = "transaction"
		}
		text.WriteString(strings.Join([]string{string(m.Version), m.File, m.Checksum, how}, "\x00") + "\n")
	}
	return checksum(text.String())
}
