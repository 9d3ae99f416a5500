package controllers_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// These tests do not run beside others: they count what the whole server did.

// A class's login that cannot be had keeps what it may do for the tenant. Granted by one step and taken
// back by another, it came and went at each pass.
func TestLoginThatCannotBeHadCostsNothing(t *testing.T) {
	b := newBench(t)
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "login-main"}, StringData: map[string]string{"password": "not-ours"}})
	b.setMode(t, v1alpha1.LoginSetRole)
	b.pass(t, b.Class)
	b.Expect(t, b.Class, operator.Want{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonSecretNameTaken})
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, acme)
		if age := time.Since(acme.Status.Credentials.Since.Time); age < 3*time.Second {
			return fmt.Errorf("the own login is %s old, and the grace not over", age)
		}
		return nil
	})
	b.Expect(t, acme, operator.Ready())
	b.steady(t, "passes without the class's login", []conditions.Object{acme})
}
