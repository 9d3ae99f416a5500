package controllers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// sharedLogin lets the world's class have a shared login from the start.
func (b *bench) sharedLogin(mode v1alpha1.LoginMode) {
	b.Class.Spec.Logins = &v1alpha1.LoginPolicy{
		Mode: mode, SecretRef: &v1alpha1.LoginSecretReference{Namespace: b.Namespace, Name: "login"},
	}
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
}

// setMode changes the class.
func (b *bench) setMode(t *testing.T, mode v1alpha1.LoginMode) {
	t.Helper()
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Logins = &v1alpha1.LoginPolicy{Mode: mode}
		if mode != v1alpha1.LoginDedicated {
			c.Spec.Logins.SecretRef = &v1alpha1.LoginSecretReference{Namespace: b.Namespace, Name: "login"}
		}
	})
}

// sharedSecret reads the Secret of the shared login.
func (b *bench) sharedSecret(t *testing.T) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	s.Namespace, s.Name = b.Namespace, "login-main"
	b.Get(t, s)
	return s
}

// work does in a tenant's schema what a program of a mode does. An error says what it may not.
func (b *bench) work(t *testing.T, mode v1alpha1.LoginMode, tenant *v1alpha1.Tenant) error {
	t.Helper()
	own := keys(b.secret(t, tenant))
	switch mode {
	case v1alpha1.LoginSetRole:
		return operator.Try(t, keys(b.sharedSecret(t))["uri"],
			"SET ROLE "+own["role"], "SET search_path = "+own["schema"], "INSERT INTO note (body) VALUES ('works')", "RESET ROLE")
	case v1alpha1.LoginShared:
		return operator.Try(t, keys(b.sharedSecret(t))["uri"], "SET search_path = "+own["schema"], "INSERT INTO note (body) VALUES ('works')")
	}
	return operator.Try(t, own["uri"], "INSERT INTO note (body) VALUES ('works')")
}

var allModes = []v1alpha1.LoginMode{v1alpha1.LoginDedicated, v1alpha1.LoginSetRole, v1alpha1.LoginShared}

// A tenant works by the mode of its class from the start, and says so; its own Secret holds no login
// that it does not have.
func TestModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []v1alpha1.LoginMode{v1alpha1.LoginSetRole, v1alpha1.LoginShared} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			testMode(t, mode)
		})
	}
}

func testMode(t *testing.T, mode v1alpha1.LoginMode) {
	t.Helper()
	b := newBench(t)
	b.sharedLogin(mode)
	b.settle(t)
	acme, globex := b.tenant(t, "acme"), b.tenant(t, "globex")
	for _, tenant := range []*v1alpha1.Tenant{acme, globex} {
		if err := b.work(t, mode, tenant); err != nil {
			t.Error(err)
		}
		b.expectNoOwnLogin(t, mode, tenant)
	}
	b.expectRightsByMode(t, mode, acme)
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Ready())
	if l := b.Class.Status.Logins; len(l) != 1 || l[0].Mode != mode || l[0].Login == "" || l[0].Name != "main" {
		t.Errorf("status.logins is %+v", l)
	}
	b.expectSteadyLogins(t, acme)
	b.expectLoginEndsWithClass(t, mode, acme, globex)
}

// expectNoOwnLogin reads in a tenant's Secret and status that it works by the shared login.
func (b *bench) expectNoOwnLogin(t *testing.T, mode v1alpha1.LoginMode, tenant *v1alpha1.Tenant) {
	t.Helper()
	own := keys(b.secret(t, tenant))
	for _, key := range []string{"username", "password", "uri"} {
		if own[key] != "" {
			t.Errorf("the tenant's Secret has %s", key)
		}
	}
	if own["schema"] != tenant.Status.Schema || own["role"] != "tn_"+b.Name+"__"+tenant.Status.Schema+"_app" || own["host"] == "" {
		t.Errorf("the tenant's Secret is %v", own)
	}
	c := tenant.Status.Credentials
	if c == nil || c.Mode != mode || c.Role != own["role"] || c.Login != keys(b.sharedSecret(t))["username"] || c.SharedSecretRef == nil || c.SharedSecretRef.Name != "login-main" {
		t.Errorf("status.credentials is %+v", c)
	}
}

