package probes

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/test/platform"
)

var update = flag.Bool("update", false, "write the tables of probes into the documents")

// Between these marks a document has what is written here, and nobody's hand.
const (
	tableBegins = "<!-- table of test/probes: begin -->\n"
	tableEnds   = "<!-- table of test/probes: end -->\n"
)

// The documents say what the probes expect, and TestIsolation that it comes so: neither can become
// untrue without the other.
func TestDocuments(t *testing.T) {
	root, err := platform.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	for file, table := range map[string]string{"docs/isolation.md": openTable(), "docs/reference/isolation-probes.md": fullTable()} {
		path := filepath.Join(root, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, found := strings.Cut(string(text), tableBegins)
		got, after, ends := strings.Cut(rest, tableEnds)
		switch {
		case !found || !ends:
			t.Errorf("%s has no marks of a table", file)
		case *update:
			if err := os.WriteFile(path, []byte(before+tableBegins+table+tableEnds+after), 0o600); err != nil {
				t.Error(err)
			}
		case got != table:
			t.Errorf("the table in %s is not that of the probes; run go test ./test/probes -run TestDocuments -update", file)
		}
	}
}

// Each probe has a name of its own, and says what it tries; one that is open says what to do.
func TestProbesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range probes() {
		for _, p := range g.probes {
			if seen[p.name] || p.name == "" || p.tries == "" || p.want.kind == "" {
				t.Errorf("%q of %q is there twice, or lacks something", p.name, g.title)
			}
			seen[p.name] = true
			if p.do == nil && p.sql == "" {
				t.Errorf("%q tries nothing", p.name)
			}
			if o := p.want; o.kind != isRefused && o.why == "" || o.kind == isRefused && o.state == "" {
				t.Errorf("%q does not say why", p.name)
			}
		}
	}
	if len(seen) < 45 {
		t.Errorf("%d probes, want at least 45", len(seen))
	}
	for _, l := range others() {
		for name := range l.differs {
			if !slices.ContainsFunc(l.repeated(), func(p probe) bool { return p.name == name }) {
				t.Errorf("%q, of which something else comes by a %s, is no attempt of a tenant's login", name, l.by)
			}
		}
	}
}

// openTable lists what is open on a version that is advised.
func openTable() string {
	var b strings.Builder
	b.WriteString("\n| What is tried | By | Why it is open, and what to do instead |\n|---|---|---|\n")
	count := map[kind]int{}
	for _, g := range probes() {
		for _, p := range g.probes {
			count[p.want.kind]++
			if p.want.kind == isOpen {
				_, _ = fmt.Fprintf(&b, "| %s | %s | %s. |\n", cell(p.tries), cmp.Or(p.by, byLogin), cell(p.want.why))
			}
		}
	}
	_, _ = fmt.Fprintf(&b, "\nOf %d probes on PostgreSQL %d, %d are refused, %d are allowed and reach nobody, and these %d are open.\n\n",
		count[isRefused]+count[isHarmless]+count[isOpen], majors[len(majors)-1], count[isRefused], count[isHarmless], count[isOpen])
	return b.String()
}

func fullTable() string {
	var b strings.Builder
	for _, g := range probes() {
		_, _ = fmt.Fprintf(&b, "\n## %s\n\n| Probe | By | What is tried | What comes of it |\n|---|---|---|---|\n", g.title)
		for _, p := range g.probes {
			_, _ = fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(p.name), cmp.Or(p.by, byLogin), cell(p.tries), cell(p.outcomes()))
		}
	}
	b.WriteString(otherTable())
	return b.String()
}

// otherTable says of which attempts something else comes by the other logins.
func otherTable() string {
	var b strings.Builder
	b.WriteString("\n## The same attempts by other logins\n\n")
	b.WriteString("Each of these logins makes the attempts of a tenant's login in the sections on other tenants' data, other roles, the registry and\n")
	b.WriteString("the operator, the server and other databases, and the shared schema. The same comes of them, but for these:\n\n")
	b.WriteString("| Probe | By | What is tried | What comes of it |\n|---|---|---|---|\n")
	var counts []string
	for _, l := range others() {
		repeated := l.repeated()
		counts = append(counts, fmt.Sprintf("%s %d", l.by, len(repeated)))
		for _, p := range repeated {
			if _, ok := l.differs[p.name]; ok {
				_, _ = fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(p.name), l.by, cell(p.tries), cell(p.outcomes()))
			}
		}
	}
	_, _ = fmt.Fprintf(&b, "\nAttempts: %s.\n\n", strings.Join(counts, ", "))
	return b.String()
}

// outcomes are what must come of a probe on all versions.
func (p *probe) outcomes() string {
	if p.want15.kind == "" {
		return p.want.cell()
	}
	return p.want.cell() + ". On PostgreSQL 15: " + p.want15.cell()
}

func (o outcome) cell() string {
	switch o.kind {
	case isRefused:
		return "refused (`" + o.state + "`)"
	case isOpen:
		return "**open**: " + o.why
	}
	return "allowed, and reaches nobody: " + o.why
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
