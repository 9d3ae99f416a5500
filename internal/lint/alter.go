package lint

import "slices"

// alter judges an ALTER TABLE, command by command. A table that the same version makes is empty: nothing
// is lost with it, and nobody waits for it.
func (l *linter) alter(n node) {
	name := table(n.get("relation"))
	if l.schema.fresh[name] {
		return
	}
	for _, c := range n.list("cmds") {
		cmd := c.as("AlterTableCmd")
		column := name + "." + cmd.text("name")
		switch cmd.text("subtype") {
		case "AT_AddColumn":
			l.addColumn(name, cmd.get("def", "ColumnDef"))
		case "AT_DropColumn":
			if !l.schema.added[column] {
				l.report("drop-column", column)
			}
		case "AT_AlterColumnType":
			l.changeType(column, cmd.get("def", "ColumnDef"))
		case "AT_SetNotNull":
			if !l.schema.proven[column] {
				l.report("set-not-null", column)
			}
		case "AT_AddConstraint":
			l.addConstraint(name, cmd.get("def", "Constraint"))
		case "AT_ValidateConstraint":
			if l.transactional && l.constraints[column] {
				l.report("validate-with-add", column)
			}
		case "AT_DropConstraint":
			if cmd.text("behavior") == "DROP_CASCADE" {
				l.report("drop-cascade", column)
			}
		case "AT_SetUnLogged":
			l.report("set-unlogged", name)
			l.report("rewrite-table", name)
		case "AT_SetLogged", "AT_SetAccessMethod", "AT_SetTableSpace", "AT_SetExpression":
			l.report("rewrite-table", name)
		}
	}
	if len(n.list("cmds")) > 0 && l.altered[name] == nil {
		l.altered[name] = []string{}
	}
}

// constraint returns a column's constraint of one kind, nil if it has none.
func constraint(column node, kind string) node {
	for _, c := range column.list("constraints") {
		if c.text("Constraint", "contype") == kind {
			return c.as("Constraint")
		}
	}
	return nil
}

func (l *linter) addColumn(name string, def node) {
	column := name + "." + def.text("colname")
	l.altered[name] = append(l.altered[name], def.text("colname"))
	byDefault := constraint(def, "CONSTR_DEFAULT")
	isNull := byDefault == nil || byDefault.get("raw_expr", "A_Const").flag("isnull")
	generated := constraint(def, "CONSTR_GENERATED") != nil
	perRow := typeOf(def).serial() || constraint(def, "CONSTR_IDENTITY") != nil || l.schema.isVolatile(byDefault)
	notNull := constraint(def, "CONSTR_NOTNULL") != nil || constraint(def, "CONSTR_PRIMARY") != nil
	switch {
	case generated:
		l.report("generated-column", column)
	case perRow:
		l.report("volatile-default", column)
	case notNull && isNull:
		l.report("add-not-null-column", column)
	}
	if constraint(def, "CONSTR_UNIQUE") != nil || constraint(def, "CONSTR_PRIMARY") != nil {
		l.report("add-unique", column)
	}
	if constraint(def, "CONSTR_CHECK") != nil {
		l.report("add-column-check", column)
	}
	// A column of nulls fits every foreign key, and the server knows it.
	if constraint(def, "CONSTR_FOREIGN") != nil && !isNull {
		l.report("add-foreign-key", column)
	}
}

func (l *linter) changeType(column string, def node) {
	if def["raw_default"] == nil && l.schema.columns[column].widens(typeOf(def)) {
		return
	}
	l.report("alter-column-type", column)
}

func (l *linter) addConstraint(name string, c node) {
	object := name
	if c.text("conname") != "" {
		object += "." + c.text("conname")
	}
	if c.flag("skip_validation") {
		l.constraints[object] = true
		return
	}
	switch c.text("contype") {
	case "CONSTR_FOREIGN":
		l.report("add-foreign-key", object)
	case "CONSTR_CHECK":
		l.report("add-check", object)
	case "CONSTR_EXCLUSION":
		l.report("add-exclusion", object)
	case "CONSTR_UNIQUE", "CONSTR_PRIMARY":
		if c.text("indexname") == "" {
			l.report("add-unique", object)
		}
	}
}

// rows judges what is done to all rows of a table, wherever in the statement it stands.
func (l *linter) rows(n node) {
	walk("", n, func(kind string, n node) bool {
		switch kind {
		case "CreateFunctionStmt", "RuleStmt":
			return false // It runs later, when somebody asks for it.
		case "DeleteStmt":
			if name := table(n.get("relation")); everywhere(n) && !l.schema.fresh[name] {
				l.report("delete-all-rows", name)
			}
		case "UpdateStmt":
			l.update(n)
		case "TruncateStmt":
			for _, r := range n.list("relations") {
				if name := table(r.as("RangeVar")); !l.schema.fresh[name] {
					l.report("truncate", name)
				}
			}
		}
		return true
	})
}

// everywhere : nothing limits the statement to some rows.
func everywhere(n node) bool {
	where := n.get("whereClause")
	return where == nil || where.get("A_Const", "boolval").flag("boolval")
}

// update tells a column that is filled for the first time from values that are written over.
func (l *linter) update(n node) {
	name := table(n.get("relation"))
	if l.schema.fresh[name] {
		return
	}
	fillsNew, fillsAdded := true, false
	for _, target := range n.list("targetList") {
		column := target.text("ResTarget", "name")
		fillsNew = fillsNew && l.schema.added[name+"."+column]
		fillsAdded = fillsAdded || slices.Contains(l.altered[name], column)
	}
	_, altered := l.altered[name]
	switch all := everywhere(n); {
	case all && !fillsNew:
		l.report("update-all-rows", name)
	case l.transactional && (all && altered || fillsAdded):
		l.report("backfill-behind-alter", name)
	case all:
		l.report("backfill", name)
	}
}