// expectRightsByMode tries that neither a tenant's own role nor the shared login does what the mode does
// not mean.
func (b *bench) expectRightsByMode(t *testing.T, mode v1alpha1.LoginMode, tenant *v1alpha1.Tenant) {
	t.Helper()
	if operator.Query[bool](t, b.AdminDSN, "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", tenant.Status.Credentials.Role) {
		t.Error("the tenant's own role can log in")
	}
	if mode == v1alpha1.LoginSetRole && b.Server.Major >= 16 {
		if err := b.work(t, v1alpha1.LoginShared, tenant); err == nil {
			t.Error("a login for SET ROLE has rights without it")
		}
	}
}

// expectSteadyLogins passes over a settled class and tenant, and over all after a restart: nothing is
// written any more.
func (b *bench) expectSteadyLogins(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	for range 3 {
		b.pass(t, b.Class)
		b.pass(t, tenant)
	}
	versions := func() []string {
		t.Helper()
		return []string{tenant.ResourceVersion, b.Class.ResourceVersion, b.sharedSecret(t).ResourceVersion, b.secret(t, tenant).ResourceVersion}
	}
	before := versions()
	b.restart(t)
	b.pass(t, b.Set)
	b.pass(t, b.Database)
	b.pass(t, b.Class)
	b.pass(t, tenant)
	if after := versions(); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("a steady pass writes: %v, then %v", before, after)
	}
}

// expectLoginEndsWithClass removes one tenant with its data, the last one without, and the class: the
// shared login loses what it had of each, and goes.
func (b *bench) expectLoginEndsWithClass(t *testing.T, mode v1alpha1.LoginMode, deleted, retained *v1alpha1.Tenant) {
	t.Helper()
	operator.Update(t, b.Servers, deleted, func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	b.remove(t, deleted)
	if err := b.work(t, mode, retained); err != nil {
		t.Errorf("after another tenant's deletion: %v", err)
	}
	schema := retained.Status.Schema
	shared := keys(b.sharedSecret(t))["uri"]
	b.remove(t, retained)
	for _, sql := range []string{"SET ROLE tn_" + b.Name + "__" + schema + "_app", "SELECT FROM " + schema + ".note"} {
		if operator.Try(t, shared, sql) == nil {
			t.Errorf("with retained data, the shared login may %s", sql)
		}
	}
	b.Delete(t, b.Class)
	b.finishClass(t)
	if n := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM tenantry.login"); n != 0 {
		t.Errorf("%d shared logins are left", n)
	}
	if operator.LogsIn(t, shared) == nil {
		t.Error("the login of a class that is gone works")
	}
}

// finishClass passes over the class until it is gone.
func (b *bench) finishClass(t *testing.T) {
	t.Helper()
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, b.Class)
		if !b.gone(t, b.Class) {
			return errors.New("the class is still there")
		}
		return nil
	})
}

// From each mode to each other one: at every moment, the way that programs had works until its grace is
// over, and the new one before that.
func TestModeChanges(t *testing.T) {
	t.Parallel()
	for _, from := range allModes {
		for _, to := range allModes {
			if from == to {
				continue
			}
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				testModeChange(t, from, to)
			})
		}
	}
}

func testModeChange(t *testing.T, from, to v1alpha1.LoginMode) {
	t.Helper()
	b := newBench(t)
	if from != v1alpha1.LoginDedicated {
		b.sharedLogin(from)
	}
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 3600}
	b.settle(t)
	tenants := []*v1alpha1.Tenant{b.tenant(t, "acme"), b.tenant(t, "globex")}
	// What programs read before the change.
	var olds [][]string
	for _, tenant := range tenants {
		olds = append(olds, b.program(t, from, tenant))
	}
	b.setMode(t, to)
	b.passWhileOldWorks(t, tenants, olds)
	for _, tenant := range tenants {
		if err := b.work(t, to, tenant); err != nil {
			t.Errorf("the new way: %v", err)
		}
		if c := tenant.Status.Credentials; c.Mode != to {
			t.Errorf("status.credentials is %+v", c)
		}
	}
	b.Expect(t, b.Class, operator.Ready())

	b.endGrace(t, tenants, olds)
	for range 2 {
		b.pass(t, b.Class)
	}
	b.expectOnlyMode(t, to, tenants)
}

