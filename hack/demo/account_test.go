package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func tenant(conditions ...metav1.Condition) v1alpha1.Tenant {
	t := v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme"}}
	t.Status.Conditions = conditions
	return t
}

func condition(kind string, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: kind + "Reason", Message: kind + " message"}
}

func TestExplain(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	tests := map[string]struct {
		conditions []metav1.Condition
		want       string
	}{
		"ready":     {[]metav1.Condition{condition("Ready", yes), condition("Routed", no)}, ""},
		"untouched": {nil, "Tenant shop/acme has no conditions yet: the operator has not looked at it\n"},
		"details": {
			[]metav1.Condition{
				condition("Ready", no), condition("DatabaseReady", yes), condition("Routed", no),
				condition("Verified", unknown), condition("Reconciling", yes),
			},
			"Tenant shop/acme is not Ready\n  Routed=False RoutedReason: Routed message\n" +
				"  Verified=Unknown VerifiedReason: Verified message\n",
		},
		"nothing but Ready": {
			[]metav1.Condition{condition("Ready", no)},
			"Tenant shop/acme is not Ready\n  Ready=False ReadyReason: Ready message\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			object := tenant(tt.conditions...)
			if diff := cmp.Diff(tt.want, explain(&object)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHopeless(t *testing.T) {
	ready := tenant(condition("Ready", metav1.ConditionTrue))
	stalled := tenant(condition("Ready", metav1.ConditionFalse), condition("Stalled", metav1.ConditionTrue))
	working := tenant(condition("Ready", metav1.ConditionFalse), condition("Reconciling", metav1.ConditionTrue))
	tests := map[string]struct {
		tenants []v1alpha1.Tenant
		want    bool
	}{
		"none":                      {nil, false},
		"all ready":                 {[]v1alpha1.Tenant{ready}, false},
		"stalled":                   {[]v1alpha1.Tenant{ready, stalled}, true},
		"one still being worked on": {[]v1alpha1.Tenant{stalled, working}, false},
		"untouched":                 {[]v1alpha1.Tenant{stalled, tenant()}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := hopeless(tt.tenants); got != tt.want {
				t.Errorf("hopeless = %v", got)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	event := func(age time.Duration, kind, message string) corev1.Event {
		return corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0).Add(-age))},
			InvolvedObject: corev1.ObjectReference{Kind: "Tenant", Namespace: "shop", Name: "acme"},
			Type:           kind, Reason: "Why", Message: message,
		}
	}
	events := []corev1.Event{
		event(1*time.Minute, corev1.EventTypeWarning, "Routed: newest"),
		event(3*time.Minute, corev1.EventTypeWarning, "Routed: oldest"),
		event(2*time.Minute, corev1.EventTypeNormal, "Ready: fine"),
		event(2*time.Minute, corev1.EventTypeWarning, "Migrated: was said"),
	}
	want := "Earlier warnings\n  Tenant shop/acme: Why: Routed: oldest\n  Tenant shop/acme: Why: Routed: newest\n"
	if diff := cmp.Diff(want, warnings(events, "  Migrated=False: was said\n")); diff != "" {
		t.Error(diff)
	}
	if got := warnings(events[2:3], ""); got != "" {
		t.Errorf("without warnings: %q", got)
	}
}

func TestLastTroubles(t *testing.T) {
	log := "2026\tINFO\tStarting\n2026\tERROR\tfirst\n2026\tDEBUG\tx\n2026\tERROR\tsecond\npanic: third\n"
	if diff := cmp.Diff("2026\tERROR\tsecond\npanic: third\n", lastTroubles(log, 2)); diff != "" {
		t.Error(diff)
	}
	if got := lastTroubles("2026\tINFO\tStarting\n", 2); got != "It tells of no error.\n" {
		t.Errorf("a quiet log: %q", got)
	}
}
