package migrations

import (
	"regexp"
	"strings"
)

var gooseLine = regexp.MustCompile(`^\s*--\s*\+goose\s+(.*?)\s*$`)

// gooseBody keeps the Up section of a goose file. Lines of other sections become empty, so that the
// rest keeps its numbers. StatementBegin and StatementEnd are checked and otherwise not needed: the
// lexer knows where statements end.
func gooseBody(s source) (up source, hashed string, outside bool, err error) {
	lines := strings.Split(s.text, "\n")
	var section string
	var kept []string
	open := 0
	for i, line := range lines {
		m := gooseLine.FindStringSubmatch(line)
		if m == nil {
			if section == "up" {
				kept = append(kept, line)
			} else {
				lines[i] = ""
			}
			continue
		}
		switch strings.ToUpper(strings.Join(strings.Fields(m[1]), " ")) {
		case "UP":
			if section != "" {
				return s, "", false, invalid(s.file, i+1, "goose takes one Up section, in front of Down; remove this line")
			}
			section = "up"
		case "DOWN":
			if section != "up" || open > 0 {
				return s, "", false, invalid(s.file, i+1, "goose takes one Down section, behind a complete Up section")
			}
			section = "down"
		case "STATEMENTBEGIN":
			if open > 0 {
				return s, "", false, invalid(s.file, i+1, "StatementBegin inside of another one (line %d); end that first", open)
			}
			open = i + 1
		case "STATEMENTEND":
			if open == 0 {
				return s, "", false, invalid(s.file, i+1, "StatementEnd without StatementBegin")
			}
			open = 0
		case "NO TRANSACTION":
			outside = true
		default:
			return s, "", false, invalid(s.file, i+1, "-- +goose %s is not supported; remove it", m[1])
		}
		lines[i] = ""
	}
	switch {
	case section == "":
		return s, "", false, invalid(s.file, 0, `has no line "-- +goose Up"; add it above the SQL`)
	case open > 0:
		return s, "", false, invalid(s.file, open, "StatementBegin without StatementEnd")
	}
	return source{file: s.file, text: strings.Join(lines, "\n")}, strings.Join(kept, "\n"), outside, nil
}