// passWhileOldWorks passes over tenants and their class, whose mode has changed, and runs the old
// programs after each pass.
func (b *bench) passWhileOldWorks(t *testing.T, tenants []*v1alpha1.Tenant, olds [][]string) {
	t.Helper()
	works := func(when string) {
		t.Helper()
		for _, old := range olds {
			if err := operator.Try(t, old[0], old[1:]...); err != nil {
				t.Errorf("%s, the old way: %v", when, err)
			}
		}
	}
	b.pass(t, tenants[0]) // before the class knows
	b.Expect(t, tenants[0], operator.Ready())
	works("before the class's pass")
	for i := range 4 {
		b.pass(t, b.Class)
		works(fmt.Sprintf("after pass %d of the class", i))
		for _, tenant := range tenants {
			b.pass(t, tenant)
			b.Expect(t, tenant, operator.Ready())
			works(fmt.Sprintf("after pass %d of %s", i, tenant.Name))
		}
	}
}

// endGrace shortens the class's grace and passes until no old program works any more.
func (b *bench) endGrace(t *testing.T, tenants []*v1alpha1.Tenant, olds [][]string) {
	t.Helper()
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Credentials.GraceSeconds = 1 })
	operator.Poll(t, operator.Soon, func() error {
		for _, o := range []conditions.Object{tenants[0], tenants[1], b.Class, tenants[0], tenants[1]} {
			b.pass(t, o)
		}
		for _, old := range olds {
			if operator.Try(t, old[0], old[1:]...) == nil {
				return errors.New("the old way still works")
			}
		}
		return nil
	})
}

// expectOnlyMode tries that tenants work by a mode, and that nothing of another one is left.
func (b *bench) expectOnlyMode(t *testing.T, mode v1alpha1.LoginMode, tenants []*v1alpha1.Tenant) {
	t.Helper()
	for _, tenant := range tenants {
		b.Expect(t, tenant, operator.Ready())
		if err := b.work(t, mode, tenant); err != nil {
			t.Errorf("the new way: %v", err)
		}
		if mode == v1alpha1.LoginDedicated {
			continue
		}
		if s := keys(b.secret(t, tenant)); s["password"] != "" {
			t.Error("the old password is still in the Secret")
		}
	}
	want := map[v1alpha1.LoginMode]int{v1alpha1.LoginDedicated: 0, v1alpha1.LoginSetRole: 1, v1alpha1.LoginShared: 1}[mode]
	if n := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM tenantry.login"); n != want || len(b.Class.Status.Logins) != want {
		t.Errorf("%d shared logins are left, and %+v in the status", n, b.Class.Status.Logins)
	}
}

// program is a connection URL and what a program does with it.
func (b *bench) program(t *testing.T, mode v1alpha1.LoginMode, tenant *v1alpha1.Tenant) []string {
	t.Helper()
	s := keys(b.secret(t, tenant))
	insert := "INSERT INTO note (body) VALUES ('works')"
	switch mode {
	case v1alpha1.LoginSetRole:
		return []string{keys(b.sharedSecret(t))["uri"], "SET ROLE " + s["role"], "SET search_path = " + s["schema"], insert}
	case v1alpha1.LoginShared:
		return []string{keys(b.sharedSecret(t))["uri"], "SET search_path = " + s["schema"], insert}
	}
	return []string{s["uri"], insert}
}

