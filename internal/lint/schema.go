package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/migrations"
)

// schema is what the files up to a statement tell about a tenant's schema.
type schema struct {
	// known are the tables, views and so on of files before the new ones; fresh are those that new
	// files made: they are empty, and nobody uses them.
	known, fresh map[string]bool
	// columns are types by table.column; added are the columns that new files added.
	columns map[string]columnType
	added   map[string]bool
	// pending are constraints by table.name that say "column IS NOT NULL" and are not valid yet; proven
	// are the columns by table.column of which a valid one says so.
	pending map[string]string
	proven  map[string]bool
	// volatile routines of the product's own.
	volatile map[string]bool

	// at counts the new statements; made is the last that makes an object, by kind and name.
	at   int
	made map[string]int
}

func newSchema() *schema {
	return &schema{
		known: map[string]bool{}, fresh: map[string]bool{}, columns: map[string]columnType{}, added: map[string]bool{},
		pending: map[string]string{}, proven: map[string]bool{}, volatile: map[string]bool{}, made: map[string]int{},
	}
}

// ahead notes what the new files make, so that what is dropped and made anew is known as replaced.
func (s *schema) ahead(set *migrations.Set, isNew func(*migrations.Migration) bool) {
	at := 0
	for i := range set.Migrations {
		m := &set.Migrations[i]
		if !isNew(m) {
			continue
		}
		for j := range m.Statements {
			at++
			if !starts(&m.Statements[j], "create") {
				continue
			}
			tree, err := m.Statements[j].Tree()
			if err != nil {
				continue
			}
			for _, n := range decode(tree) {
				if name := creates(n); name != "" {
					s.made[name] = at
				}
			}
		}
	}
}

// replaced says whether a new file makes the object again behind the statement at work.
func (s *schema) replaced(object string) bool { return s.made[object] > s.at }

// maxLearned bounds the statements that are read only to learn from them: longer ones hold data.
const maxLearned = 64 << 10

// learn reads a file that tenants have.
func (s *schema) learn(m *migrations.Migration) {
	for i := range m.Statements {
		st := &m.Statements[i]
		if len(st.SQL) > maxLearned || !starts(st, "create", "alter", "drop") {
			continue
		}
		tree, err := st.Tree()
		if err != nil {
			continue
		}
		for _, n := range decode(tree) {
			kind, body := n.kind()
			s.apply(kind, body, false)
		}
	}
}

func starts(st *migrations.Statement, words ...string) bool {
	const longest = 8
	first, _, _ := strings.Cut(strings.ToLower(st.SQL[:min(longest, len(st.SQL))]), " ")
	return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(first, w) })
}

// creates names what a statement makes, by kind and name; "" for what nobody asks about.
func creates(n node) string {
	switch kind, body := n.kind(); kind {
	case "ViewStmt":
		return "view " + table(body.get("view"))
	case "CreateTableAsStmt":
		if body.text("objtype") == "OBJECT_MATVIEW" {
			return "view " + table(body.get("into", "rel"))
		}
	case "CreateFunctionStmt":
		return "routine " + join(body.names("funcname"))
	case "CreateEnumStmt":
		return "type " + join(body.names("typeName"))
	case "CompositeTypeStmt":
		return "type " + table(body.get("typevar"))
	case "CreateDomainStmt":
		return "type " + join(body.names("domainname"))
	}
	return ""
}

// apply takes a statement's effect in.
func (s *schema) apply(kind string, n node, isNew bool) {
	switch kind {
	case "CreateStmt":
		s.create(n.get("relation"), isNew)
		s.define(table(n.get("relation")), n.list("tableElts"))
	case "CreateTableAsStmt":
		s.create(n.get("into", "rel"), isNew)
	case "SelectStmt":
		if into := n.get("intoClause", "rel"); into != nil {
			s.create(into, isNew)
		}
	case "DropStmt":
		for _, o := range n.list("objects") {
			if n.text("removeType") == "OBJECT_TABLE" {
				s.forget(join(o.names("List", "items")))
			}
		}
	case "RenameStmt":
		s.rename(n)
	case "CreateFunctionStmt":
		s.routine(n)
	case "AlterTableStmt":
		s.altered(table(n.get("relation")), n.list("cmds"), isNew)
	}
}

