package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// verdict is a condition that came about some minutes after the start.
func verdict(name string, status metav1.ConditionStatus, reason string, minutes int) metav1.Condition {
	return metav1.Condition{
		Type: name, Status: status, Reason: reason, Message: "why",
		LastTransitionTime: metav1.NewTime(start.Add(time.Duration(minutes) * time.Minute)),
	}
}

func TestObserve(t *testing.T) {
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	type conditions = []metav1.Condition
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	trouble := func(reason string) Failure { return Failure{Reason: reason, Message: "why"} }
	ready := verdict("Ready", yes, "Ready", 0)
	tests := map[string]struct {
		version, digest string
		conditions      conditions
		want            Tenant
	}{
		"new":              {"", "", nil, Tenant{Trouble: Failure{Reason: "Pending"}, Since: start}},
		"at the target":    {"4", version(4).Digest, conditions{verdict("Migrated", yes, "Succeeded", 0), ready}, Tenant{AtTarget: true, Healthy: true}},
		"at an older file": {"4", version(3).Digest, conditions{verdict("Migrated", yes, "Succeeded", 0), ready}, Tenant{Healthy: true}},
		"at an older one":  {"3", version(3).Digest, conditions{verdict("Migrated", yes, "Succeeded", 0), ready}, Tenant{Healthy: true}},
		"at work":          {"3", version(4).Digest, conditions{verdict("Migrated", no, "Progressing", 1), ready}, Tenant{Begun: true, Healthy: true}},
		"at work, and its database is away": {
			"3", version(4).Digest,
			conditions{verdict("Migrated", no, "Progressing", 1), verdict("DatabaseReady", no, "DatabaseNotReady", 2), verdict("Ready", no, "DatabaseNotReady", 2)},
			Tenant{Begun: true, Halted: true, Trouble: trouble("DatabaseNotReady"), Since: minute(2)},
		},
		"refused": {
			"3", version(4).Digest,
			conditions{verdict("Migrated", no, "MigrationFailed", 1), verdict("Ready", no, "MigrationFailed", 2)},
			Tenant{Failure: &Failure{Reason: "MigrationFailed", Message: "why", Refused: true}, Trouble: trouble("MigrationFailed"), Since: minute(2)},
		},
		"locked, and without a domain for long": {
			"3", version(4).Digest,
			conditions{verdict("Migrated", no, "MigrationLocked", 5), verdict("Ready", no, "DomainUnverified", 1)},
			Tenant{Failure: &Failure{Reason: "MigrationLocked", Message: "why"}, Trouble: trouble("DomainUnverified"), Since: minute(5)},
		},
		"failed at an older one": {
			"3", version(3).Digest,
			conditions{verdict("Migrated", no, "MigrationFailed", 1), verdict("Ready", no, "MigrationFailed", 2)},
			Tenant{Trouble: trouble("MigrationFailed"), Since: minute(2), Waits: true},
		},
		"at an older one, a domain not proved": {
			"3", version(3).Digest,
			conditions{verdict("Migrated", yes, "Succeeded", 0), verdict("Ready", no, "DomainUnverified", 3), verdict("DomainsClaimed", no, "DomainUnverified", 3)},
			Tenant{Trouble: trouble("DomainUnverified"), Since: minute(3), Waits: true},
		},
		"at an older one, a domain not proved, and its database away": {
			"3", version(3).Digest,
			conditions{
				verdict("Migrated", yes, "Succeeded", 0), verdict("Ready", no, "DomainUnverified", 3), verdict("DomainsClaimed", no, "DomainUnverified", 3),
				verdict("DatabaseReady", no, "DatabaseNotReady", 4),
			},
			Tenant{Trouble: trouble("DomainUnverified"), Since: minute(3)},
		},
		"at an older one, its program's table not readable": {
			"3", version(3).Digest,
			conditions{verdict("Migrated", no, "AuthenticationFailed", 3), verdict("Ready", no, "AuthenticationFailed", 3)},
			Tenant{Trouble: trouble("AuthenticationFailed"), Since: minute(3)},
		},
		"at work, and shut out by its class": {
			"3", version(4).Digest,
			conditions{verdict("Migrated", no, "Progressing", 1), verdict("Ready", no, "NamespaceNotAllowed", 2)},
			Tenant{Begun: true, Halted: true, Trouble: trouble("NamespaceNotAllowed"), Since: minute(2)},
		},
		"at an older one, without its class": {
			"3", version(3).Digest,
			conditions{verdict("Migrated", yes, "Succeeded", 0), verdict("Ready", no, "ClassNotFound", 3)},
			Tenant{Trouble: trouble("ClassNotFound"), Since: minute(3)},
		},
		"pinned too low a moment ago": {
			"3", version(4).Digest,
			conditions{verdict("Migrated", no, "DowngradeRefused", 1), verdict("Ready", no, "DowngradeRefused", 2)},
			Tenant{Trouble: trouble("DowngradeRefused"), Since: minute(2)},
		},
		"not tried": {
			"3", version(4).Digest,
			conditions{verdict("Migrated", no, "SharedNotMigrated", 1), verdict("Ready", no, "SharedNotMigrated", 2)},
			Tenant{Trouble: trouble("SharedNotMigrated"), Since: minute(2)},
		},
		"at the target, its route refused": {
			"4", version(4).Digest,
			conditions{verdict("Migrated", yes, "Succeeded", 0), verdict("Ready", no, "RouteNotAccepted", 3)},
			Tenant{AtTarget: true, Trouble: trouble("RouteNotAccepted"), Since: minute(3)},
		},
		"at the target, a domain not proved": {
			"4", version(4).Digest,
			conditions{
				verdict("Migrated", yes, "Succeeded", 0), verdict("Ready", no, "DomainUnverified", 3), verdict("DomainsClaimed", no, "DomainUnverified", 3),
				verdict("Routed", yes, "Succeeded", 3),
			},
			Tenant{AtTarget: true, Healthy: true, Trouble: trouble("DomainUnverified"), Since: minute(3)},
		},
		"at the target, a domain not proved and another that does not answer": {
			"4", version(4).Digest,
			conditions{
				verdict("Migrated", yes, "Succeeded", 0), verdict("Ready", no, "DomainUnverified", 3), verdict("DomainsClaimed", no, "DomainUnverified", 3),
				verdict("Reachable", no, "ProbeFailed", 3),
			},
			Tenant{AtTarget: true, Trouble: trouble("ProbeFailed"), Since: minute(3)},
		},
		"at the target and suspended": {
			"4", version(4).Digest,
			conditions{verdict("Migrated", yes, "Succeeded", 0), verdict("Ready", no, "Suspended", 3)},
			Tenant{AtTarget: true, Healthy: true},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tenant := &v1alpha1.Tenant{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "acme", CreationTimestamp: metav1.NewTime(start)},
				Status:     v1alpha1.TenantStatus{Version: tt.version, Digest: tt.digest, Conditions: tt.conditions},
			}
			want := tt.want
			want.Namespace, want.Name, want.Version = "ns", "acme", tt.version
			if diff := cmp.Diff(want, Observe(tenant, version(4))); diff != "" {
				t.Errorf("Observe() (-want +got):\n%s", diff)
			}
		})
	}
}