// A shared login is replaced as a tenant's own is, whatever a crash leaves.
func TestSharedLoginRotates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sharedLogin(v1alpha1.LoginSetRole)
	b.settle(t)
	acme := b.tenant(t, "acme")
	first := keys(b.sharedSecret(t))
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"}
	})
	for n := 0; ; n++ {
		_, err := servers.DyingReconcilers(t, n).Reconcile(t.Context(), b.Class)
		if err != nil && !errors.Is(err, operator.ErrCrash) {
			t.Fatal(err)
		}
		if err := b.work(t, v1alpha1.LoginSetRole, acme); err != nil {
			t.Fatalf("after a crash behind write %d: %v", n, err)
		}
		if keys(b.sharedSecret(t))["username"] != first["username"] && err == nil {
			break
		}
		if n > 20 {
			t.Fatal("the rotation does not end")
		}
	}
	second := keys(b.sharedSecret(t))
	if second["username"] != first["username"]+"_b" || second["password"] == first["password"] {
		t.Errorf("after %s comes %s", first["username"], second["username"])
	}
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if acme.Status.Credentials.Login != second["username"] {
		t.Errorf("the Tenant's status says %+v", acme.Status.Credentials)
	}
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, b.Class)
		if operator.LogsIn(t, first["uri"]) == nil {
			return errors.New("the old login still works")
		}
		return nil
	})
	b.pass(t, acme)
	if err := b.work(t, v1alpha1.LoginSetRole, acme); err != nil {
		t.Error(err)
	}
}

// What a class wants and cannot have stops nobody who works, and is said.
func TestSharedLoginCannotBeHad(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(*testing.T, *bench)
		want operator.Want
		mend func(*testing.T, *bench)
	}{
		"somebody's Secret": {
			do: func(t *testing.T, b *bench) {
				b.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "login-main"}, StringData: map[string]string{"password": "precious-and-not-ours"}})
				b.setMode(t, v1alpha1.LoginSetRole)
			},
			want: operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonSecretNameTaken, Message: []string{`Secret "login-main"`}},
			mend: func(t *testing.T, b *bench) { b.Delete(t, b.sharedSecret(t)) },
		},
		"a database that does not allow the namespace": {
			do: func(t *testing.T, b *bench) {
				b.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.Namespace + "-apps"}})
				operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
					c.Spec.Logins = &v1alpha1.LoginPolicy{Mode: v1alpha1.LoginSetRole, SecretRef: &v1alpha1.LoginSecretReference{Namespace: b.Namespace + "-apps", Name: "login"}}
				})
			},
			want: operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonNamespaceNotAllowed, Message: []string{"-apps"}},
			mend: func(t *testing.T, b *bench) {
				operator.Update(t, b.Servers, b.Database, func(d *v1alpha1.TenantDatabase) {
					d.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}
				})
				b.pass(t, b.Database)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			acme := b.tenant(t, "acme")
			uri := keys(b.secret(t, acme))["uri"]
			tt.do(t, b)
			b.pass(t, b.Class)
			b.Expect(t, b.Class, tt.want)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
			operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('works')")
			late := b.Tenant("late", b.Host("late"))
			b.Create(t, late)
			b.pass(t, late)
			b.Expect(t, late, operator.Waiting(v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonSharedLoginNotReady, b.Class.Name))
			tt.mend(t, b)
			b.pass(t, b.Class)
			b.Expect(t, b.Class, operator.Ready())
			b.pass(t, late)
			b.pass(t, acme)
			b.Expect(t, late, operator.Ready())
			b.Expect(t, acme, operator.Ready())
			if acme.Status.Credentials.Mode != v1alpha1.LoginSetRole || acme.Status.Credentials.Previous == "" {
				t.Errorf("status.credentials is %+v", acme.Status.Credentials)
			}
		})
	}
}

// A class ends also where its database cannot be reached any more and goes itself.
func TestClassWithSharedLoginEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sharedLogin(v1alpha1.LoginShared)
	b.settle(t)
	b.restart(t)
	b.Delete(t, b.Secret)
	b.Delete(t, b.Class)
	b.pass(t, b.Class)
	if b.gone(t, b.Class) {
		t.Fatal("the class went and left its login")
	}
	b.Expect(t, b.Class, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonSecretNotFound})
	b.Delete(t, b.Database)
	b.finishClass(t)
}

// Nor do Tenants that went without the operator keep a class: nobody takes its login out of them any more.
func TestClassEndsBehindVanishedTenants(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sharedLogin(v1alpha1.LoginSetRole)
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Class)
	b.Delete(t, acme, b.Class)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Finalizers = nil })
	b.finishClass(t)
	if n := operator.Query[int](t, b.AdminDSN, "SELECT (SELECT count(*) FROM tenantry.login) + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tn\\_' || current_database() || '\\_%login%')"); n != 0 {
		t.Errorf("%d shared logins are left", n)
	}
	if n := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM "+acme.Status.Schema+".note"); n != 0 {
		t.Errorf("the vanished tenant's table has %d rows", n)
	}
}

