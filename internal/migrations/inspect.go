package migrations

import (
	"errors"
	"slices"
	"strings"
)

// Note is a comment on or above a statement that begins with "tenantry:". It is for those who judge
// statements; none changes how a statement runs.
type Note struct {
	// Text is what stands behind "tenantry:".
	Text string
	Line int
}

// noteMark begins the comments that are kept.
const noteMark = "tenantry:"

// note reads a comment; ok is false for what is meant for people alone.
func note(text string) (string, bool) {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "/*"), "*/")
	text = strings.TrimSpace(strings.TrimLeft(text, "-"))
	text, ok := strings.CutPrefix(text, noteMark)
	return strings.Join(strings.Fields(text), " "), ok
}

var errUnknown = errors.New("the parser does not know the statement")

// Tree returns the statement as PostgreSQL's grammar reads it, in the JSON of libpg_query. It is parsed
// anew for each call: a tree is ten times as long as its text, and most statements are never looked at
// again. It costs less than a millisecond. Statements with Unparsed have none.
func (s *Statement) Tree() (json string, err error) {
	if s.Unparsed != "" {
		return "", errUnknown
	}
	return parse(s.SQL)
}

// Upto returns the migrations that a set had when this version was its newest, as far as the files of
// now tell: files only grow. Its digest says whether they really are those. It is nil where the set has
// no such version.
func (s *Set) Upto(v Version) *Set {
	if _, ok := s.index[v.key()]; !ok || v.Repeatable() {
		return nil
	}
	upto := &Set{Format: s.Format, index: map[Version]int{}}
	for i := range s.Migrations {
		if m := &s.Migrations[i]; m.Repeatable || m.Version.Compare(v) <= 0 {
			upto.index[m.Version.key()] = len(upto.Migrations)
			upto.Migrations = append(upto.Migrations, *m)
		}
	}
	for i := range s.Checkpoints {
		if s.Checkpoints[i].Version.Compare(v) <= 0 {
			upto.Checkpoints = append(upto.Checkpoints, s.Checkpoints[i])
		}
	}
	upto.Digest = digest(upto.Migrations)
	return upto
}

// Repeats says whether the set has repeatable migrations. Of them a version does not tell which a schema has.
func (s *Set) Repeats() bool {
	return slices.ContainsFunc(s.Migrations, func(m Migration) bool { return m.Repeatable })
}

// Fragment is a part of a routine's body that looks like a statement.
type Fragment struct {
	// SQL is the text, or what EXECUTE makes of it. Names that are only known when the routine runs are
	// Dynamic.
	SQL string
	// Tree is the fragment as the grammar reads it, "" if it is none of SQL's statements.
	Tree string
	// Words are its names, keywords, symbols and constants, in lower case but for the constants.
	Words []string
	// Line of the body, from 0.
	Line int
	// Executed : the text stands in a string that EXECUTE runs.
	Executed bool
}

// Dynamic stands for a name that is only known when a routine runs.
const Dynamic = "tenantry_dynamic"

// Fragments takes the body of a DO block or a routine apart, as far as its text tells. A body that the
// lexer does not understand has none.
func Fragments(body string) []Fragment {
	tokens, err := scan(body)
	if err != nil {
		return nil
	}
	b := bodyReader{text: body}
	for _, t := range tokens {
		if t.code != tokenSQLComment && t.code != tokenCComment {
			b.take(t)
		}
	}
	b.flush()
	return b.fragments
}

// bodyReader parts a body at its semicolons and at the words of PL/pgSQL behind which a statement
// begins.
type bodyReader struct {
	text           string
	tokens         []token
	nesting, cases int
	fragments      []Fragment
}

func (b *bodyReader) word(t token) string { return asciiLower(b.text[t.start:t.end]) }

