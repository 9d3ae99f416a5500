package controllers_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

func isolated() operator.Want {
	return operator.Want{Condition: v1alpha1.ConditionIsolated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, Message: []string{"none of 14 kinds of rights"}}
}

func breached(message ...string) operator.Want {
	return operator.Want{Condition: v1alpha1.ConditionIsolated, Reason: v1alpha1.ReasonIsolationBreached, Message: message}
}

// roleOf is a tenant's login.
func roleOf(b *bench, tenant *v1alpha1.Tenant) string {
	return "tn_" + b.Name + "__" + tenant.Status.Schema + "_app"
}

// A right too many is told, with the statement that takes it back, while the customer goes on working;
// when it was run, the next pass says so. Who asks finds it at once, and it costs no write to say it
// again.
func TestBreach(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme, globex := b.tenant(t, "acme"), b.tenant(t, "globex")
	b.Expect(t, acme, isolated())
	app, schema := roleOf(b, acme), globex.Status.Schema
	b.script(t, "GRANT USAGE ON SCHEMA "+schema+" TO "+app+"; ALTER ROLE "+app+" BYPASSRLS")
	b.Nudge(t, acme)
	if result := b.pass(t, acme); result.RequeueAfter > 90*time.Second {
		t.Errorf("a breach is looked at again after %s", result.RequeueAfter)
	}
	mend := "REVOKE USAGE ON SCHEMA " + schema + " FROM " + app + ";"
	b.Expect(t, acme, operator.Ready(), breached("login "+app+" has USAGE on schema "+schema, "is BYPASSRLS", mend, "ALTER ROLE "+app+" NOBYPASSRLS;"))
	b.Expect(t, globex, isolated())
	before := acme.ResourceVersion
	b.pass(t, acme)
	if acme.ResourceVersion != before {
		t.Error("the same breach is written again")
	}
	_, statements, _ := strings.Cut(conditions.Get(acme, v1alpha1.ConditionIsolated).Message, "run as a superuser: ")
	b.script(t, statements)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), isolated())

	// It comes back, and is told again.
	b.sql(t, "GRANT USAGE ON SCHEMA "+schema+" TO "+app)
	b.Nudge(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, breached("has USAGE on schema "+schema))
	b.sql(t, "REVOKE USAGE ON SCHEMA "+schema+" FROM "+app)
	b.pass(t, acme)
	b.sql(t, "GRANT USAGE ON SCHEMA "+schema+" TO "+app)
	b.Nudge(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, breached("has USAGE on schema "+schema))
}

// A DBA lets somebody read a tenant: that may be meant, and is told.
func TestForeignRights(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	owner := strings.TrimSuffix(roleOf(b, acme), "_app") + "_owner"
	b.script(t, "CREATE ROLE "+b.Name+"_bi; SET ROLE "+owner+"; GRANT USAGE ON SCHEMA "+acme.Status.Schema+" TO "+b.Name+"_bi; RESET ROLE")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{
		Condition: v1alpha1.ConditionIsolated, Reason: v1alpha1.ReasonForeignRights, Message: []string{"role " + b.Name + "_bi has USAGE", `REVOKE USAGE ON SCHEMA "` + acme.Status.Schema + `" FROM "` + b.Name + `_bi";`},
	})
	_, statements, _ := strings.Cut(conditions.Get(acme, v1alpha1.ConditionIsolated).Message, "run as a superuser: ")
	b.script(t, statements)
	b.pass(t, acme)
	b.Expect(t, acme, isolated())
}

// A tenant that would reach others from its first day is not published before that was taken away; one
// that is published stays so.
func TestBreachedTenantIsNotPublished(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.Create(t, b.backend())
	b.settle(t)
	group := "tenantry_tenants_" + b.Name
	b.sql(t, "GRANT USAGE ON SCHEMA tenantry TO "+group)
	acme := b.Tenant("acme", b.Host("acme"))
	b.Create(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, breached("has USAGE on schema tenantry", "REVOKE USAGE ON SCHEMA tenantry FROM "+group+";", "not published"),
		operator.Waiting("Ready", v1alpha1.ReasonIsolationBreached))
	if n := len(b.routes(t)); n > 0 {
		t.Errorf("%d routes", n)
	}

	b.sql(t, "REVOKE USAGE ON SCHEMA tenantry FROM "+group)
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), isolated())

	b.sql(t, "GRANT USAGE ON SCHEMA tenantry TO "+group)
	b.Nudge(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), breached("has USAGE on schema tenantry"))
}

// An operator that was just started finds no connection left, and no word of an earlier look in the registry.
// It needs none to look at a tenant's own login, nor at a class's: the server counts after it took the password.
func TestIsolatedWithoutAConnection(t *testing.T) {
	t.Parallel()
	shared := operator.Want{Condition: v1alpha1.ConditionIsolated, Reason: v1alpha1.ReasonSharedLogin}
	for mode, want := range map[v1alpha1.LoginMode]operator.Want{v1alpha1.LoginDedicated: isolated(), v1alpha1.LoginSetRole: shared} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Class.Spec.Limits = &v1alpha1.TenantLimits{Connections: 1}
			secret := b.secret
			if mode != v1alpha1.LoginDedicated {
				b.sharedLogin(mode)
				b.Class.Spec.Logins.Connections = 1
				secret = func(t *testing.T, _ *v1alpha1.Tenant) *corev1.Secret { t.Helper(); return b.sharedSecret(t) }
			}
			b.settle(t)
			acme := b.tenant(t, "acme")
			operator.Hold(t, keys(secret(t, acme))["uri"])
			b.sql(t, "UPDATE tenantry.tenant SET login_proof = ''")
			b.restart(t)
			b.pass(t, b.Set)
			b.pass(t, b.Database)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready(), want)
		})
	}
}
