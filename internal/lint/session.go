package lint

import "slices"

// session judges what changes the role or the search_path, by SET or by set_config, and what a routine
// sets while it runs.
func (l *linter) session(n node) {
	walk("", n, func(kind string, n node) bool {
		switch kind {
		case "VariableSetStmt":
			l.setting(n, false)
		case "CreateFunctionStmt", "AlterFunctionStmt":
			for _, o := range append(n.list("options"), n.list("actions")...) {
				if set := o.get("DefElem", "arg", "VariableSetStmt"); set != nil {
					l.setting(set, true)
				}
			}
			if body := n["sql_body"]; body != nil {
				l.session(node{"sql_body": body})
			}
			return false // A body that is a text is judged apart.
		case "FuncCall":
			names, args := n.names("funcname"), n.list("args")
			if len(names) > 0 && names[len(names)-1] == "set_config" && len(args) > 1 {
				name, _ := constant(args[0])
				value, known := constant(args[1])
				l.configures(name, value, known)
			}
		}
		return true
	})
}

// setting judges a SET or RESET; of a routine's own, while it runs, only where it leaves the tenant.
func (l *linter) setting(n node, ofRoutine bool) {
	name := n.text("name")
	var values []string
	for _, arg := range n.list("args") {
		value, _ := constant(arg)
		if number := arg.get("A_Const", "ival"); number != nil && number.number("ival") == 0 {
			value = "0"
		}
		values = append(values, value)
	}
	switch kind := n.text("kind"); {
	case kind == "VAR_RESET_ALL":
		l.report("search-path", "ALL")
	case name == "role" || name == "session_authorization":
		l.report("set-role", name)
	case name == "search_path" && (!ofRoutine || kind != "VAR_SET_CURRENT" && !l.harmless(values)):
		l.report("search-path", name)
	case name == "lock_timeout" && (kind != "VAR_SET_VALUE" || slices.Equal(values, []string{"0"})) && !ofRoutine:
		l.report("timeout-off", name)
	}
}

// harmless paths lead nowhere but to the server's own objects and to what everybody may read.
func (l *linter) harmless(path []string) bool {
	for _, schema := range path {
		if schema != "" && schema != "pg_temp" && !systemSchema(schema) && !slices.Contains(l.Shared, schema) && !slices.Contains(l.Own, schema) {
			return false
		}
	}
	return true
}

// configures judges a call of set_config.
func (l *linter) configures(name, value string, known bool) {
	switch name {
	case "role", "session_authorization":
		l.report("set-role", name)
	case "search_path":
		l.report("search-path", name)
	case "lock_timeout":
		if known && value == "0" {
			l.report("timeout-off", name)
		}
	}
}
