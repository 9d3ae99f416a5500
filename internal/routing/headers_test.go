package routing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// A server that makes no difference between hyphens and underscores must get the operator's header
// alone, in whatever spelling the client sent its own.
func TestLookalikesAreTakenOff(t *testing.T) {
	w := wish("a.example.com")
	remove := func() []string { return routing.HTTPRoutes(w)[0].Spec.Rules[0].Filters[0].RequestHeaderModifier.Remove }
	if diff := cmp.Diff([]string{"X_Tenantry_Tenant", "X_Tenantry-Tenant", "X-Tenantry_Tenant"}, remove()); diff != "" {
		t.Errorf("removed headers (-want +got):\n%s", diff)
	}
	w.Routing.TenantHeader = "Tenant"
	if got := remove(); len(got) != 0 {
		t.Errorf("removes %q for a name without hyphens", got)
	}
	w.Routing.TenantHeader = "X" + strings.Repeat("-a", 31)
	for i := range 7 {
		w.Routing.Headers = append(w.Routing.Headers, v1alpha1.TenantRequestHeader{Name: fmt.Sprintf("X-Header-%d", i), Value: "x"})
	}
	w.Held, w.Routing.Holding = true, &v1alpha1.ServiceBackend{Name: "holding", Port: 80}
	got := remove()
	if len(got) != 16 {
		t.Errorf("removes %d headers, want as many as a filter can", len(got))
	}
	for _, h := range w.Routing.Headers {
		for _, name := range []string{h.Name, strings.ReplaceAll(h.Name, "-", "_")} {
			if !slices.Contains(got, name) {
				t.Errorf("%s is not removed, only %q", name, got)
			}
		}
	}
}

// pathsOf lists the paths of Ingresses by their hosts.
func pathsOf(ingresses ...networkingv1.Ingress) (paths []string) {
	for _, ing := range ingresses {
		for _, rule := range ing.Spec.Rules {
			for _, p := range rule.HTTP.Paths {
				paths = append(paths, fmt.Sprintf("%s %s %s", rule.Host, *p.PathType, p.Path))
			}
		}
	}
	return paths
}

// Prefixes are whole segments also for controllers that compare characters, and what is left is without a
// path for those that rank rules by their length.
func TestIngressPathsAreSegments(t *testing.T) {
	w := wish("a.example.com")
	w.Routing.PublicPaths = []v1alpha1.PublicPath{{Path: "/status"}, {Path: "/robots.txt", Match: v1alpha1.PathExact}}
	w.Shared = []routing.SharedValue{{On: v1alpha1.SharedHost{Host: "app.example.com", PathPrefix: &v1alpha1.SharedPathPrefix{}}, Value: "/t/acme"}}
	want := []string{
		"a.example.com Exact /status", "a.example.com Prefix /status/", "a.example.com Exact /robots.txt", "a.example.com ImplementationSpecific ",
		"app.example.com Exact /t/acme", "app.example.com Prefix /t/acme/",
	}
	if diff := cmp.Diff(want, pathsOf(routing.Ingresses(w)...)); diff != "" {
		t.Errorf("paths of a tenant (-want +got):\n%s", diff)
	}
	class := &v1alpha1.TenantClass{}
	class.Spec.Routing = w.Routing
	fallback := routing.ClassHost{Host: "app.example.com", Role: v1alpha1.HostShared}
	if diff := cmp.Diff([]string{"app.example.com ImplementationSpecific "}, pathsOf(routing.ClassIngress(class, fallback))); diff != "" {
		t.Errorf("paths of a class's own host (-want +got):\n%s", diff)
	}
}

// A class's own Ingress and a tenant's say which annotations are the class's; without any, they say nothing.
func TestIngressNotesItsAnnotations(t *testing.T) {
	w := wish("a.example.com")
	class := &v1alpha1.TenantClass{}
	class.Spec.Routing = w.Routing
	for name, tt := range map[string]struct{ has, want map[string]string }{
		"some": {map[string]string{"b": "1", "a": ""}, map[string]string{"b": "1", "a": "", "tenantry.dev/annotations": "a,b"}},
		"none": {},
	} {
		w.Routing.Ingress.Annotations = tt.has
		for _, ing := range append(routing.Ingresses(w), routing.ClassIngress(class, routing.ClassHost{Host: "www.example.com"})) {
			if diff := cmp.Diff(tt.want, ing.Annotations); diff != "" {
				t.Errorf("%s: annotations of Ingress %q (-want +got):\n%s", name, ing.Name, diff)
			}
		}
	}
}
