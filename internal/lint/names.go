package lint

import (
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/migrations"
)

// writers are statements that change the relation they name.
var writers = []string{
	"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CreateStmt", "AlterTableStmt", "IndexStmt", "RenameStmt", "CreateTrigStmt",
	"ReindexStmt", "ClusterStmt", "RefreshMatViewStmt", "CreatePolicyStmt", "RuleStmt",
}

// names judges what a statement names by a schema.
func (l *linter) names(n node) {
	walk("", n, func(kind string, n node) bool {
		if slices.Contains(writers, kind) {
			l.relation(n.get("relation"), true)
		}
		switch {
		case kind == "TruncateStmt" || kind == "LockStmt":
			for _, r := range n.list("relations") {
				l.relation(r.as("RangeVar"), true)
			}
		case kind == "DropStmt":
			for _, o := range n.list("objects") {
				if schema, name, found := strings.Cut(ofTable(n.text("removeType"), objectName(o)), "."); found {
					l.schemaOf(schema, name, "cross-schema", true)
				}
			}
		case kind == "CreateFunctionStmt":
			l.made(n.names("funcname"))
		case kind == "CreateEnumStmt" || kind == "AlterEnumStmt":
			l.made(n.names("typeName"))
		case n["relname"] != nil && n["relpersistence"] != nil:
			l.relation(n, kind == "view" || kind == "sequence" || kind == "rel" || kind == "typevar")
		case n["names"] != nil && (n["typemod"] != nil || n["typmods"] != nil) && !n.flag("pct_type"):
			l.used(n.names("names"))
		case n["funcname"] != nil && n["funcformat"] != nil:
			l.used(n.names("funcname"))
			l.byText(n.names("funcname"), n.list("args"))
		case kind == "TypeCast":
			if names := n.names("typeName", "names"); len(names) > 0 && strings.HasPrefix(names[len(names)-1], "reg") {
				l.text(n.get("arg"))
			}
		}
		return true
	})
}

// ofTable names the table of what lives on one: a trigger's name begins with its table's.
func ofTable(kind, name string) string {
	if last := strings.LastIndex(name, "."); last >= 0 && slices.Contains([]string{"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}, kind) {
		return name[:last]
	}
	return name
}

func (l *linter) relation(r node, writes bool) {
	if schema := r.text("schemaname"); schema != "" {
		l.schemaOf(schema, r.text("relname"), "cross-schema", writes)
	}
}

// made judges the name of an object that is made.
func (l *linter) made(names []string) {
	if len(names) > 1 {
		l.schemaOf(names[0], join(names[1:]), "cross-schema", true)
	}
}

// used judges the name of a type or function.
func (l *linter) used(names []string) {
	if len(names) > 1 {
		l.schemaOf(names[0], join(names[1:]), "foreign-name", false)
	}
}

// byText judges the functions that take a relation by its name in a string.
func (l *linter) byText(function []string, args []node) {
	last := function[len(function)-1]
	if len(args) > 0 && slices.Contains([]string{"nextval", "setval", "currval", "to_regclass", "pg_get_serial_sequence"}, last) {
		l.text(args[0])
	}
}

func (l *linter) text(n node) {
	text, _ := constant(n)
	if schema, name, found := strings.Cut(text, "."); found {
		l.schemaOf(strings.Trim(schema, `"`), strings.Trim(name, `"`), "cross-schema", false)
	}
}

// schemaOf judges a name in a schema.
func (l *linter) schemaOf(schema, name, rule string, writes bool) {
	switch {
	case systemSchema(schema), schema == "pg_temp", strings.Contains(schema, migrations.Dynamic), slices.Contains(l.Own, schema):
	case !slices.Contains(l.Shared, schema):
		l.report(rule, schema+"."+name)
	case writes:
		l.report("shared-write", schema+"."+name)
	}
}

func systemSchema(name string) bool { return name == "pg_catalog" || name == "information_schema" }
