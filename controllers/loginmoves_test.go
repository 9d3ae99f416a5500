package controllers_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// A program reads its login where its framework wants it: a key by template holds what the others do, as long as
// the tenant's own login works.
func TestExtraKeysWhileTheModeChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{
		GraceSeconds: 3600, ExtraKeys: []v1alpha1.SecretKey{{Key: "DATABASE_URL", Template: "{{ .URI }}"}},
	}
	b.settle(t)
	acme := b.tenant(t, "acme")
	before := keys(b.secret(t, acme))
	b.setMode(t, v1alpha1.LoginSetRole)
	for range 2 {
		b.pass(t, b.Class)
		b.pass(t, acme)
	}
	b.Expect(t, acme, operator.Ready())
	for _, key := range []string{"DATABASE_URL", "uri", "username", "password"} {
		if after := keys(b.secret(t, acme)); after[key] == "" || after[key] != before[key] {
			t.Errorf("the tenant's own login works, and %s has changed", key)
		}
	}
	if c := acme.Status.Credentials; c.Mode != v1alpha1.LoginSetRole || c.Previous == "" {
		t.Errorf("status.credentials is %+v", c)
	}
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Credentials.GraceSeconds = 1 })
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, acme)
		if after := keys(b.secret(t, acme)); after["password"] != "" || after["DATABASE_URL"] != "" {
			return errors.New("the Secret has a login")
		}
		return nil
	})
}

// Nobody waits for a Tenant that went without the operator, and no login that reaches its data is left.
func TestModeChangesBehindAVanishedTenant(t *testing.T) {
	t.Parallel()
	for _, to := range []v1alpha1.LoginMode{v1alpha1.LoginShared, v1alpha1.LoginDedicated} {
		t.Run(string(to), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.sharedLogin(v1alpha1.LoginSetRole)
			b.settle(t)
			acme, lost := b.tenant(t, "acme"), b.tenant(t, "lost")
			b.pass(t, b.Class)
			b.Delete(t, lost)
			operator.Update(t, b.Servers, lost, func(tn *v1alpha1.Tenant) { tn.Finalizers = nil })
			b.setMode(t, to)
			operator.Poll(t, operator.Soon, func() error {
				b.pass(t, b.Class)
				b.pass(t, acme)
				return b.onlyMode(t, to)
			})
			b.Expect(t, b.Class, operator.Ready())
			b.Expect(t, acme, operator.Ready())
			if err := b.work(t, to, acme); err != nil {
				t.Error(err)
			}
			if n := operator.Query[int](t, b.AdminDSN, `SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
				WHERE r.rolname = $1 AND pg_get_userbyid(m.member) ~ '^tenantry_(set|all)_'`, lost.Status.Credentials.Role); n != 0 {
				t.Errorf("%d shared logins reach the vanished tenant's data", n)
			}
			if n := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM "+lost.Status.Schema+".note"); n != 0 {
				t.Errorf("the vanished tenant's table has %d rows", n)
			}
		})
	}
}

// onlyMode says what of another mode is left of the class's login.
func (b *bench) onlyMode(t *testing.T, mode v1alpha1.LoginMode) error {
	t.Helper()
	n, in := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM tenantry.login"), b.Class.Status.Logins
	if mode == v1alpha1.LoginDedicated && n+len(in) == 0 || n == 1 && len(in) == 1 && in[0].Mode == mode && in[0].Next == "" && len(in[0].Previous) == 0 {
		return nil
	}
	return fmt.Errorf("there are %d shared logins, and status.logins is %+v", n, in)
}

// A Tenant that comes while its class waits for others to let the next login in works as they do.
func TestTenantComesWhileTheModeChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sharedLogin(v1alpha1.LoginSetRole)
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.setMode(t, v1alpha1.LoginShared)
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSharedLoginNotReady, "1 more Tenants"))
	late := b.tenant(t, "late")
	if err := b.work(t, v1alpha1.LoginSetRole, late); err != nil {
		t.Error(err)
	}
	b.pass(t, late)
	before := late.ResourceVersion
	b.pass(t, late)
	if late.ResourceVersion != before || late.Status.Credentials.Mode != v1alpha1.LoginSetRole {
		t.Errorf("a steady pass writes; status.credentials is %+v", late.Status.Credentials)
	}
	b.pass(t, acme)
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, b.Class)
		return b.onlyMode(t, v1alpha1.LoginShared)
	})
	for _, tenant := range []*v1alpha1.Tenant{acme, late} {
		b.pass(t, tenant)
		b.Expect(t, tenant, operator.Ready())
		if err := b.work(t, v1alpha1.LoginShared, tenant); err != nil {
			t.Error(err)
		}
	}
}

