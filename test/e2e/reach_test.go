package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/test/operator"
)

// probing has a class ask as often as it can.
func probing(w *operator.World) {
	w.Class.Spec.Routing.Probe = &v1alpha1.ReachabilityProbe{Path: "/healthz", ExpectedStatus: http.StatusOK, IntervalSeconds: 5, TimeoutSeconds: 2}
}

// byIngress routes a world's class by Ingress.
func byIngress(w *operator.World) {
	w.Class.Spec.Routing.Gateway = nil
	w.Class.Spec.Routing.Ingress = &v1alpha1.IngressRouting{ClassName: "traefik", Port: int32(traefik.HTTPPort)}
}

func reachable(status metav1.ConditionStatus, reason string, message ...string) operator.Want {
	return operator.Want{Condition: v1alpha1.ConditionReachable, Status: status, Reason: reason, Message: message}
}

// The first request after Ready is answered by the tenant, and the first one for its alias redirects:
// the data plane was seen to serve them, which comes later than its word that it accepted the routes.
func TestFirstRequestAfterReady(t *testing.T) {
	for name, tt := range map[string]struct {
		change  []func(*operator.World)
		tenants int
		alias   int // status of the alias' answer
	}{
		"Gateway API": {[]func(*operator.World){probing}, 20, http.StatusMovedPermanently},
		"Ingress":     {[]func(*operator.World){probing, byIngress}, 5, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tt.change...)
			for i := range tt.tenants {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					name := fmt.Sprintf("t%d", i)
					domain, alias := s.Host(name), s.Host("www-"+name)
					tenant := s.Tenant(name, domain, alias)
					s.Create(t, tenant)
					s.AwaitReady(t, tenant)
					a, err := whoami(t.Context(), domain)
					if err != nil || a.Status != http.StatusOK || a.Tenant != s.Namespace+"/"+name {
						t.Errorf("the first request is answered by %q with status %d (%s), %v", a.Tenant, a.Status, a.Error.Code, err)
					}
					a, err = whoami(t.Context(), alias)
					if err != nil || a.Status != tt.alias {
						t.Errorf("the first request for the alias is answered with status %d, %v", a.Status, err)
					}
					s.Expect(t, tenant, reachable(metav1.ConditionTrue, v1alpha1.ReasonSucceeded, domain+", "+alias))
				})
			}
		})
	}
}

// The backend goes away: the tenant says so and keeps its route. It comes back: the tenant says that
// too, by itself.
func TestBackendGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change  []func(*operator.World)
		through string
	}{
		"Gateway API": {[]func(*operator.World){probing}, "through listener http of Gateway default/edge: status 502, want status 200"},
		"Ingress":     {[]func(*operator.World){probing, byIngress}, "through Ingress acme: status 502, want status 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.change...)
			domain := s.Host("acme")
			acme := s.Tenant("acme", domain)
			s.Create(t, acme)
			s.AwaitReady(t, acme)
			before := routesOf(t, s)

			if err := s.backend.Stop(); err != nil {
				t.Fatal(err)
			}
			message := "http://" + domain + "/healthz " + tt.through
			s.AwaitWant(t, operator.Eventually, acme,
				operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonProbeFailed, message),
				reachable(metav1.ConditionFalse, v1alpha1.ReasonProbeFailed, message),
				operator.Want{Condition: v1alpha1.ConditionRouted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded})
			if d := acme.Status.Domains[0]; d.State != v1alpha1.DomainUnreachable || d.Message != message {
				t.Errorf("the domain is %s: %q", d.State, d.Message)
			}
			failing, asked := s.failing(t, http.StatusInternalServerError)
			s.AwaitWant(t, operator.Eventually, acme, reachable(metav1.ConditionFalse, v1alpha1.ReasonProbeFailed, "status 500, want status 200"))
			stays, n := acme.ResourceVersion, asked.Load()
			operator.Poll(t, operator.Eventually, func() error {
				if got := asked.Load() - n; got < 3 {
					return fmt.Errorf("asked %d times", got)
				}
				return nil
			})
			s.Get(t, acme)
			if acme.ResourceVersion != stays {
				t.Errorf("an outage that goes on is written: %+v", acme.Status.Conditions)
			}
			if diff := cmp.Diff(before, routesOf(t, s)); diff != "" {
				t.Errorf("routes in the outage (-before +in):\n%s", diff)
			}

			if err := failing.Close(); err != nil {
				t.Fatal(err)
			}
			place := setup.Host{Plane: s.Plane, Dir: t.TempDir()}
			var err error
			if s.backend, err = place.Backend(t.Context(), program("backend"), s.Namespace, "web", "-binding-ttl=1s"); err != nil {
				t.Fatal(err)
			}
			s.AwaitReady(t, acme)
			awaitAnswer(t, domain, s.Namespace+"/acme")
		})
	}
}

// failing serves in the place of the site's backend, and counts the operator's requests.
func (s *site) failing(t *testing.T, status int) (*http.Server, *atomic.Int32) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.backend.Address)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.UserAgent(), "Tenantry") {
			asked.Add(1)
		}
		w.WriteHeader(status)
	})}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return server, &asked
}

// routesOf returns the rules and hosts of a site's HTTPRoutes.
func routesOf(t *testing.T, s *site) map[string]gatewayv1.HTTPRouteSpec {
	t.Helper()
	var list gatewayv1.HTTPRouteList
	if err := s.Admin.List(t.Context(), &list, client.InNamespace(s.Namespace)); err != nil {
		t.Fatal(err)
	}
	specs := map[string]gatewayv1.HTTPRouteSpec{}
	for _, r := range list.Items {
		specs[r.Name] = r.Spec
	}
	return specs
}
