package controllers_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// maxDeletionPasses is more than a deletion takes: routes, claims and finalizer wait for one another.
const maxDeletionPasses = 6

// remove deletes a Tenant and passes over it until it is gone.
func (b *bench) remove(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	b.Delete(t, tenant)
	b.finish(t, tenant)
}

// finish passes over a Tenant that is being deleted until it is gone.
func (b *bench) finish(t *testing.T, tenant *v1alpha1.Tenant) {
	t.Helper()
	for range maxDeletionPasses {
		b.pass(t, tenant)
		if b.gone(t, tenant) {
			return
		}
	}
	t.Fatalf("Tenant %s is not gone after %d passes; it says %v", tenant.Name, maxDeletionPasses, tenant.Status.Conditions)
}

func (b *bench) gone(t *testing.T, obj client.Object) bool {
	t.Helper()
	fresh := obj.DeepCopyObject().(client.Object)
	err := b.Admin.Get(t.Context(), client.ObjectKeyFromObject(obj), fresh)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err != nil || fresh.GetUID() != obj.GetUID()
}
