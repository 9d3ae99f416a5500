package tenant

import (
	"context"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/internal/jobs"
)

// ofJob finds the tenants that a Job migrates.
func ofJob(_ context.Context, o client.Object) (requests []reconcile.Request) {
	for tenant := range strings.SplitSeq(o.GetAnnotations()[jobs.AnnotationTenants], ",") {
		if namespace, name, ok := strings.Cut(tenant, "/"); ok {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
		}
	}
	return requests
}

// jobMoved lets through what tenants go by: that a Job begins, that one of its Pods failed, its end.
var jobMoved = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, wasJob := e.ObjectOld.(*batchv1.Job)
	after, isJob := e.ObjectNew.(*batchv1.Job)
	return wasJob && isJob && (jobs.StateOf(before) != jobs.StateOf(after) || before.Status.Failed != after.Status.Failed)
}}
