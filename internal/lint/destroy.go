package lint

import "github.com/tenantry/tenantry/internal/migrations"

// dropped are the rules for objects of a kind, and the kind's name where one that is made anew counts
// as replaced.
var dropped = map[string]struct{ rule, kind string }{
	"OBJECT_TABLE":         {"drop-table", ""},
	"OBJECT_FOREIGN_TABLE": {"drop-table", ""},
	"OBJECT_VIEW":          {"drop-view", "view"},
	"OBJECT_MATVIEW":       {"drop-view", "view"},
	"OBJECT_SEQUENCE":      {"drop-sequence", ""},
	"OBJECT_SCHEMA":        {"drop-schema", ""},
	"OBJECT_EXTENSION":     {"drop-extension", ""},
	"OBJECT_TYPE":          {"drop-type", "type"},
	"OBJECT_DOMAIN":        {"drop-type", "type"},
	"OBJECT_FUNCTION":      {"drop-routine", "routine"},
	"OBJECT_PROCEDURE":     {"drop-routine", "routine"},
	"OBJECT_ROUTINE":       {"drop-routine", "routine"},
	"OBJECT_AGGREGATE":     {"drop-routine", "routine"},
}

// destroys judges what drops or renames an object.
func (l *linter) destroys(kind string, n node) {
	switch kind {
	case "DropStmt":
		for _, o := range n.list("objects") {
			l.drop(n.text("removeType"), objectName(o), n.text("behavior") == "DROP_CASCADE")
		}
	case "RenameStmt":
		name := table(n.get("relation"))
		switch what := n.text("renameType"); {
		case l.schema.fresh[name] || l.schema.added[name+"."+n.text("subname")]:
		case what == "OBJECT_TABLE":
			l.report("rename-table", name)
		case what == "OBJECT_COLUMN" && n.text("relationType") == "OBJECT_TABLE":
			l.report("rename-column", name+"."+n.text("subname"))
		}
	case "AlterObjectSchemaStmt":
		l.report("set-schema", either(table(n.get("relation")), objectName(n.get("object"))))
	case "CreateSchemaStmt":
		l.report("create-schema", n.text("schemaname"))
	case "GrantStmt":
		l.grants(n)
	case "AlterDefaultPrivilegesStmt":
		l.grants(n.get("action"))
	}
}

func (l *linter) drop(kind, object string, cascade bool) {
	if l.schema.fresh[object] {
		return
	}
	d, ok := dropped[kind]
	replaced := ok && d.kind != "" && l.schema.replaced(d.kind+" "+object)
	switch {
	case ok && Rules[d.rule].Severity == Danger && !replaced:
		l.report(d.rule, object)
	case cascade:
		l.report("drop-cascade", object)
	case ok && !replaced:
		l.report(d.rule, object)
	}
}

// objectName names what a DROP is about, in each of the ways in which the grammar writes it.
func objectName(o node) string {
	kind, body := o.kind()
	switch kind {
	case "List":
		return join(body.names("items"))
	case "TypeName":
		return join(body.names("names"))
	case "ObjectWithArgs":
		return join(body.names("objname"))
	case "String":
		return body.text("sval")
	}
	return ""
}

// grants judges who gets a right.
func (l *linter) grants(n node) {
	if !n.flag("is_grant") {
		return
	}
	for _, g := range n.list("grantees") {
		switch role := g.as("RoleSpec"); role.text("roletype") {
		case "ROLESPEC_PUBLIC":
			l.report("grant", "PUBLIC")
		case "ROLESPEC_CSTRING":
			l.report("grant", role.text("rolename"))
		}
	}
}

// locks judges statements, ALTER TABLE aside, that make others wait for long.
func (l *linter) locks(kind string, n node) {
	name := table(n.get("relation"))
	old := !l.schema.fresh[name]
	switch kind {
	case "IndexStmt":
		if old && !n.flag("concurrent") {
			l.report("create-index", name)
		}
	case "ReindexStmt":
		if old && !option(n, "params", "concurrently") {
			l.report("reindex", either(name, n.text("name")))
		}
	case "ClusterStmt":
		if old {
			l.report("cluster", name)
		}
	case "VacuumStmt":
		if option(n, "options", "full") {
			l.report("vacuum-full", "")
		}
	case "RefreshMatViewStmt":
		if old && !n.flag("concurrent") {
			l.report("refresh-view", name)
		}
	case "LockStmt":
		const share = 5 // the weakest mode that stops writers
		for _, r := range n.list("relations") {
			if name := table(r.as("RangeVar")); n.number("mode") >= share && !l.schema.fresh[name] {
				l.report("lock-table", name)
			}
		}
	}
}

// option says whether a list of options holds one that is on.
func option(n node, list, name string) bool {
	for _, o := range n.list(list) {
		if d := o.as("DefElem"); d.text("defname") == name {
			value := either(d.text("arg", "String", "sval"), "on")
			return value != "off" && value != "false" && value != "0"
		}
	}
	return false
}

func either(a, b string) string {
	if a != "" && a != migrations.Dynamic {
		return a
	}
	return b
}
