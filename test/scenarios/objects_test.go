package scenarios

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

type object = conditions.Object

// verdicts is what conditions say, without their messages.
func verdicts(all []metav1.Condition) map[string]string {
	text := map[string]string{}
	for _, c := range all {
		text[c.Type] = string(c.Status) + " " + c.Reason
	}
	return text
}

// schemaOf is the schema that a tenant of the world gets when it asks for none.
func schemaOf(w *operator.World, name string) string {
	return strings.ReplaceAll(w.Namespace+"__"+name, "-", "_")
}

func claimOf(host string) *v1alpha1.DomainClaim {
	return &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: host}}
}

func secretOf(t *v1alpha1.Tenant) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name + "-db"}}
}

// uri is the connection string in a tenant's Secret.
func uri(t *testing.T, w *operator.World, tenant *v1alpha1.Tenant) string {
	t.Helper()
	secret := secretOf(tenant)
	w.Get(t, secret)
	return string(secret.Data["uri"])
}

// differs says what differs, or nil.
func differs(what string, want, got any) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", what, diff)
	}
	return nil
}
