package probes

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

// Texts that are searched for, with characters that every encoding writes in its own way.
const (
	// bait is no password. It is put where no password may be, to show that it would be found.
	bait = `planted-K7/%+ 9'x\Q-canary`
	// operatorsCanary is the password of the operator's own login.
	operatorsCanary = `op-Zq4/%+ =?&#@:'x\"{}<>~canary`
	// wrongCanary is refused by the server, malformedCanary stands in connection strings that cannot be
	// used, and handCanary was written into a tenant's Secret by hand.
	wrongCanary     = "wrong-Hd72/%+x-canary"
	malformedCanary = "malformed-Pw55-x-canary"
	handCanary      = "hand-Ty31/%+x-canary"
)

// Passwords stand in Secrets and nowhere else. The operator is the program that is shipped, at its
// most talkative, and so is the server; it meets success, refused logins, broken Secrets and bad SQL,
// and is ended by a signal that makes it dump what it was doing.
func TestLeaks(t *testing.T) {
	servers := clusterOf(t)
	w := servers.World(t)
	setOperatorPassword(t, w)
	exec(t, w.AdminDSN, "CREATE EXTENSION pg_stat_statements")
	program := startOperator(t, servers)
	activity := watchActivity(t, w.AdminDSN)
	canaries := story(t, w)
	page := metrics(t, program.Metrics)
	environment := processOf(t, program.PID())
	crash(t, program)
	for _, place := range []leak{
		{"the operator's log, at its highest verbosity, and its dump", contents(t, program.LogPath), "goroutine "},
		{"the operator's environment and command line", environment, "KUBECONFIG="},
		{"events", kubectl(t, servers, "events", "json"), bait},
		{"objects, their status above all", kubectl(t, servers, objectKinds, "json") + kubectl(t, servers, "secrets", "jsonpath={.items[*].metadata}"), bait},
		{"metrics", page, "controller_runtime_reconcile_total"},
		{"the server's log, at its most talkative", contents(t, w.Server.LogPath), bait},
		{"pg_stat_activity, at every moment", activity(), bait},
		{"pg_stat_statements", column(t, w.AdminDSN, "SELECT query FROM pg_stat_statements"), bait},
		{"the registry, settings and verifiers", registry(t, w.AdminDSN), "SCRAM-SHA-256"},
	} {
		for _, name := range sortedKeys(canaries) {
			place.search(t, name, canaries[name])
		}
	}
}

// leak is a place where somebody else might read a password. known is a text that it must have, so
// that an empty place does not pass for a clean one.
type leak struct{ place, text, known string }

func (l leak) search(t *testing.T, name, value string) {
	t.Helper()
	r := result{table: leaks, where: l.place, name: "password of " + name, want: "in no form"}
	switch found := search(l.text, value); {
	case len(search(l.text, l.known)) == 0:
		r.got, r.unexpected = fmt.Sprintf("%q, which is there, is not found either", l.known), true
	case len(found) > 0:
		r.got, r.unexpected = strings.Join(found, ", "), true
	default:
		r.got = fmt.Sprintf("in no form, in %d KB", len(l.text)>>10)
	}
	results.add(t, r)
}

// setOperatorPassword gives the operator's login a password that is known.
func setOperatorPassword(t *testing.T, w *operator.World) {
	t.Helper()
	login := must(postgres.ParseDSN(w.DSN))(t)
	exec(t, w.AdminDSN, "ALTER ROLE "+quoted(login.User())+" PASSWORD '"+must(postgres.SCRAMVerifier(operatorsCanary))(t)+"'")
	w.DSN = login.WithLogin(login.User(), operatorsCanary).URI()
	w.Secret.StringData["uri"] = w.DSN
}

// story is what happens in the house, and returns the passwords that it saw.
func story(t *testing.T, w *operator.World) map[string]string {
	t.Helper()
	h := furnish(t, w)
	canaries, acme, globex := h.canaries, h.acme, h.globex
	maps.Copy(canaries, map[string]string{
		"a login that is refused": wrongCanary, "an unusable connection string": malformedCanary,
		"a Secret written by hand": handCanary, "tenant acme": passwordOf(t, w, "acme"), "tenant globex": passwordOf(t, w, "globex"),
	})
	// Somebody changes the password on the server, and somebody in the Secret.
	login := must(postgres.ParseDSN(w.DSN))(t).WithLogin(postgres.TenantRoles(w.Name, acme.Status.Schema).App, canaries["tenant acme"])
	exec(t, w.AdminDSN, "ALTER ROLE "+quoted(login.User())+" PASSWORD '"+must(postgres.SCRAMVerifier("another one"))(t)+"'")
	w.Nudge(t, acme)
	operator.Poll(t, operator.Eventually, func() error { return operator.LogsIn(t, login.URI()) })
	setSecret(t, w, "globex-db", map[string]string{"password": handCanary})
	login = login.WithLogin(postgres.TenantRoles(w.Name, globex.Status.Schema).App, handCanary)
	operator.Poll(t, operator.Eventually, func() error { return operator.LogsIn(t, login.URI()) })

	h.refusePull(t)
	h.jobsStory(t)
	badSecrets(t, w)
	badSQL(t, w, globex)
	everySecret(t, w, canaries)
	w.Delete(t, acme)
	w.AwaitGone(t, operator.Eventually, acme)
	return canaries
}

