package controllers_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Who deletes a Tenant with --cascade=orphan has the owners taken off its routes. They go all the same,
// before the claims do: another tenant may have the host next.
func TestOrphanedRoutesGo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.Create(t, b.backend())
	b.settle(t)
	acme := b.Tenant("acme", b.Host("acme"), b.Host("www"))
	b.Create(t, acme)
	b.pass(t, acme)
	if n := len(b.routes(t)); n != 2 {
		t.Fatalf("%d routes, want 2", n)
	}
	for _, route := range b.routes(t) {
		b.UpdateUnguarded(t, &route, func(o client.Object) { o.SetOwnerReferences(nil) })
	}
	b.Delete(t, acme)
	b.finish(t, acme)
	if left := b.routes(t); len(left) != 0 {
		t.Errorf("%d routes are left", len(left))
	}
	var claims v1alpha1.DomainClaimList
	if err := b.Admin.List(t.Context(), &claims, client.MatchingLabels{v1alpha1.LabelTenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	for _, claim := range claims.Items {
		if claim.Spec.Holder.UID == string(acme.UID) {
			t.Errorf("%s is still claimed", claim.Spec.Host)
		}
	}
}