// A program that holds each connection of its login works, and so the old way is left behind it, as behind any other;
// until then nobody asks the server each second.
func TestFullLoginIsProved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to v1alpha1.LoginMode }{
		{v1alpha1.LoginShared, v1alpha1.LoginDedicated},
		{v1alpha1.LoginDedicated, v1alpha1.LoginSetRole},
		{v1alpha1.LoginDedicated, v1alpha1.LoginShared},
	} {
		t.Run(fmt.Sprintf("%s to %s", c.from, c.to), func(t *testing.T) {
			t.Parallel()
			testFullLogin(t, c.from, c.to)
		})
	}
}

func testFullLogin(t *testing.T, from, to v1alpha1.LoginMode) {
	t.Helper()
	b := newBench(t)
	if from != v1alpha1.LoginDedicated {
		b.sharedLogin(from)
	}
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
	b.Class.Spec.Limits = &v1alpha1.TenantLimits{Connections: 1}
	b.settle(t)
	acme := b.tenant(t, "acme")
	old := b.program(t, from, acme)
	b.setMode(t, to)
	var uri string
	if to == v1alpha1.LoginDedicated {
		b.pass(t, acme)
		uri = keys(b.secret(t, acme))["uri"]
	} else {
		operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Logins.Connections = 1 })
		b.pass(t, b.Class)
		uri = keys(b.sharedSecret(t))["uri"]
	}
	operator.Hold(t, uri)
	b.Nudge(t, acme)
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, acme)
		b.Expect(t, acme, operator.Ready())
		if operator.Try(t, old[0], old[1:]...) == nil {
			return errors.New("the old way still works")
		}
		return nil
	})
	b.pass(t, acme)
	if result := b.pass(t, acme); result.RequeueAfter < time.Minute {
		t.Errorf("with nothing left to do, the next pass comes after %s", result.RequeueAfter)
	}
	b.Expect(t, acme, operator.Ready())
}

// The class's Secret has one place at a time: programs that read the one before are not shut out by a password in
// another one, and who sets the new place too soon is told what to do.
func TestSharedSecretMoves(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(*testing.T, *bench, *v1alpha1.Tenant){
		"by way of Dedicated": func(t *testing.T, b *bench, acme *v1alpha1.Tenant) {
			b.setMode(t, v1alpha1.LoginDedicated)
			operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Credentials.GraceSeconds = 1 })
			operator.Poll(t, operator.Soon, func() error {
				b.pass(t, acme)
				b.pass(t, b.Class)
				return b.onlyMode(t, v1alpha1.LoginDedicated)
			})
			b.moveSecret(t, "moved")
		},
		"at once": func(t *testing.T, b *bench, _ *v1alpha1.Tenant) { b.Delete(t, b.sharedSecret(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSecretMoves(t, finish)
		})
	}
}

func testSecretMoves(t *testing.T, finish func(*testing.T, *bench, *v1alpha1.Tenant)) {
	t.Helper()
	b := newBench(t)
	b.sharedLogin(v1alpha1.LoginSetRole)
	b.Class.Spec.Credentials.GraceSeconds = 3600
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Class)
	old := b.program(t, v1alpha1.LoginSetRole, acme)
	b.setMode(t, v1alpha1.LoginDedicated)
	b.pass(t, b.Class)
	b.moveSecret(t, "moved")
	for range 2 {
		b.pass(t, b.Class)
		b.Expect(t, b.Class, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSharedLoginNotReady,
			b.Namespace+"/login-main", b.Namespace+"/moved-main", "Dedicated until status.logins", "delete"))
		b.pass(t, acme)
		b.Expect(t, acme, operator.Ready())
		if err := operator.Try(t, old[0], old[1:]...); err != nil {
			t.Errorf("who reads the Secret of before: %v", err)
		}
	}
	moved := &corev1.Secret{}
	moved.Namespace, moved.Name = b.Namespace, "moved-main"
	if err := b.Admin.Get(t.Context(), client.ObjectKeyFromObject(moved), moved); !apierrors.IsNotFound(err) {
		t.Errorf("the other Secret: %v", err)
	}
	finish(t, b, acme)
	for range 2 {
		b.pass(t, b.Class)
		b.pass(t, acme)
	}
	b.Expect(t, b.Class, operator.Ready())
	b.Expect(t, acme, operator.Ready())
	b.Get(t, moved)
	if err := operator.Try(t, keys(moved)["uri"], old[1:]...); err != nil {
		t.Errorf("by the other Secret: %v", err)
	}
	if operator.Try(t, old[0], old[1:]...) == nil {
		t.Error("the password of before works still")
	}
}

// moveSecret names another Secret for the class's login.
func (b *bench) moveSecret(t *testing.T, name string) {
	t.Helper()
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Logins = &v1alpha1.LoginPolicy{
			Mode: v1alpha1.LoginSetRole, SecretRef: &v1alpha1.LoginSecretReference{Namespace: b.Namespace, Name: name},
		}
	})
}
