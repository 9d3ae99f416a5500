package migrations

import (
	"slices"
	"strings"
)

// indexName is the index that a statement creates or drops.
type indexName struct {
	// name is as the catalog has it; "" if the server makes it up.
	name string
	// schema is "" if search_path decides. table is set for an index that is created.
	schema, table string
	ifNotExists   bool
}

// indexOf reads CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] [name] ON [ONLY] [schema.]table
// and DROP INDEX CONCURRENTLY [IF EXISTS] [schema.]name.
func indexOf(s source, p piece) indexName {
	tokens := p.tokens
	creates := tokens[0].word == "create"
	for len(tokens) > 0 && tokens[0].word != "concurrently" {
		tokens = tokens[1:]
	}
	tokens = tokens[min(1, len(tokens)):]
	var ix indexName
	if startsWith(tokens, "if", "not", "exists") {
		ix.ifNotExists, tokens = true, tokens[3:]
	} else if startsWith(tokens, "if", "exists") {
		tokens = tokens[2:]
	}
	if !creates {
		ix.schema, ix.name = qualified(s, tokens)
		return ix
	}
	if len(tokens) > 0 && tokens[0].word != "on" {
		ix.name, tokens = catalogName(s, tokens[0]), tokens[1:]
	}
	if startsWith(tokens, "on") {
		tokens = tokens[1:]
	}
	if startsWith(tokens, "only") {
		tokens = tokens[1:]
	}
	ix.schema, ix.table = qualified(s, tokens)
	if ix.table == "" {
		ix.name = ""
	}
	return ix
}

func qualified(s source, tokens []token) (schema, name string) {
	switch {
	case len(tokens) == 0:
		return "", ""
	case len(tokens) > 2 && tokens[1].code == '.':
		return catalogName(s, tokens[0]), catalogName(s, tokens[2])
	}
	return "", catalogName(s, tokens[0])
}

// catalogName returns an identifier as the catalog has it: folded, unquoted, and cut at 63 bytes. A
// name with Unicode escapes is not understood: "".
func catalogName(s source, t token) string {
	if t.code == tokenUnicodeIdent {
		return ""
	}
	name := identifier(s, t)
	if len(name) > 63 {
		cut := 63
		for cut > 0 && name[cut]&0xC0 == 0x80 {
			cut--
		}
		name = name[:cut]
	}
	return name
}

// mentions says whether a statement names something, quoted or not.
func mentions(s source, p piece, name string) bool {
	for _, t := range p.tokens {
		if t.code == tokenIdent && strings.EqualFold(identifier(s, t), name) {
			return true
		}
	}
	return false
}

// temporaryNames says whether a statement names a schema of temporary objects: these stay in the session, and with
// the role that made them.
func temporaryNames(s source, p piece) bool {
	return slices.ContainsFunc(p.tokens, func(t token) bool {
		return t.code == tokenIdent && strings.HasPrefix(strings.ToLower(identifier(s, t)), "pg_temp")
	})
}

// harmless are the first words of statements that leave nothing in the session; those left out may
// call functions, which may change settings or take advisory locks.
var harmless = map[string]bool{
	"create": true, "alter": true, "drop": true, "comment": true, "insert": true, "update": true, "delete": true,
	"merge": true, "grant": true, "revoke": true, "truncate": true, "lock": true, "analyze": true, "refresh": true,
}

func leaks(c class, p piece) bool {
	return c == session || c == temporary || c == opaque || !harmless[p.tokens[0].word]
}