func (b *bodyReader) take(t token) {
	word := b.word(t)
	switch {
	case t.code == '(' || t.code == '[':
		b.nesting++
	case (t.code == ')' || t.code == ']') && b.nesting > 0:
		b.nesting--
	case t.code == ';':
		b.flush()
		return
	case b.nesting > 0:
	case word == "case" && len(b.tokens) > 0:
		b.cases++
	case word == "end" && b.cases > 0:
		b.cases--
	case b.cases > 0:
	case slices.Contains([]string{"begin", "then", "else", "loop", "declare"}, word):
		b.flush()
		return
	}
	b.tokens = append(b.tokens, t)
}

func (b *bodyReader) flush() {
	tokens := b.tokens
	b.tokens, b.nesting, b.cases = nil, 0, 0
	if len(tokens) == 0 {
		return
	}
	sql := b.text[tokens[0].start:tokens[len(tokens)-1].end]
	f := Fragment{SQL: sql, Line: strings.Count(b.text[:tokens[0].start], "\n"), Tree: treeOf(sql, tokens), Words: wordsOf(b.text, tokens)}
	b.fragments = append(b.fragments, f)
	if f.Words[0] != "execute" {
		return
	}
	text := executed(b.text, tokens[1:])
	inner, err := scan(text)
	if err != nil || len(inner) == 0 {
		return
	}
	b.fragments = append(b.fragments, Fragment{SQL: text, Line: f.Line, Tree: treeOf(text, inner), Words: wordsOf(text, inner), Executed: true})
}

// treeOf parses a fragment; PERFORM is PL/pgSQL's word for a SELECT whose rows nobody wants.
func treeOf(sql string, tokens []token) string {
	if len(sql) > maxParsedBytes || tooDeep(tokens) {
		return ""
	}
	if len(sql) > 7 && strings.EqualFold(sql[:7], "perform") {
		sql = "select" + sql[7:]
	}
	tree, err := parse(sql)
	if err != nil {
		return ""
	}
	return tree
}

func wordsOf(text string, tokens []token) []string {
	words := make([]string, 0, len(tokens))
	for _, t := range tokens {
		word := text[t.start:t.end]
		if t.code != tokenString {
			word = asciiLower(word)
		}
		words = append(words, word)
	}
	return words
}

// executed is the text that EXECUTE runs, as far as it stands there: strings put together by || or by
// format(), with Dynamic for all else.
func executed(body string, tokens []token) string {
	var text strings.Builder
	nesting := 0
	for i, t := range tokens {
		word := asciiLower(body[t.start:t.end])
		switch {
		case nesting == 0 && (word == "into" || word == "using"):
			return placeholders.Replace(text.String())
		case t.code == '(':
			nesting++
		case t.code == ')':
			nesting--
		case nesting == 0 && t.code == tokenString:
			text.WriteString(unquoted(body[t.start:t.end]))
		case nesting == 1 && t.code == tokenString && i > 1 && asciiLower(body[tokens[i-2].start:tokens[i-2].end]) == "format":
			text.WriteString(unquoted(body[t.start:t.end]))
		case nesting == 0 && t.leaf() && word != "format":
			text.WriteString(Dynamic)
		}
	}
	return placeholders.Replace(text.String())
}

// placeholders are those of format().
var placeholders = strings.NewReplacer(
	"%I", Dynamic, "%s", Dynamic, "%1$I", Dynamic, "%2$I", Dynamic, "%3$I", Dynamic, "%1$s", Dynamic, "%2$s", Dynamic, "%3$s", Dynamic,
	"%L", "'"+Dynamic+"'", "%1$L", "'"+Dynamic+"'", "%2$L", "'"+Dynamic+"'", "%3$L", "'"+Dynamic+"'", "%%", "%")

// unquoted is the text of a string constant.
func unquoted(constant string) string {
	if strings.HasPrefix(constant, "$") {
		_, rest, _ := strings.Cut(constant[1:], "$")
		return rest[:max(0, strings.LastIndex(rest[:max(0, len(rest)-1)], "$"))]
	}
	_, inner, _ := strings.Cut(constant, "'")
	return strings.ReplaceAll(strings.TrimSuffix(inner, "'"), "''", "'")
}
