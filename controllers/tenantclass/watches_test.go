package tenantclass

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// Counts of tenants are no news to a class. Whatever its checks and its shared logins go by is.
func TestWhatClassesHear(t *testing.T) {
	before := &v1alpha1.TenantDatabase{Status: v1alpha1.TenantDatabaseStatus{Endpoint: "a:5432/b", Identity: &v1alpha1.DatabaseIdentity{Marker: "m"}}}
	conditions.True(before, v1alpha1.ConditionReady, v1alpha1.ReasonReady, "PostgreSQL 18.4 holds 1 tenants")
	for what, test := range map[string]struct {
		change func(*v1alpha1.TenantDatabase)
		heard  bool
	}{
		"a tenant more": {func(d *v1alpha1.TenantDatabase) {
			d.Status.Tenants = 2
			conditions.True(d, v1alpha1.ConditionReady, v1alpha1.ReasonReady, "PostgreSQL 18.4 holds 2 tenants")
		}, false},
		"a tenant retained": {func(d *v1alpha1.TenantDatabase) {
			d.Status.RetainedTenants, d.Status.Retained = 1, []v1alpha1.RetainedSchema{{Name: "acme"}}
		}, false},
		"a schema adopted": {func(d *v1alpha1.TenantDatabase) { d.Status.Adoptions = &v1alpha1.AdoptionStatus{Adopted: 1} }, false},
		"not Ready": {func(d *v1alpha1.TenantDatabase) {
			conditions.False(d, v1alpha1.ConditionReady, v1alpha1.ReasonUnreachable, "")
		}, true},
		"another reason": {func(d *v1alpha1.TenantDatabase) { conditions.True(d, v1alpha1.ConditionReady, "Other", "") }, true},
		"bootstrapped": {func(d *v1alpha1.TenantDatabase) {
			conditions.True(d, v1alpha1.ConditionBootstrapped, v1alpha1.ReasonSucceeded, "")
		}, true},
		"another endpoint":  {func(d *v1alpha1.TenantDatabase) { d.Status.Endpoint = "c:5432/b" }, true},
		"another transport": {func(d *v1alpha1.TenantDatabase) { d.Status.Transport = "t" }, true},
		"another database":  {func(d *v1alpha1.TenantDatabase) { d.Status.Identity.Marker = "n" }, true},
		"another spec":      {func(d *v1alpha1.TenantDatabase) { d.Generation++ }, true},
		"asked for": {func(d *v1alpha1.TenantDatabase) {
			d.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"}
		}, true},
		"being deleted": {func(d *v1alpha1.TenantDatabase) { d.DeletionTimestamp = new(metav1.Now()) }, true},
	} {
		after := before.DeepCopy()
		test.change(after)
		if got := databaseChanged.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != test.heard {
			t.Errorf("%s: heard %t, want %t", what, got, test.heard)
		}
	}
}

func TestWhatClassesHearOfSets(t *testing.T) {
	before := &v1alpha1.MigrationSet{}
	conditions.True(before, v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")
	for what, test := range map[string]struct {
		change func(*v1alpha1.MigrationSet)
		heard  bool
	}{
		"progress":      {func(ms *v1alpha1.MigrationSet) { ms.Status.UpdatedTenants, ms.Status.Progress = 1, "1/2" }, false},
		"a version":     {func(ms *v1alpha1.MigrationSet) { ms.Status.Version = "5" }, false},
		"not Ready":     {func(ms *v1alpha1.MigrationSet) { conditions.False(ms, v1alpha1.ConditionReady, "Other", "") }, true},
		"another spec":  {func(ms *v1alpha1.MigrationSet) { ms.Generation++ }, true},
		"being deleted": {func(ms *v1alpha1.MigrationSet) { ms.DeletionTimestamp = new(metav1.Now()) }, true},
	} {
		after := before.DeepCopy()
		test.change(after)
		if got := setChanged.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != test.heard {
			t.Errorf("%s: heard %t, want %t", what, got, test.heard)
		}
	}
}
