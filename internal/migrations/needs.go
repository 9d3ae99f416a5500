package migrations

import (
	"regexp"
	"strings"
)

// needsMark is a line by which a file says what the shared schema must have before it can run. It is in
// the file, and not beside it, so that it comes with the file by whatever way the file comes.
var needsMark = regexp.MustCompile(`(?m)^[ \t]*--[ \t]*tenantry:requires([^\n]*)$`)

var needsShared = regexp.MustCompile(`^-shared[ \t]+([0-9]+(?:[._][0-9]+)*)[ \t]*$`)

// needs reads the marks of a file; "" means that it needs nothing.
func needs(s source) (shared Version, err error) {
	for _, at := range needsMark.FindAllStringSubmatchIndex(s.text, -1) {
		m := needsShared.FindStringSubmatch(s.text[at[2]:at[3]])
		if m == nil {
			return "", s.invalid(at[0], "%q is no requirement; write -- tenantry:requires-shared 7 for version 7 of the shared schema", strings.TrimSpace(s.text[at[0]:at[1]]))
		}
		if v := normalVersion(m[1], "._"); v.Compare(shared) > 0 {
			shared = v
		}
	}
	return shared, nil
}

// NeedsShared is the version of the shared schema that the migrations up to a version need; "" if they
// need none, or whichever.
func (s *Set) NeedsShared(upto Version) Version {
	var shared Version
	for i := range s.Migrations {
		m := &s.Migrations[i]
		if v := m.NeedsShared; v.Compare(shared) > 0 && (m.Version.Compare(upto) <= 0 || m.Repeatable && upto == s.Latest()) {
			shared = v
		}
	}
	return shared
}
