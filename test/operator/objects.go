package operator

import (
	"context"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Get reads an object as the API server has it.
func (s *Servers) Get(t testing.TB, obj client.Object) {
	t.Helper()
	if err := s.Admin.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
}

// Create creates objects as a user does.
func (s *Servers) Create(t testing.TB, objs ...client.Object) {
	t.Helper()
	create(t, s.Admin, objs)
}

// CreateUnguarded creates objects as if config/policy were not installed.
func (s *Servers) CreateUnguarded(t testing.TB, objs ...client.Object) {
	t.Helper()
	create(t, s.Unguarded, objs)
}

func create(t testing.TB, c client.Client, objs []client.Object) {
	t.Helper()
	for _, obj := range objs {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
		}
	}
}

// Update reads an object, lets the test change it and writes it by a patch, which does not mind what
// the operator writes meanwhile.
func Update[T client.Object](t testing.TB, s *Servers, obj T, change func(T)) {
	t.Helper()
	update(t, s.Admin, obj, func(o client.Object) { change(o.(T)) })
}

// UpdateUnguarded is Update as if config/policy were not installed.
func (s *Servers) UpdateUnguarded(t testing.TB, obj client.Object, change func(client.Object)) {
	t.Helper()
	update(t, s.Unguarded, obj, change)
}

func update(t testing.TB, c client.Client, obj client.Object, change func(client.Object)) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
	before := obj.DeepCopyObject().(client.Object)
	change(obj)
	if err := c.Patch(t.Context(), obj, client.MergeFrom(before)); err != nil {
		t.Fatalf("update %T %s: %v", obj, obj.GetName(), err)
	}
}

// Delete deletes objects and does not wait.
func (s *Servers) Delete(t testing.TB, objs ...client.Object) {
	t.Helper()
	for _, obj := range objs {
		if err := s.Admin.Delete(context.WithoutCancel(t.Context()), obj); err != nil {
			t.Fatalf("delete %T %s: %v", obj, obj.GetName(), err)
		}
	}
}

// Nudge asks for a reconcile of objects by the annotation that users have for it.
func (s *Servers) Nudge(t testing.TB, objs ...client.Object) {
	t.Helper()
	for _, obj := range objs {
		Update(t, s, obj, func(o client.Object) {
			if o.GetAnnotations() == nil {
				o.SetAnnotations(map[string]string{})
			}
			a := o.GetAnnotations()
			a[v1alpha1.AnnotationReconcile] = time.Now().Format(time.RFC3339Nano)
			o.SetAnnotations(a)
		})
	}
}