// create : a table that IF NOT EXISTS leaves alone is no fresh one.
func (s *schema) create(relation node, isNew bool) {
	name := table(relation)
	if isNew && !s.known[name] {
		s.fresh[name] = true
	}
	if !isNew {
		s.known[name] = true
	}
}

func (s *schema) forget(name string) {
	delete(s.known, name)
	delete(s.fresh, name)
	maps.DeleteFunc(s.columns, func(column string, _ columnType) bool { return strings.HasPrefix(column, name+".") })
}

func (s *schema) rename(n node) {
	from, to := table(n.get("relation")), n.text("newname")
	switch n.text("renameType") {
	case "OBJECT_TABLE":
		for _, set := range []map[string]bool{s.known, s.fresh} {
			if set[from] {
				delete(set, from)
				set[to] = true
			}
		}
		moved := map[string]columnType{}
		for key, typ := range s.columns {
			if column, ok := strings.CutPrefix(key, from+"."); ok {
				delete(s.columns, key)
				moved[to+"."+column] = typ
			}
		}
		maps.Copy(s.columns, moved)
	case "OBJECT_COLUMN":
		old, now := from+"."+n.text("subname"), from+"."+to
		if typ, ok := s.columns[old]; ok {
			delete(s.columns, old)
			s.columns[now] = typ
		}
	}
}

// define takes in the columns of a new table.
func (s *schema) define(name string, elements []node) {
	for _, e := range elements {
		if column := e.as("ColumnDef"); column != nil {
			s.columns[name+"."+column.text("colname")] = typeOf(column)
		}
	}
}

func (s *schema) routine(n node) {
	name := join(n.names("funcname"))
	s.volatile[name] = true
	for _, o := range n.list("options") {
		if d := o.as("DefElem"); d.text("defname") == "volatility" {
			s.volatile[name] = d.text("arg", "String", "sval") == "volatile"
		}
	}
}

func (s *schema) altered(name string, commands []node, isNew bool) {
	for _, c := range commands {
		cmd := c.as("AlterTableCmd")
		column := name + "." + cmd.text("name")
		switch cmd.text("subtype") {
		case "AT_AddColumn":
			def := cmd.get("def", "ColumnDef")
			column = name + "." + def.text("colname")
			// One that IF NOT EXISTS leaves alone holds what it held, and nobody knows the columns of a table that
			// no file made.
			_, had := s.columns[column]
			if isNew && (!cmd.flag("missing_ok") || !had && s.known[name]) {
				s.added[column] = true
			}
			s.columns[column] = typeOf(def)
		case "AT_AlterColumnType":
			s.columns[column] = typeOf(cmd.get("def", "ColumnDef"))
		case "AT_DropColumn":
			delete(s.columns, column)
			delete(s.proven, column)
		case "AT_AddConstraint":
			s.constrained(name, cmd.get("def", "Constraint"))
		case "AT_ValidateConstraint":
			if of, ok := s.pending[column]; ok {
				s.proven[of] = true
			}
		}
	}
}

// constrained notes a CHECK (column IS NOT NULL).
func (s *schema) constrained(name string, c node) {
	test := c.get("raw_expr", "NullTest")
	fields := test.names("arg", "ColumnRef", "fields")
	if c.text("contype") != "CONSTR_CHECK" || test.text("nulltesttype") != "IS_NOT_NULL" || len(fields) == 0 {
		return
	}
	column := name + "." + fields[len(fields)-1]
	if c.flag("skip_validation") {
		s.pending[name+"."+c.text("conname")] = column
		return
	}
	s.proven[column] = true
}

// table names a RangeVar.
func table(relation node) string {
	if schema := relation.text("schemaname"); schema != "" {
		return schema + "." + relation.text("relname")
	}
	return relation.text("relname")
}

func join(names []string) string { return strings.Join(names, ".") }
