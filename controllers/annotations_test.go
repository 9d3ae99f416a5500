package controllers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
	"github.com/tenantry/tenantry/test/operator"
)

// An annotation that a class asks for no more goes from the Ingresses that are there, of tenants and of the class; what
// controllers write stays.
func TestIngressAnnotationsFollowTheClass(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Routing = gatewayRouting()
	b.Class.Spec.Routing.Gateway, b.Class.Spec.Routing.Ingress = nil, &v1alpha1.IngressRouting{ClassName: "edge"}
	b.ownHosts(b.Class, []string{"www"}, nil)
	b.settleWithRoutes(t)
	acme := b.Tenant("acme", b.Host("acme"))
	b.Create(t, acme)
	b.pass(t, acme)
	theirs := map[string]*networkingv1.Ingress{"tenant": {}, "class": {}}
	theirs["tenant"].Namespace, theirs["tenant"].Name = b.Namespace, "acme"
	theirs["class"].Namespace, theirs["class"].Name = b.Namespace, b.Class.Name+"."+b.Host("www")
	annotate := func(ing *networkingv1.Ingress, key, value string) {
		b.Get(t, ing)
		before := ing.DeepCopy()
		metav1.SetMetaDataAnnotation(&ing.ObjectMeta, key, value)
		if err := b.Admin.Patch(t.Context(), ing, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ing := range theirs {
		annotate(ing, "controller.example/seen", "yes")
	}
	const note = routing.AnnotationAnnotations
	for _, step := range []struct {
		name      string
		set, want map[string]string
	}{
		{"added", map[string]string{"team": "blue", "size": "s"}, map[string]string{"team": "blue", "size": "s", note: "size,team"}},
		{"changed", map[string]string{"team": "red", "size": "s"}, map[string]string{"team": "red", "size": "s", note: "size,team"}},
		{"one removed, one empty", map[string]string{"team": "red", "bare": ""}, map[string]string{"team": "red", "bare": "", note: "bare,team"}},
		{"all removed", nil, map[string]string{}},
	} {
		operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Routing.Ingress.Annotations = step.set })
		step.want["controller.example/seen"] = "yes"
		versions := map[string]string{}
		for _, pass := range []string{"first", "second"} {
			b.pass(t, b.Class)
			b.pass(t, acme)
			for whose, ing := range theirs {
				b.Get(t, ing)
				if diff := cmp.Diff(step.want, ing.Annotations); diff != "" {
					t.Errorf("%s, annotations of the %s's Ingress after the %s pass (-want +got):\n%s", step.name, whose, pass, diff)
				}
				if before := versions[whose]; before != "" && before != ing.ResourceVersion {
					t.Errorf("%s, the second pass writes the %s's Ingress", step.name, whose)
				}
				versions[whose] = ing.ResourceVersion
			}
		}
	}
}
