package scenarios

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

func secretKeys(t *testing.T, w *operator.World, name string) map[string]string {
	t.Helper()
	s := &corev1.Secret{}
	if err := w.Admin.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, s); err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	for k, v := range s.Data {
		keys[k] = string(v)
	}
	return keys
}

// A class that is changed goes through all modes by itself, and its tenants with it: nobody nudges, and
// every step follows from the one before by a watch.
func TestModesByThemselves(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
	w.Make(t)
	tenants := []*v1alpha1.Tenant{w.Tenant("acme"), w.Tenant("globex")}
	w.Create(t, tenants[0], tenants[1])
	w.AwaitReady(t, tenants[0], tenants[1])
	for _, mode := range []v1alpha1.LoginMode{v1alpha1.LoginSetRole, v1alpha1.LoginShared, v1alpha1.LoginDedicated} {
		operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) {
			c.Spec.Logins = &v1alpha1.LoginPolicy{Mode: mode}
			if mode != v1alpha1.LoginDedicated {
				c.Spec.Logins.SecretRef = &v1alpha1.LoginSecretReference{Namespace: w.Namespace, Name: "login"}
			}
		})
		for _, tenant := range tenants {
			w.Await(t, operator.Eventually, tenant, func(bool) error {
				if c := tenant.Status.Credentials; c == nil || c.Mode != mode || c.Previous != "" {
					return fmt.Errorf("status.credentials is %+v", c)
				}
				return operator.Ready().Check(tenant)
			})
		}
		logins := 1
		if mode == v1alpha1.LoginDedicated {
			logins = 0
		}
		w.Await(t, operator.Eventually, w.Class, func(bool) error {
			if len(w.Class.Status.Logins) != logins || logins == 1 && (w.Class.Status.Logins[0].Mode != mode || len(w.Class.Status.Logins[0].Previous) > 0) {
				return fmt.Errorf("status.logins is %+v", w.Class.Status.Logins)
			}
			return operator.Ready().Check(w.Class)
		})
		for _, tenant := range tenants {
			own := secretKeys(t, w, tenant.Name+"-db")
			use := []string{own["uri"]}
			switch mode {
			case v1alpha1.LoginSetRole:
				use = []string{secretKeys(t, w, "login-main")["uri"], "SET ROLE " + own["role"], "SET search_path = " + own["schema"]}
			case v1alpha1.LoginShared:
				use = []string{secretKeys(t, w, "login-main")["uri"], "SET search_path = " + own["schema"]}
			}
			if err := operator.Try(t, use[0], append(use[1:], "INSERT INTO note (body) VALUES ('works')")...); err != nil {
				t.Errorf("%s, %s: %v", mode, tenant.Name, err)
			}
		}
	}
}

// A schema is measured soon after somebody asks, and what it is then is said without a nudge.
func TestQuotaByItself(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Class.Spec.Limits = &v1alpha1.TenantLimits{Schema: &v1alpha1.SchemaQuota{Size: new(resource.MustParse("1Ki")), WhenExceeded: v1alpha1.QuotaReport}}
	w.Make(t)
	acme := w.Tenant("acme")
	w.Create(t, acme)
	w.AwaitWant(t, operator.Eventually, acme, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionWithinQuota, Reason: v1alpha1.ReasonQuotaExceeded})
	operator.Update(t, w.Servers, w.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits.Schema.Size = new(resource.MustParse("1Gi")) })
	w.AwaitWant(t, operator.Soon, acme, operator.Ready(),
		operator.Want{Condition: v1alpha1.ConditionWithinQuota, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded})
}

// The Secret of a shared login comes back with a login that works when somebody deletes it.
func TestSharedSecretComesBack(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Class.Spec.Logins = &v1alpha1.LoginPolicy{Mode: v1alpha1.LoginShared, SecretRef: &v1alpha1.LoginSecretReference{Namespace: w.Namespace, Name: "login"}}
	w.Make(t)
	acme := w.Tenant("acme")
	w.Create(t, acme)
	w.AwaitReady(t, acme)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "login-main"}}
	w.Get(t, secret)
	old := secret.UID
	w.Delete(t, secret)
	w.Await(t, operator.Soon, secret, func(gone bool) error {
		if gone || secret.UID == old {
			return errors.New("the Secret is not back")
		}
		return nil
	})
	operator.Poll(t, operator.Soon, func() error {
		return operator.Try(t, secretKeys(t, w, "login-main")["uri"], "SELECT FROM "+acme.Status.Schema+".note")
	})
	w.AwaitReady(t, acme)
}
