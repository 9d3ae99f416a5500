package conditions

import (
	"context"

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

// RemoveFinalizer lets an object go. One that is gone already, or that changed meanwhile and is
// queued again, is no error.
func RemoveFinalizer(ctx context.Context, c client.Client, obj Object) error {
	if !controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer) {
		return nil
	}
	return IgnoreStale(change(ctx, c, obj, controllerutil.RemoveFinalizer))
}

// change writes the finalizers alone, under the optimistic lock: the list is replaced as a whole.
func change(ctx context.Context, c client.Client, obj Object, how func(client.Object, string) bool) error {
	base := obj.DeepCopyObject().(client.Object)
	how(obj, v1alpha1.Finalizer)
	return c.Patch(ctx, obj, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
}

// IgnoreStale drops the errors of a write on an object that changed or went meanwhile: the change
// has queued it again.
func IgnoreStale(err error) error {
	if IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}