// The Secret of a shared login is called after its database. Of two with one name the second does not get the first
// one's: programs would log in elsewhere.
func TestSharedLoginOfDatabasesWithOneName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sharedLogin(v1alpha1.LoginShared)
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Class)
	namespace := b.Namespace + "-other"
	b.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	_, dsn, _ := b.NewDatabase(t, b.Name+"b")
	secret, tdb := b.ConnectionSecret("db", dsn), b.TenantDatabase("main", "db")
	secret.Namespace, tdb.Namespace = namespace, namespace
	tdb.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: "All"}
	b.Create(t, secret, tdb)
	b.pass(t, tdb)
	b.Expect(t, tdb, operator.Ready())
	other := v1alpha1.NamespacedReference{Namespace: namespace, Name: "main"}
	both := b.Class.DeepCopy()
	both.Spec.Databases = append(both.Spec.Databases, other)
	if err := b.Admin.Update(t.Context(), both); err == nil || !strings.Contains(err.Error(), "no two databases can have one name") {
		t.Errorf("a class with two databases of one name: %v", err)
	}
	before := b.sharedSecret(t)
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Databases = []v1alpha1.NamespacedReference{other} })
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Want{
		Condition: "Ready", Reason: v1alpha1.ReasonSecretNameTaken,
		Message: []string{"login-main", "TenantDatabase " + b.Namespace + "/main", "cannot have one name"},
	})
	if after := b.sharedSecret(t); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the Secret was overwritten: %v", keys(after))
	}
	b.pass(t, acme)
	if err := b.work(t, v1alpha1.LoginShared, acme); err != nil {
		t.Error(err)
	}
	// Who was refused, and leaves the class, takes nothing along.
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Databases = []v1alpha1.NamespacedReference{{Namespace: b.Namespace, Name: "main"}}
	})
	base := b.Class.DeepCopy()
	entry := *b.Class.Status.Logins[0].DeepCopy()
	entry.Namespace = namespace
	b.Class.Status.Logins = append(b.Class.Status.Logins, entry)
	if err := b.Admin.Status().Patch(t.Context(), b.Class, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Ready())
	if after := b.sharedSecret(t); after.ResourceVersion != before.ResourceVersion || len(b.Class.Status.Logins) != 1 {
		t.Errorf("the Secret changed: %v; logins are %+v", keys(after), b.Class.Status.Logins)
	}
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Databases = []v1alpha1.NamespacedReference{other} })
	// When the last tenant has left the first, the name is free.
	b.remove(t, acme)
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, b.Class)
		if !conditions.IsTrue(b.Class, v1alpha1.ConditionReady) {
			return fmt.Errorf("the class is not Ready: %v", b.Class.Status.Conditions)
		}
		return nil
	})
	if got := keys(b.sharedSecret(t))["uri"]; !strings.Contains(got, b.Name+"b") {
		t.Errorf("the Secret leads to %s", got)
	}
}

// Who is one tenant's login in a class with a shared one is found out: the deadline of its grace is real.
func TestGraceOfModes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
	b.settle(t)
	acme := b.tenant(t, "acme")
	session := operator.Session(t, keys(b.secret(t, acme))["uri"])
	b.setMode(t, v1alpha1.LoginShared)
	b.pass(t, b.Class)
	operator.Poll(t, operator.Soon, func() error { // past the grace, a session is open
		if result := b.pass(t, acme); result.RequeueAfter < 30*time.Second {
			return fmt.Errorf("comes back after %s", result.RequeueAfter)
		}
		return nil
	})
	if acme.Status.Credentials.Previous == "" || keys(b.secret(t, acme))["password"] == "" {
		t.Errorf("a login with a session was taken away: %+v", acme.Status.Credentials)
	}
	session.End(t)
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, acme)
		if acme.Status.Credentials.Previous != "" || keys(b.secret(t, acme))["password"] != "" {
			return errors.New("the own login is still there")
		}
		return nil
	})
}
