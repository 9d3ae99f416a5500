package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

// faults are the tenants in which something is planted against the next version.
type faults struct {
	// bad has a row that the version's constraint does not take.
	bad string
	// locked has its table held by a session that does not end.
	locked string
	// taken has an object of the name that the version makes, made by hand.
	taken string
	// cut loses the connection in the middle of its migration.
	cut string
	// full needs more temporary space than the DBA grants.
	full string
}

// failing are those who stay behind: a connection that was cut is no failure.
func (p faults) failing() []string { return []string{p.bad, p.taken, p.full, p.locked} }

// planted is what has to be undone.
type planted struct {
	faults

	fleet   *fleet
	version int
	holder  pgx.Tx
}

// plant spoils the tenants for the version that comes next.
func (f *fleet) plant(t *testing.T, in faults) *planted {
	t.Helper()
	p := &planted{faults: in, fleet: f, version: f.version + 1}
	exec := func(tenant, sql string) { operator.Exec(t, f.AdminDSN, fmt.Sprintf(sql, f.schemas[tenant], p.version)) }
	exec(p.bad, "INSERT INTO %[1]s.note (body) VALUES ('bad %[2]d')")
	exec(p.full, "INSERT INTO %[1]s.note (body) SELECT repeat(md5(i::text), 5) || 'full %[2]d' FROM generate_series(1, 50000) i")
	byOwner := func(tenant, sql string) {
		owner := pgx.Identifier{postgres.TenantRoles(f.Name, f.schemas[tenant]).Owner}.Sanitize()
		exec(tenant, "SET ROLE "+owner+"; "+sql)
	}
	byOwner(p.taken, "CREATE TYPE %[1]s.mood_%[2]d AS ENUM ('mine')")
	byOwner(p.cut, "CREATE SEQUENCE %[1]s.slow_%[2]d")
	// A reader is enough: the migration needs the table for itself.
	conn := operator.Hold(t, f.AdminDSN)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), fmt.Sprintf("SELECT count(*) FROM %s.note", f.schemas[p.locked])); err != nil {
		t.Fatal(err)
	}
	p.holder = tx
	return p
}

// mendData undoes what was planted into data and schemas.
func (p *planted) mendData(t *testing.T) {
	t.Helper()
	for tenant, sql := range map[string]string{
		p.bad:   "UPDATE %[1]s.note SET body = 'good' WHERE body = 'bad %[2]d'",
		p.full:  "DELETE FROM %[1]s.note WHERE body LIKE '%%full %[2]d'",
		p.taken: "DROP TYPE %[1]s.mood_%[2]d",
	} {
		operator.Exec(t, p.fleet.AdminDSN, fmt.Sprintf(sql, p.fleet.schemas[tenant], p.version))
	}
}

// unlock ends the session that holds the table.
func (p *planted) unlock(t *testing.T) {
	t.Helper()
	if err := p.holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// cutter ends the session that migrates the tenant to be cut, once, as soon as it is in the middle of its
// file. The result waits for it and says whether it did.
func (f *fleet) cutter(t *testing.T) (stop func() bool) {
	t.Helper()
	conn := operator.Hold(t, f.AdminDSN)
	quit, cut := make(chan struct{}), make(chan bool, 1)
	go func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			var n int
			err := conn.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE usename = $1 AND wait_event = 'PgSleep'`, f.migrator).Scan(&n)
			if err != nil || n > 0 {
				cut <- n == 1
				return
			}
			select {
			case <-quit:
				cut <- false
				return
			case <-ticker.C:
			}
		}
	}()
	return func() bool {
		close(quit)
		return <-cut
	}
}

// texts are what an SRE reads of each tenant that failed: the reason, and parts of the message.
func (p *planted) texts() map[string][]string {
	file, stays := p.fleet.file(), fmt.Sprintf("the schema stays at version %d", p.version-1)
	return map[string][]string{
		p.bad: {
			v1alpha1.ReasonMigrationFailed, file + " line 1: ",
			fmt.Sprintf(`check constraint "note_%d" of relation "note" is violated by some row`, p.version), "(23514)", stays,
		},
		p.taken:  {v1alpha1.ReasonMigrationFailed, file + " line 2: ", fmt.Sprintf(`type "mood_%d" already exists`, p.version), "(42710)", stays},
		p.full:   {v1alpha1.ReasonMigrationFailed, file + " line 4: ", "temporary file size exceeds", "(53400)", stays},
		p.locked: {v1alpha1.ReasonMigrationLocked, file + " line 1: ", "another session holds a lock", "(55P03)", stays},
	}
}

// serves checks that tenants who failed work on at their old version and say so, and that the set's list
// says the same of them.
func (p *planted) serves(t *testing.T, failing ...string) {
	t.Helper()
	f := p.fleet
	listed := map[string]v1alpha1.FailedTenant{}
	for _, failure := range f.Set.Status.Failures {
		listed[failure.Name] = failure
	}
	if len(listed) != len(failing) {
		t.Errorf("the set lists %d failures, want %d: %+v", len(listed), len(failing), f.Set.Status.Failures)
	}
	for _, name := range failing {
		texts := p.texts()[name]
		tenant := f.tenant(t, name)
		for _, want := range []operator.Want{
			{Condition: v1alpha1.ConditionMigrated, Reason: texts[0], Message: texts[1:]},
			{Condition: v1alpha1.ConditionReady, Reason: texts[0], Message: texts[1:]},
			{Condition: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded},
		} {
			if err := want.Check(tenant); err != nil {
				t.Errorf("Tenant %s: %v", name, err)
			}
		}
		l := listed[name]
		if l.Ring != ringNames[f.ringOf[name]] || l.Version != fmt.Sprint(p.version-1) || l.Reason != texts[0] || !containsAll(l.Message, texts[1:]) {
			t.Errorf("the set says of %s: %+v", name, l)
		}
		secret := &corev1.Secret{}
		secret.Namespace, secret.Name = f.Namespace, tenant.Status.Binding.Name
		f.Get(t, secret)
		uri := string(secret.Data["uri"])
		if got := operator.Query[string](t, uri, "SELECT max(version) FROM tenantry_migrations WHERE length(version) = 1"); got != fmt.Sprint(p.version-1) {
			t.Errorf("the customer of %s is served at version %s", name, got)
		}
		operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('at work')")
	}
}
