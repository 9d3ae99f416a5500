package manifests

import (
	"context"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// With config/finalizer a Tenant has the operator's finalizer from the start, once, beside others; who applies
// it again is in nobody's way, and a finalizer that was taken off stays off.
func TestTenantsAreHeldFromTheStart(t *testing.T) {
	policies, err := render(t.Context(), "config/finalizer")
	if err != nil {
		t.Fatal(err)
	}
	if err := plane.ApplyObjects(t.Context(), policies...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		removeAll(t, policies)
		waitFor(t, func() bool { // other tests' Tenants would be held for ever
			probe := &unstructured.Unstructured{Object: fields(t, valid["Tenant"])}
			rename(probe, "probe")
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
			defer cancel()
			return admin.Create(ctx, probe, client.DryRunAll) == nil && len(probe.GetFinalizers()) == 0
		})
	})
	tenant := func(name string, finalizers ...string) *unstructured.Unstructured {
		tn := &unstructured.Unstructured{Object: fields(t, valid["Tenant"])}
		rename(tn, name)
		tn.SetFinalizers(finalizers)
		return tn
	}
	held := func(tn *unstructured.Unstructured) bool {
		return slices.Contains(tn.GetFinalizers(), v1alpha1.Finalizer)
	}
	waitFor(t, func() bool {
		probe := tenant("probe")
		return admin.Create(t.Context(), probe, client.DryRunAll) == nil && held(probe)
	})
	for name, has := range map[string][]string{
		"none": nil, "ours": {v1alpha1.Finalizer}, "another": {"example.com/other"}, "both": {"example.com/other", v1alpha1.Finalizer},
	} {
		tn := tenant("held-"+name, has...)
		if err := admin.Create(t.Context(), tn); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { removeAll(t, []*unstructured.Unstructured{tn}) })
		want := has
		if !slices.Contains(has, v1alpha1.Finalizer) {
			want = append(slices.Clone(has), v1alpha1.Finalizer)
		}
		if got := tn.GetFinalizers(); !slices.Equal(got, want) {
			t.Errorf("%s: created with %q, the Tenant has %q", name, has, got)
		}
	}

	// As GitOps tools do it, again and again.
	applied := tenant("applied")
	t.Cleanup(func() { removeAll(t, []*unstructured.Unstructured{applied}) })
	for range 2 {
		again := tenant("applied")
		if err := admin.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(again), client.FieldOwner("gitops")); err != nil {
			t.Fatal(err)
		}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(applied), applied); err != nil {
			t.Fatal(err)
		}
		if !held(applied) {
			t.Errorf("the Tenant that was applied has %q", applied.GetFinalizers())
		}
	}
	applied.SetFinalizers(nil)
	if err := admin.Update(t.Context(), applied); err != nil || held(applied) {
		t.Errorf("the finalizer cannot be taken off: %v, %q", err, applied.GetFinalizers())
	}
}

// removeAll deletes objects that nobody else would let go.
func removeAll(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	for _, o := range objects {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(o), o); err == nil && o.GetKind() == "Tenant" {
			controllerutil.RemoveFinalizer(o, v1alpha1.Finalizer)
			controllerutil.RemoveFinalizer(o, "example.com/other")
			if err := admin.Update(ctx, o); err != nil {
				t.Error(err)
			}
		}
		if err := client.IgnoreNotFound(admin.Delete(ctx, o)); err != nil {
			t.Error(err)
		}
	}
}