// everySecret adds what is in the world's Secrets and was not named yet, so that a kind of Secret that
// comes later is searched for as well. Only values that a search can tell from other texts count.
func everySecret(t *testing.T, w *operator.World, canaries map[string]string) {
	t.Helper()
	secrets := &corev1.SecretList{}
	if err := w.Admin.List(t.Context(), secrets, client.InNamespace(w.Namespace)); err != nil {
		t.Fatal(err)
	}
	known := slices.Collect(maps.Values(canaries))
	for _, s := range secrets.Items {
		for key, value := range s.Data {
			if text := string(value); passwordKey.MatchString(key) && len(text) >= 16 && !slices.Contains(known, text) {
				canaries[key+" in Secret "+s.Name] = text
			}
		}
	}
}

// passwordKey matches the keys of Secrets that hold a password and nothing else.
var passwordKey = regexp.MustCompile(`(?i)^(pg)?password$|^token$`)

func passwordOf(t *testing.T, w *operator.World, tenant string) string {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: tenant + "-db"}}
	w.Get(t, secret)
	return string(secret.Data["password"])
}

func setSecret(t *testing.T, w *operator.World, name string, data map[string]string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
	operator.Update(t, w.Servers, secret, func(s *corev1.Secret) { s.StringData = data })
}

// badSecrets gives the operator connections that cannot be used, and then the right one again.
func badSecrets(t *testing.T, w *operator.World) {
	t.Helper()
	right := must(postgres.ParseDSN(w.DSN))(t)
	for _, bad := range []struct{ uri, reason string }{
		{right.WithLogin(right.User(), wrongCanary).URI(), v1alpha1.ReasonAuthenticationFailed},
		{"postgres://op:" + malformedCanary + "@127.0.0.1:1/db?passfile=x", v1alpha1.ReasonInvalidConnection},
		{"postgres://op:x/" + malformedCanary + "@127.0.0.1/db", v1alpha1.ReasonInvalidConnection},
		{"host=127.0.0.1 user=op dbname=db password=a " + malformedCanary + "=b", v1alpha1.ReasonInvalidConnection},
		{"postgres://op:" + malformedCanary + "%zz@127.0.0.1/db", v1alpha1.ReasonInvalidConnection},
		{malformedCanary, v1alpha1.ReasonInvalidConnection},
		{"postgres://op:" + malformedCanary + "@127.0.0.1:1/db", v1alpha1.ReasonUnreachable},
	} {
		setSecret(t, w, "db", map[string]string{"uri": bad.uri})
		w.AwaitWant(t, operator.Eventually, w.Database, operator.Want{Condition: v1alpha1.ConditionReachable, Reason: bad.reason})
	}
	setSecret(t, w, "db", map[string]string{"uri": w.DSN})
	w.AwaitReady(t, w.Database)
}

// badSQL has a migration fail with the bait text, which comes into conditions, events and logs; the
// server shows it in its statistics too.
func badSQL(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) {
	t.Helper()
	text := strings.ReplaceAll(bait, "'", "''")
	operator.Update(t, w.Servers, w.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.DryRun = v1alpha1.DryRunDisabled })
	operator.Update(t, w.Servers, w.Files, func(f *corev1.ConfigMap) {
		f.Data["0004_bad.sql"] = "DO $do$ BEGIN RAISE EXCEPTION USING MESSAGE = '" + text + "'; END $do$;"
	})
	w.AwaitWant(t, operator.Eventually, tenant, operator.Want{Condition: v1alpha1.ConditionMigrated, Reason: v1alpha1.ReasonMigrationFailed, Message: []string{bait}})
	conn := operator.Hold(t, w.AdminDSN)
	if _, err := conn.Exec(t.Context(), "DO $do$ BEGIN PERFORM '"+text+"'; END $do$"); err != nil {
		t.Fatal(err)
	}
}

// buffer is a log that several goroutines write.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// crash ends the operator by a signal that makes Go dump every goroutine with its arguments.
func crash(t *testing.T, program interface {
	PID() int
	Running() bool
},
) {
	t.Helper()
	if err := syscall.Kill(program.PID(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	operator.Poll(t, operator.Soon, func() error {
		if program.Running() {
			return errors.New("the operator still runs")
		}
		return nil
	})
}

// watchActivity collects every statement that the server shows of any session, until it is asked.
func watchActivity(t *testing.T, dsn string) func() string {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), dsn))(t)
	seen := map[string]bool{}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			rows, err := conn.Query(t.Context(), "SELECT DISTINCT application_name || ' ' || query FROM pg_stat_activity WHERE query IS NOT NULL")
			if err != nil {
				return
			}
			texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return
			}
			for _, text := range texts {
				seen[text] = true
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	return func() string {
		close(stop)
		<-done
		hangUp(t, conn)
		return strings.Join(sortedKeys(seen), "\n")
	}
}
