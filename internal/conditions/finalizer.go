package conditions

import (
	"context"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// AddFinalizer holds an object before anything is made for it. It returns whether this was the
// first touch: then nothing can be there yet.
func AddFinalizer(ctx context.Context, c client.Client, obj Object) (first bool, err error) {
	if controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer) {
		return false, nil
	}
	return true, change(ctx, c, obj, controllerutil.AddFinalizer)
}

// RemoveFinalizer lets an object go.
func RemoveFinalizer(ctx context.Context, c client.Client, obj Object) error {
	if !controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer) {
		return nil
	}
	return change(ctx, c, obj, controllerutil.RemoveFinalizer)
}

// change writes the finalizers alone, under the optimistic lock: the list is replaced as a whole.
func change(ctx context.Context, c client.Client, obj Object, how func(client.Object, string) bool) error {
	base := obj.DeepCopyObject().(client.Object)
	how(obj, v1alpha1.Finalizer)
	return c.Patch(ctx, obj, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
}

// Written ends a pass with a write: one on an object that changed meanwhile is soon tried again on
// what it is now, and one on an object that is gone is done. The change itself may have queued
// nothing: watches leave out what only moves a status, and the cache is behind our own writes too.
func Written(err error) (ctrl.Result, error) {
	if IsConflict(err) {
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}
