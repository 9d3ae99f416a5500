package lint

import (
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/internal/migrations"
)

// Finding is a statement that can do harm.
type Finding struct {
	// Name of the rule.
	Name string
	Rule
	File string
	Line int
	// Object that it is about, such as orders.total; "" where none has a name.
	Object string
	// Allowed is the reason of the comment that takes the finding away, "" if none does.
	Allowed string
}

// Options say what is looked at, and what a name may mean.
type Options struct {
	// New says which migrations no tenant has.
	New func(*migrations.Migration) bool
	// Shared are the schemas that every tenant may read.
	Shared []string
	// Own are names by which the migrated schema itself is known: none for tenants, whose schemas have a
	// name each.
	Own []string
}

// mode is where a statement stands.
type mode int

const (
	// direct statements are run by the migration.
	direct mode = iota
	// routine statements are run by whoever calls the routine, later: they harm no tenant now.
	routine
)

// kindOf tells findings apart by all that decides what follows from them.
type kindOf struct {
	name     string
	severity Severity
	allowed  bool
}

// maxOfAKind bounds the findings of a kind: nobody reads more, and a set may hold a million statements.
const maxOfAKind = 1000

// linter is a Check under way.
type linter struct {
	Options

	schema   *schema
	findings []Finding
	// seen keeps a finding from being told twice, and count bounds what is kept of each kind.
	seen  map[Finding]bool
	count map[kindOf]int

	// The file at work, and whether it is one transaction.
	file          string
	transactional bool
	// altered are the tables that the file altered, with the columns it added; constraints are those
	// that it added NOT VALID.
	altered     map[string][]string
	constraints map[string]bool

	// The statement at work.
	line    int
	mode    mode
	allowed map[string]string
}

// Check reads a set's migrations in their order, and reports on those that are new: of each rule, at most
// a thousand findings.
func Check(set *migrations.Set, o Options) []Finding {
	l := newLinter(o)
	l.schema.ahead(set, o.New)
	for i := range set.Migrations {
		m := &set.Migrations[i]
		if !o.New(m) {
			l.schema.learn(m)
			continue
		}
		l.read(m.File, m.Transactional, m.Statements)
	}
	return l.findings
}

// CheckCheckpoint reports on a checkpoint, which runs on an empty schema.
func CheckCheckpoint(c *migrations.Checkpoint, o Options) []Finding {
	l := newLinter(o)
	l.read(c.File, true, c.Statements())
	return l.findings
}

func newLinter(o Options) *linter {
	return &linter{Options: o, schema: newSchema(), seen: map[Finding]bool{}, count: map[kindOf]int{}}
}

// read judges the statements of a file.
func (l *linter) read(file string, transactional bool, statements []migrations.Statement) {
	l.file, l.transactional = file, transactional
	l.altered, l.constraints = map[string][]string{}, map[string]bool{}
	for i := range statements {
		l.judge(&statements[i])
	}
}

func (l *linter) judge(st *migrations.Statement) {
	l.line, l.mode = st.Line, direct
	l.notes(st.Notes)
	l.schema.at++
	if st.Unparsed != "" {
		l.report("unparsed", "")
		return
	}
	tree, err := st.Tree()
	if err != nil {
		l.report("unparsed", "")
		return
	}
	for _, n := range decode(tree) {
		l.statement(n)
		l.body(n, st)
	}
}

// notes reads the comments that allow something. One that allows nothing says so, or a slip of the pen
// would go unseen.
func (l *linter) notes(notes []migrations.Note) {
	l.allowed = map[string]string{}
	for _, note := range notes {
		verb, rest, _ := strings.Cut(note.Text, " ")
		rule, why, _ := strings.Cut(rest, " ")
		if _, known := Rules[rule]; verb != "allow" || !known || why == "" {
			l.line, note.Line = note.Line, l.line
			l.report("allow-unreasoned", "")
			l.line = note.Line
			continue
		}
		l.allowed[rule] = why
	}
}

// report adds a finding, once for each rule, place and object.
func (l *linter) report(name, object string) {
	rule, ok := Rules[name]
	if !ok {
		panic(fmt.Sprintf("no rule %q", name))
	}
	if l.mode == routine {
		rule.Severity = Notice
	}
	if strings.Contains(object, migrations.Dynamic) {
		object = strings.ReplaceAll(object, migrations.Dynamic, "*")
	}
	f := Finding{Name: name, Rule: rule, File: l.file, Line: l.line, Object: object, Allowed: l.allowed[name]}
	kind := kindOf{name, f.Severity, f.Allowed != ""}
	if l.seen[f] || l.count[kind] >= maxOfAKind {
		return
	}
	l.seen[f] = true
	l.count[kind]++
	l.findings = append(l.findings, f)
}

// statement judges a statement and all that is nested in it, and learns from it.
func (l *linter) statement(n node) {
	kind, body := n.kind()
	l.names(n)
	l.session(n)
	if l.mode == direct {
		l.rows(n)
		l.locks(kind, body)
		l.destroys(kind, body)
		if kind == "AlterTableStmt" {
			l.alter(body)
		}
		l.schema.apply(kind, body, true)
	}
}
