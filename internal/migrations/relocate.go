package migrations

import (
	"fmt"
	"regexp"
	"strings"
)

// restricts are the lines by which pg_dump switches psql's own commands off.
var restricts = regexp.MustCompile(`(?m)^\\(un)?restrict [A-Za-z0-9]+$`)

const relocated = `-- Made by: kubectl tenant make-checkpoint. It equals all migrations up to the version in its name.
SET LOCAL check_function_bodies = false;
`

// Relocate makes a checkpoint of what pg_dump wrote about one schema (as SQL, rows as INSERTs, without
// owners and rights): names lose the schema, so that they mean the schema that is first on the path, and
// what is the session's or the database's goes. What it cannot tell apart it refuses. The text of
// function bodies stays as it is.
func Relocate(dump, schema string) (string, error) {
	s := source{file: "the dump", text: restricts.ReplaceAllString(strings.ReplaceAll(dump, "\r\n", "\n"), "")}
	pieces, err := split(s)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString(relocated)
	for _, p := range pieces {
		if notOfSchema(s, p) {
			continue
		}
		sql, err := relocate(s, p, schema)
		if err != nil {
			return "", err
		}
		out.WriteString("\n" + sql + ";\n")
	}
	return out.String(), nil
}

// notOfSchema finds what pg_dump says to the session, and about the schema itself.
func notOfSchema(s source, p piece) bool {
	w := words(p.tokens)
	switch w[0] {
	case "set", "reset":
		return true
	case "select":
		return strings.HasPrefix(p.sql(s), "SELECT pg_catalog.set_config(")
	case "create", "alter":
		return second(w) == "schema" || second(w) == "default" || second(w) == "extension"
	case "comment":
		return len(w) > 2 && (w[2] == "schema" || w[2] == "extension")
	case "grant", "revoke":
		return true
	}
	return false
}

// edit replaces a part of a text.
type edit struct {
	from, to int
	with     string
}

func relocate(s source, p piece, schema string) (string, error) {
	var edits []edit
	for i := 0; i < len(p.tokens); i++ {
		t := p.tokens[i]
		text := func(j int) string {
			if j < 0 || j >= len(p.tokens) {
				return ""
			}
			return s.text[p.tokens[j].start:p.tokens[j].end]
		}
		switch {
		case t.code == tokenString && (text(i+1) == "::" && strings.HasPrefix(text(i+2), "reg") || text(i-1) == "(" && text(i-2) == "setval"):
			with, err := relocateName(text(i), schema)
			if err != nil {
				return "", s.invalid(t.start, "%v", err)
			}
			edits = append(edits, edit{t.start, t.end, with})
		case t.word == "set" && text(i+1) == "search_path" && strings.EqualFold(text(i+2), "to") && text(i+3) == "'"+schema+"'":
			// What a function's SET search_path FROM CURRENT became.
			last := i + 3
			for text(last+1) == "," {
				last += 2
			}
			edits = append(edits, edit{p.tokens[i+2].start, p.tokens[last].end, "FROM CURRENT"})
			i = last
		case t.word == "" && t.code != tokenIdent, identifier(s, t) != schema, text(i-1) == ".":
		case text(i+1) == ".":
			edits = append(edits, edit{t.start, p.tokens[i+1].end, ""})
		case t.code == tokenIdent:
			return "", s.invalid(t.start, "the schema's name %q is also the name of something in it; make the checkpoint from a schema with another name", schema)
		}
	}
	return apply(s.text, p.start, p.end, edits), nil
}

// relocateName is relocate for a name in a literal, such as that of a sequence.
func relocateName(literal, schema string) (string, error) {
	if !strings.HasPrefix(literal, "'") {
		return "", fmt.Errorf("the literal %s is not understood", literal)
	}
	inner := source{file: "the dump", text: strings.ReplaceAll(literal[1:len(literal)-1], "''", "'")}
	pieces, err := split(inner)
	if err != nil || len(pieces) != 1 {
		return literal, err
	}
	text, err := relocate(inner, pieces[0], schema)
	return "'" + strings.ReplaceAll(text, "'", "''") + "'", err
}

func apply(text string, from, to int, edits []edit) string {
	var out strings.Builder
	for _, e := range edits {
		out.WriteString(text[from:e.from] + e.with)
		from = e.to
	}
	return out.String() + text[from:to]
}
