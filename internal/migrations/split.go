package migrations

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/tenantry/tenantry/internal/fault"
)

// maxParsedBytes bounds what the grammar is asked about: its answer is ten times as long.
const maxParsedBytes = 256 << 10

// source is the text of a file that runs, with what is needed to name a place in it. Parts of the
// file that do not run are blank, so that lines keep their numbers.
type source struct {
	file string
	text string
}

func (s source) line(offset int) int { return 1 + strings.Count(s.text[:offset], "\n") }

// invalid returns an Invalid fault at a byte offset: "0007_orders.sql line 12: ...".
func (s source) invalid(offset int, format string, args ...any) *fault.Fault {
	return invalid(s.file, s.line(offset), format, args...)
}

// piece is one statement as the lexer sees it. Its tokens hold no comments.
type piece struct {
	start, end int
	tokens     []token
	// inner says that the piece holds a semicolon, as the bodies of rules and SQL functions do.
	inner bool
	notes []Note
}

func (p piece) sql(s source) string { return s.text[p.start:p.end] }

// split tells the statements of a file apart. PostgreSQL's lexer finds the semicolons that count:
// those outside of literals, comments, parentheses and the bodies of SQL-standard functions.
func split(s source) ([]piece, error) {
	tokens, err := scan(s.text)
	if err != nil {
		return nil, s.complain(err)
	}
	var pieces []piece
	var current piece
	nesting, body := 0, 0
	flush := func() {
		if n := len(current.tokens); n > 0 {
			current.start, current.end = current.tokens[0].start, current.tokens[n-1].end
			pieces = append(pieces, current)
		}
		current, nesting, body = piece{}, 0, 0
	}
	for _, t := range tokens {
		switch {
		case t.code == tokenSQLComment || t.code == tokenCComment:
			if text, ok := note(s.text[t.start:t.end]); ok {
				keep(s, pieces, &current, Note{Text: text, Line: s.line(t.start)}, t.start)
			}
			continue
		case t.code == '\\':
			return nil, s.invalid(t.start, `psql's own commands (\...) do not run on a server; remove them`)
		case t.code == ';' && nesting == 0 && body == 0:
			flush()
			continue
		case t.code == ';':
			current.inner = true
		case t.code == '(' || t.code == '[':
			nesting++
		case (t.code == ')' || t.code == ']') && nesting > 0:
			nesting--
		case t.word == "atomic" && lastWord(current.tokens) == "begin" && startsWith(current.tokens, "create"):
			body = 1
		case t.word == "case" && body > 0:
			body++
		case t.word == "end" && body > 0:
			body--
		}
		current.tokens = append(current.tokens, t)
	}
	flush()
	return pieces, nil
}

// keep gives a note to the piece that it stands in or above, or behind which it stands on the same line.
func keep(s source, pieces []piece, current *piece, n Note, at int) {
	if last := len(pieces) - 1; last >= 0 && len(current.tokens) == 0 && !strings.Contains(s.text[pieces[last].end:at], "\n") {
		pieces[last].notes = append(pieces[last].notes, n)
		return
	}
	current.notes = append(current.notes, n)
}

// check asks the grammar about a piece, and returns its answer, or its complaint. What it does not know is left
// to the server, which may be newer; but a piece with semicolons inside must be known to be one statement.
func check(s source, p piece) (answer, unparsed string, err error) {
	sql := p.sql(s)
	switch {
	case len(sql) > maxParsedBytes:
		unparsed = "too long to be checked before it runs"
	case tooDeep(p.tokens):
		unparsed = "nested too deeply to be checked before it runs"
	default:
		answer, err = parse(sql)
		if complaint, ok := errors.AsType[*syntaxError](err); ok {
			unparsed = complaint.brief()
		} else if err != nil {
			unparsed = err.Error()
		} else if p.inner && countStatements(answer) != 1 {
			unparsed = "more than one statement"
		}
	}
	if unparsed != "" && p.inner {
		return "", "", s.invalid(p.start, "cannot tell where the statement ends: %s", unparsed)
	}
	return answer, unparsed, nil
}

func countStatements(tree string) int {
	var result struct {
		Stmts []json.RawMessage `json:"stmts"`
	}
	if json.Unmarshal([]byte(tree), &result) != nil {
		return 0
	}
	return len(result.Stmts)
}

// maxDepth bounds the estimate of a statement's depth. The module's stack was exhausted at 360
// (subqueries in subqueries) or more; it then hangs or traps.
const maxDepth = 150

// tooDeep estimates from above how deep a statement's tree is: the keywords, operators and
// brackets since the last comma, at every level of brackets around. Items of a list are siblings,
// but what combines queries goes on behind a list.
func tooDeep(tokens []token) bool {
	type level struct{ items, queries int }
	levels := []level{{}}
	sum := 0
	for _, t := range tokens {
		top := &levels[len(levels)-1]
		switch {
		case t.code == ',' || t.code == ';':
			sum -= top.items
			top.items = 0
			continue
		case t.code == ')' || t.code == ']':
			if len(levels) > 1 {
				sum -= top.items + top.queries
				levels = levels[:len(levels)-1]
			}
			continue
		case t.word == "union" || t.word == "intersect" || t.word == "except":
			top.queries++
		case t.code == '.' || t.leaf():
			continue
		default:
			top.items++
		}
		if sum++; sum > maxDepth {
			return true
		}
		if t.code == '(' || t.code == '[' {
			levels = append(levels, level{})
		}
	}
	return false
}

// complain turns a syntaxError into a fault at its place.
func (s source) complain(err error) error {
	complaint, ok := errors.AsType[*syntaxError](err)
	if !ok {
		return invalid(s.file, 0, "%v", err)
	}
	// The data of a COPY is no SQL, and seldom gets past the lexer.
	if at := copyData.FindStringIndex(s.text[:complaint.offset]); at != nil {
		return s.invalid(at[0], "%s", copyRefusal)
	}
	return s.invalid(complaint.offset, "%s", complaint.brief())
}

var copyData = regexp.MustCompile(`(?im)^[ \t]*COPY[ \t][^;]*[ \t]FROM[ \t]+STDIN\b`)

func lastWord(tokens []token) string {
	if len(tokens) == 0 {
		return ""
	}
	return tokens[len(tokens)-1].word
}

func startsWith(tokens []token, words ...string) bool {
	if len(tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if tokens[i].word != w {
			return false
		}
	}
	return true
}
