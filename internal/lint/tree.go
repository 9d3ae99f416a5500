package lint

import (
	"encoding/json"
	"slices"
)

// node is a message of libpg_query's JSON. Zero values are left out there; enumerations are names.
type node map[string]any

// decode returns the statements of a tree, each as {"Kind": {...}}.
func decode(tree string) []node {
	var result struct {
		Stmts []struct {
			Stmt node `json:"stmt"`
		} `json:"stmts"`
	}
	if json.Unmarshal([]byte(tree), &result) != nil {
		return nil
	}
	var statements []node
	for _, s := range result.Stmts {
		statements = append(statements, s.Stmt)
	}
	return statements
}

// kind parts {"Kind": {...}} into both.
func (n node) kind() (string, node) {
	for kind, body := range n {
		if m, ok := body.(map[string]any); ok {
			return kind, m
		}
	}
	return "", nil
}

// as returns the body of a node of one kind, nil for another.
func (n node) as(kind string) node { return n.get(kind) }

func (n node) get(path ...string) node {
	for _, name := range path {
		m, ok := n[name].(map[string]any)
		if !ok {
			return nil
		}
		n = m
	}
	return n
}

func (n node) text(path ...string) string {
	s, _ := n.get(path[:len(path)-1]...)[path[len(path)-1]].(string)
	return s
}

func (n node) flag(name string) bool {
	b, _ := n[name].(bool)
	return b
}

func (n node) number(name string) int {
	f, _ := n[name].(float64)
	return int(f)
}

func (n node) list(path ...string) []node {
	items, _ := n.get(path[:len(path)-1]...)[path[len(path)-1]].([]any)
	var nodes []node
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			nodes = append(nodes, m)
		}
	}
	return nodes
}

// names are the strings of a list of String nodes.
func (n node) names(path ...string) []string {
	var names []string
	for _, item := range n.list(path...) {
		names = append(names, item.text("String", "sval"))
	}
	return names
}

// walk visits every message below n, with the name of the field or kind that holds it. It does not go
// below one for which visit says no.
func walk(name string, value any, visit func(name string, n node) bool) {
	switch v := value.(type) {
	case node:
		walk(name, map[string]any(v), visit)
	case map[string]any:
		if !visit(name, v) {
			return
		}
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			walk(key, v[key], visit)
		}
	case []any:
		for _, item := range v {
			walk(name, item, visit)
		}
	}
}

// constant returns the text of a string constant, also of one with a cast.
func constant(n node) (string, bool) {
	if cast := n.as("TypeCast"); cast != nil {
		return constant(cast.get("arg"))
	}
	sval := n.get("A_Const", "sval")
	return sval.text("sval"), sval != nil
}
