package scenarios

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// settled is a world with so many Ready tenants, of which counts tell, and whose database logs every
// statement and log-in from the next session on.
func settled(t *testing.T, n int) *operator.World {
	t.Helper()
	w := servers.World(t).Make(t)
	w.AwaitReady(t, w.Set, w.Database, w.Class)
	for i := range n {
		name := fmt.Sprintf("tenant-%d", i)
		w.Create(t, w.Tenant(name, w.Host(name)))
	}
	w.Await(t, operator.Eventually, w.Set, counts(w.Set, int32(n), int32(n), 0))
	for i := range n {
		w.AwaitReady(t, w.Tenant(fmt.Sprintf("tenant-%d", i)))
	}
	operator.Exec(t, w.AdminDSN, fmt.Sprintf("ALTER DATABASE %q SET log_statement = 'all'", w.Name))
	return w
}

// tried is the log line of a tenant's own login. Each is tried once in ten minutes, at a time of its own: a few of many
// fall into any time that one looks at.
var tried = regexp.MustCompile(` tn_\S+_app(_b)?@`)

// cost counts the statements and log-ins of the server while all tenants are passed over, but for what a login costs
// that is tried meanwhile: of many tenants only some are.
func cost(t *testing.T, w *operator.World, n int, do func()) (statements []string, logins int) {
	t.Helper()
	before, err := os.Stat(w.Server.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	made := passes(t, "tenant")
	do()
	operator.Poll(t, operator.Eventually, func() error {
		if done := passes(t, "tenant") - made; done < float64(n) {
			return fmt.Errorf("%v of %d tenants were passed over", done, n)
		}
		return nil
	})
	log, err := os.ReadFile(w.Server.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	proofs := 0
	for line := range strings.Lines(string(log[before.Size():])) {
		switch {
		case !strings.Contains(line, "@"+w.Name+" "):
		case tried.MatchString(line):
			if strings.Contains(line, "connection authorized: ") {
				proofs++
			}
		case strings.Contains(line, "connection authorized: "):
			logins++
		case strings.Contains(line, "pg_postmaster_start_time()"): // once a session, of which there are as many as are needed
		case strings.Contains(line, "LOG:  statement: ") || strings.Contains(line, "LOG:  execute "):
			statements = append(statements, strings.TrimSpace(line))
		}
	}
	if proofs > 2 {
		t.Errorf("%d tenants' logins were tried, want at most 2 whatever the number of tenants", proofs)
	}
	return statements, logins
}

// ofTenants are the statements that look at tenants one by one, or at all of them.
func ofTenants(statements []string) (n int) {
	for _, s := range statements {
		if strings.Contains(s, "Every tenant of the registry") || strings.Contains(s, "One tenant as the registry") {
			n++
		}
	}
	return n
}

// kinds counts statements that differ by more than what they were asked with.
func kinds(statements []string) int {
	seen := map[string]bool{}
	for _, s := range statements {
		_, text, _ := strings.Cut(s, "LOG:  ")
		_, text, _ = strings.Cut(text, ": ")
		seen[text] = true
	}
	return len(seen)
}

// known checks what it takes to know a database again, whatever the number of tenants: a dozen kinds of statements, who
// it is and what the login may do there, of which passes that come at the same time ask some twice.
func known(t *testing.T, n int, statements []string) {
	t.Helper()
	if len(statements) > 24 || kinds(statements) > 15 {
		t.Errorf("a restart over %d tenants takes %d statements of %d kinds: %q", n, len(statements), kinds(statements), statements)
	}
}

// A fleet that is up to date costs its database the same few queries, whatever the number of tenants: when
// the operator is restarted, and when something that concerns all of them is touched. The test does not
// run beside others: it counts what the whole server did.
func TestFleetCostsNoQueryATenant(t *testing.T) {
	restarted, touched := map[int]int{}, map[int]int{}
	for _, n := range []int{20, 60} {
		w := settled(t, n)
		var all v1alpha1.TenantList
		if err := w.Admin.List(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		statements, logins := cost(t, w, len(all.Items), func() {
			if err := restart(); err != nil {
				t.Fatal(err)
			}
		})
		if looks := ofTenants(statements); looks == 0 || looks > 3 {
			t.Errorf("a restart over %d tenants takes %d queries about them, want 1 to 3: %q", n, looks, statements)
		}
		restarted[n] = len(statements)
		known(t, n, statements)
		// Sessions of the operator's own login, which its workers open when they need one at the same time.
		if most := options.DatabaseConnections; logins > most {
			t.Errorf("a restart over %d tenants takes %d log-ins, want at most the operator's own %d", n, logins, most)
		}
		for _, touch := range []func(){
			func() {
				operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits = &v1alpha1.TenantLimits{} })
			},
			func() {
				operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits = nil })
			},
		} {
			statements, logins = cost(t, w, n, touch)
			if looks := ofTenants(statements); looks > 3 || logins > options.DatabaseConnections {
				t.Errorf("a touch of the class of %d tenants takes %d queries about them and %d log-ins: %q", n, looks, logins, statements)
			}
			touched[n] = max(touched[n], ofTenants(statements))
		}
	}
	t.Logf("statements at a restart: %v; queries about tenants at a touch of their class: %v", restarted, touched)
}

// Nor does one that is migrated by Jobs: what a framework recorded is read when a tenant is to move, and the
// registry remembers it. The test does not run beside others either.
func TestJobFleetCostsNoQueryATenant(t *testing.T) {
	took := map[int]int{}
	for _, n := range []int{6, 18} { // the latter are more than are migrated at a time
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("tenant-%d", i))
		}
		f := newJobFleet(t, names...)
		operator.Exec(t, f.AdminDSN, fmt.Sprintf("ALTER DATABASE %q SET log_statement = 'all'", f.Name))
		var every v1alpha1.TenantList
		if err := f.Admin.List(t.Context(), &every); err != nil {
			t.Fatal(err)
		}
		statements, _ := cost(t, f.World, len(every.Items), func() {
			if err := restart(); err != nil {
				t.Fatal(err)
			}
		})
		if looks := ofTenants(statements); looks == 0 || looks > 3 {
			t.Errorf("a restart over %d tenants takes %d queries about them, want 1 to 3: %q", n, looks, statements)
		}
		for _, s := range statements {
			if strings.Contains(s, "goose_db_version") {
				t.Errorf("a restart over %d tenants reads a framework's table: %s", n, s)
			}
		}
		took[n] = len(statements)
		known(t, n, statements)
		f.wantVersions(t, "after the restart", all("1.1", names...))
	}
	t.Logf("statements at a restart: %v", took)
}
