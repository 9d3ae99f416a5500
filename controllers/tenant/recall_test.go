package tenant

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Somebody may be at work on a tenant that is not well: what was seen of it is old sooner.
func TestTheUnwellAreLookedAtSooner(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status}
	}
	ready := condition(v1alpha1.ConditionReady, "True")
	for name, tt := range map[string]struct {
		is   []metav1.Condition
		want time.Duration
	}{
		"well":         {[]metav1.Condition{ready, condition(v1alpha1.ConditionIsolated, "True")}, time.Hour},
		"nobody knows": {[]metav1.Condition{ready}, time.Hour},
		"not ready":    {[]metav1.Condition{condition(v1alpha1.ConditionReady, "False")}, troubledWithin},
		"new":          {nil, troubledWithin},
		"breached":     {[]metav1.Condition{ready, condition(v1alpha1.ConditionIsolated, "False")}, troubledWithin},
	} {
		base := &v1alpha1.Tenant{Status: v1alpha1.TenantStatus{Conditions: tt.is}}
		if got := (&Reconciler{RecallWithin: time.Hour}).recallWithin(&scope{base: base}); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if got := (&Reconciler{}).recallWithin(&scope{base: &v1alpha1.Tenant{}}); got != 0 {
		t.Errorf("an operator that looks in every pass looks again after %s", got)
	}
}
