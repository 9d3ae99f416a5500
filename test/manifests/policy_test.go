package manifests

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const refusal = "only the operator writes DomainClaims"

// With config/policy installed, not even a cluster administrator can take or free a host; the
// operator can.
func TestOnlyTheOperatorWritesDomainClaims(t *testing.T) {
	claim := &unstructured.Unstructured{Object: fields(t, valid["DomainClaim"])}
	rename(claim, "guarded")
	installPolicy(t)

	// An administrator by RBAC, with the operator's name: what the policy asks for is the name alone.
	config, err := plane.User(operator, "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	asOperator, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := asOperator.Create(t.Context(), claim); err != nil {
		t.Fatalf("the operator creates a claim: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := asOperator.Delete(ctx, claim); err != nil {
			t.Errorf("the operator deletes a claim: %v", err)
		}
	})
	status := fields(t, `{observedGeneration: 1}`)
	claim.Object["status"] = status
	if err := asOperator.Status().Update(t.Context(), claim); err != nil {
		t.Errorf("the operator writes the status of a claim: %v", err)
	}

	labelled := claim.DeepCopy()
	labelled.SetLabels(map[string]string{"x": "y"})
	for name, write := range map[string]func() error{
		"update": func() error { return admin.Update(t.Context(), labelled) },
		"status": func() error { return admin.Status().Update(t.Context(), claim.DeepCopy()) },
		"delete": func() error { return admin.Delete(t.Context(), claim.DeepCopy()) },
		"delete all": func() error {
			return admin.DeleteAllOf(t.Context(), claim.DeepCopy())
		},
	} {
		if err := write(); !refused(err) {
			t.Errorf("%s by an administrator: %v, want a refusal", name, err)
		}
	}
}

// installPolicy applies config/policy and waits until it is in force; it goes with the test.
func installPolicy(t *testing.T) {
	t.Helper()
	policies, err := render(t.Context(), "config/policy")
	if err != nil {
		t.Fatal(err)
	}
	if err := plane.ApplyObjects(t.Context(), policies...); err != nil {
		t.Fatal(err)
	}
	probe := func(ctx context.Context) error {
		claim := &unstructured.Unstructured{Object: fields(t, valid["DomainClaim"])}
		rename(claim, "probe")
		return admin.Create(ctx, claim, client.DryRunAll)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		for _, policy := range policies {
			if err := admin.Delete(ctx, policy); err != nil {
				t.Error(err)
			}
		}
		waitFor(t, func() bool { return probe(ctx) == nil })
	})
	waitFor(t, func() bool { return refused(probe(t.Context())) })
}

func refused(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), refusal)
}
