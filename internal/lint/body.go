package lint

import (
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/migrations"
)

// body judges what stands in the body of a DO block, which runs at once, or of a routine, as far as
// text tells.
func (l *linter) body(n node, st *migrations.Statement) {
	kind, stmt := n.kind()
	list := "options"
	switch kind {
	case "DoStmt":
		list = "args"
	case "CreateFunctionStmt":
		l.mode = routine
	default:
		return
	}
	text, language := "", ""
	for _, o := range stmt.list(list) {
		switch d := o.as("DefElem"); d.text("defname") {
		case "as":
			text = d.text("arg", "String", "sval")
			if parts := d.names("arg", "List", "items"); len(parts) > 0 {
				text = parts[0]
			}
		case "language":
			language = d.text("arg", "String", "sval")
		}
	}
	if !slices.Contains([]string{"", "plpgsql", "sql"}, strings.ToLower(language)) {
		return
	}
	first := st.Line
	if at := strings.Index(st.SQL, text); at > 0 {
		first += strings.Count(st.SQL[:at], "\n")
	}
	for _, f := range migrations.Fragments(text) {
		l.line = first + f.Line
		l.fragment(f)
	}
	l.line, l.mode = st.Line, direct
}

func (l *linter) fragment(f migrations.Fragment) {
	for _, n := range decode(f.Tree) {
		l.statement(n)
	}
	for i, word := range f.Words {
		if word == "set_config" && i+2 < len(f.Words) && f.Words[i+1] == "(" {
			l.configures(strings.Trim(f.Words[i+2], "'"), "", false)
		}
	}
}
