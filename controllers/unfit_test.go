package controllers_test

import (
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// Without TLS, too, or where others look after it, the data plane accepts a route if one of its hosts fits a listener.
// The status tells which do not, and heals when a listener does.
func TestHostThatFitsNoListener(t *testing.T) {
	t.Parallel()
	for name, tls := range map[string]*v1alpha1.RoutingTLS{
		"without TLS": nil,
		"External":    {Certificates: v1alpha1.CertificatesExternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTLSBench(t, func(c *v1alpha1.TenantClass) { c.Spec.Routing.TLS = tls })
			host, shop := b.Host("acme"), b.custom("shop")
			acme := b.Tenant("acme", host, b.Host("www-acme"), shop)
			b.Create(t, acme)
			b.pass(t, acme)
			b.acceptAll(t)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonListenerNotFound, shop+": no listener", b.Class.Name),
				operator.Waiting("Ready", v1alpha1.ReasonListenerNotFound))
			for _, d := range acme.Status.Domains {
				if fits := d.Host != shop; fits != (d.State == v1alpha1.DomainServing) || fits != (d.Message == "") {
					t.Errorf("%s is %s: %q", d.Host, d.State, d.Message)
				}
			}
			if len(b.places(t)[shop]) != 1 {
				t.Errorf("the route of %s was taken down: %v", shop, b.places(t))
			}
			b.quietHere(t, "passes over an unchanged tenant", acme)

			operator.Update(t, b.Servers, b.gateway, func(g *gatewayv1.Gateway) { g.Spec.Listeners[1].Hostname = nil })
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
			b.quietHere(t, "passes over an unchanged tenant", acme)

			// Of a Gateway that is gone, the routes tell.
			b.Delete(t, b.gateway)
			b.pass(t, acme)
			b.Expect(t, acme, operator.Waiting("Routed", v1alpha1.ReasonRouteNotAccepted, "does not exist"))
		})
	}
}
