package tenantclass

import (
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// databaseChanged lets through what a class goes by in a TenantDatabase, and what its shared logins do: counts of
// tenants, which move with each of them, are nothing to it.
var databaseChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*v1alpha1.TenantDatabase), e.ObjectNew.(*v1alpha1.TenantDatabase)
	return metaChanged(before, after) || !equality.Semantic.DeepEqual(uncounted(before.Status), uncounted(after.Status))
}}

// uncounted is a status without counts, and without texts of conditions: Ready's has one.
func uncounted(st v1alpha1.TenantDatabaseStatus) v1alpha1.TenantDatabaseStatus {
	st.Tenants, st.RetainedTenants, st.Retained, st.Adoptions = 0, 0, nil, nil
	verdicts := make([]metav1.Condition, len(st.Conditions))
	for i, c := range st.Conditions {
		verdicts[i] = metav1.Condition{Type: c.Type, Status: c.Status, Reason: c.Reason}
	}
	st.Conditions = verdicts
	return st
}

// setChanged lets through whether a MigrationSet is Ready: a class asks for no more.
var setChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*v1alpha1.MigrationSet), e.ObjectNew.(*v1alpha1.MigrationSet)
	return metaChanged(before, after) || conditions.IsTrue(before, v1alpha1.ConditionReady) != conditions.IsTrue(after, v1alpha1.ConditionReady)
}}

// metaChanged : the spec is another, somebody asks for a look by an annotation, or the object is to be deleted.
func metaChanged(before, after client.Object) bool {
	return before.GetGeneration() != after.GetGeneration() || before.GetUID() != after.GetUID() ||
		!equality.Semantic.DeepEqual(before.GetAnnotations(), after.GetAnnotations()) ||
		before.GetDeletionTimestamp().IsZero() != after.GetDeletionTimestamp().IsZero()
}
