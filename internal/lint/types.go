package lint

import "slices"

// columnType is a type as a file writes it: "varchar" with (50).
type columnType struct {
	name      string
	modifiers [2]int
	array     bool
}

func typeOf(column node) columnType {
	t := column.get("typeName")
	names := t.names("names")
	if len(names) == 0 {
		return columnType{}
	}
	typ := columnType{name: names[len(names)-1], array: len(t.list("arrayBounds")) > 0}
	for i, modifier := range t.list("typmods") {
		if i < len(typ.modifiers) {
			typ.modifiers[i] = modifier.get("A_Const", "ival").number("ival")
		}
	}
	return typ
}

// widens says that a change from one type to another leaves the rows as they are: the server knows that
// every old value is one of the new type.
func (t columnType) widens(to columnType) bool {
	if t.name == "" || t.array || to.array {
		return t == to && t.name != ""
	}
	longer := to.modifiers[0] == 0 || t.modifiers[0] != 0 && to.modifiers[0] >= t.modifiers[0]
	switch {
	case t == to:
		return true
	case t.name == "varchar" && to.name == "text":
		return true
	case t.name == "text" && to.name == "varchar":
		return to.modifiers[0] == 0
	case t.name == "varchar" && to.name == "varchar":
		return longer
	case t.name == "numeric" && to.name == "numeric":
		return to.modifiers[0] == 0 || longer && to.modifiers[1] == t.modifiers[1]
	}
	return false
}

// serial types take their default from a sequence.
func (t columnType) serial() bool {
	return slices.Contains([]string{"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"}, t.name)
}

// volatileFunctions of PostgreSQL and its extensions that people use as defaults. now() and
// CURRENT_TIMESTAMP are none: they are one value for all rows.
var volatileFunctions = []string{
	"random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4",
	"clock_timestamp", "timeofday", "nextval", "gen_random_bytes", "txid_current",
}

// isVolatile says whether an expression gives each row a value of its own.
func (s *schema) isVolatile(expression node) bool {
	found := false
	walk("", expression, func(_ string, n node) bool {
		if names := n.names("FuncCall", "funcname"); len(names) > 0 {
			last := names[len(names)-1]
			found = found || slices.Contains(volatileFunctions, last) || s.volatile[join(names)]
		}
		return true
	})
	return found
}
