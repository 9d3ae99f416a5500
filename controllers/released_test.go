package controllers_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/publish"
	"github.com/tenantry/tenantry/test/operator"
)

// A host that a tenant no longer wants is free for others, whatever the tenant's passes fail at and for how
// long; what it still wants stays its own, and is served as before.
func TestTenantInTroubleReleasesHosts(t *testing.T) {
	t.Parallel()
	withoutDatabase := func(t *testing.T, b *bench) {
		operator.Update(t, b.Servers, b.Secret, func(s *corev1.Secret) { s.Data["uri"] = []byte("postgres://nobody@127.0.0.1:1/x") })
		b.restart(t)
		b.pass(t, b.Database)
	}
	withoutClass := func(t *testing.T, b *bench) {
		operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
			c.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: "Selector", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"never": "true"}}}
		})
	}
	for name, tt := range map[string]struct {
		trouble   func(*testing.T, *bench)
		suspended bool
		reason    string
	}{
		"no database":            {withoutDatabase, false, v1alpha1.ReasonDatabaseNotReady},
		"no class":               {withoutClass, false, v1alpha1.ReasonNamespaceNotAllowed},
		"no database, suspended": {withoutDatabase, true, v1alpha1.ReasonDatabaseNotReady},
		"no class, suspended":    {withoutClass, true, v1alpha1.ReasonNamespaceNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acme := b.served(t, "")
			own, moved := b.Host("acme"), b.Host("www")
			tt.trouble(t, b)
			b.pass(t, acme)
			if got := b.holder(t, moved); got != b.Namespace+"/acme" {
				t.Fatalf("%s has a host that the tenant wants", got)
			}
			operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) {
				tn.Spec.Domains, tn.Spec.Suspended = tn.Spec.Domains[:1], tt.suspended
			})
			b.pass(t, acme)
			b.Expect(t, acme, operator.Want{Condition: v1alpha1.ConditionReady, Reason: tt.reason})
			var served []string
			if !tt.suspended {
				served = []string{own}
			}
			if diff := cmp.Diff(served, b.hostnames(t)); diff != "" {
				t.Errorf("hosts of the routes (-want +got):\n%s", diff)
			}
			if got := b.holder(t, own); got != b.Namespace+"/acme" {
				t.Errorf("%s has the host that the tenant keeps", got)
			}
			b.quietHere(t, "passes over a tenant in trouble", acme)

			other := newBench(t).settle(t)
			rival := other.Tenant("rival", moved)
			other.Create(t, rival)
			other.pass(t, rival)
			other.Expect(t, rival, operator.Ready())
		})
	}
}

// behind is a publisher's client whose cache has no route yet, or which cannot delete any, without an error.
type behind struct {
	client.Client
	blind, stuck bool
}

func (c *behind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	switch list.(type) {
	case *gatewayv1.HTTPRouteList, *networkingv1.IngressList:
		if c.blind {
			return nil
		}
	}
	return c.Client.List(ctx, list, opts...)
}

func (c *behind) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if _, ok := obj.(*gatewayv1.HTTPRoute); ok && c.stuck {
		return nil
	}
	return c.Client.Delete(ctx, obj, opts...)
}

// A claim goes when no route answers on its host by the API server's word: what the cache does not know yet, or
// knows without its labels, counts.
func TestClaimStaysWhileARouteAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acme := b.served(t, "")
	first, second := b.Host("acme"), b.Host("www")
	cache := &behind{Client: b.by.Tenant.Publisher.Client}
	b.by.Tenant.Publisher = &publish.Publisher{Client: cache, Live: b.by.Tenant.Publisher.Live}
	wants := func(hosts ...string) {
		t.Helper()
		operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = hosts })
	}
	held := func(when, host string, want bool) {
		t.Helper()
		result := b.pass(t, acme)
		answers := slices.Contains(b.hostnames(t), host)
		if has := b.holder(t, host) != "nobody"; has != want || answers != want {
			t.Errorf("%s: %s is held: %t, and a route answers: %t; want both %t", when, host, has, answers, want)
		}
		if want && (result.RequeueAfter == 0 || result.RequeueAfter > time.Second) {
			t.Errorf("%s: looked at again after %s", when, result.RequeueAfter)
		}
	}

	wants(first) // The redirect of the second has a route of its own.
	cache.blind = true
	held("not in the cache", second, true)
	cache.blind, cache.stuck = false, true
	held("cannot be deleted", second, true)
	for _, route := range b.routes(t) {
		if slices.Contains(route.Spec.Hostnames, gatewayv1.Hostname(second)) {
			b.UpdateUnguarded(t, &route, func(o client.Object) { o.SetLabels(nil) })
		}
	}
	held("without its labels", second, true)
	cache.stuck = false
	held("all is well", second, false)

	wants(second) // The first route is the same object, for another host.
	cache.blind = true
	held("not in the cache, but in the way", first, false)
}
