package explain

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func listener(name, host string, from gatewayv1.FromNamespaces) gatewayv1.Listener {
	l := gatewayv1.Listener{
		Name: gatewayv1.SectionName(name), Protocol: gatewayv1.HTTPProtocolType, Port: 80,
		AllowedRoutes: &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{From: &from}},
	}
	if host != "" {
		l.Hostname = new(gatewayv1.Hostname(host))
	}
	if from == gatewayv1.NamespacesFromSelector {
		l.AllowedRoutes.Namespaces.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"routes": "yes"}}
	}
	return l
}

func TestListenersLetThrough(t *testing.T) {
	const all, same, selected, none = gatewayv1.NamespacesFromAll, gatewayv1.NamespacesFromSame, gatewayv1.NamespacesFromSelector, gatewayv1.NamespacesFromNone
	labelled := map[string]string{"routes": "yes"}
	tls := listener("tls", "", all)
	tls.Protocol = gatewayv1.TLSProtocolType
	grpc := listener("grpc", "", all)
	grpc.AllowedRoutes.Kinds = []gatewayv1.RouteGroupKind{{Kind: "GRPCRoute"}}
	bare := listener("bare", "", all)
	bare.AllowedRoutes = nil
	tests := map[string]struct {
		listeners []gatewayv1.Listener
		visitor   visitor
		want      []string
		why       string
	}{
		"every host":               {[]gatewayv1.Listener{listener("web", "", all)}, visitor{}, []string{"web"}, ""},
		"the very host":            {[]gatewayv1.Listener{listener("web", "acme.example.com", all)}, visitor{}, []string{"web"}, ""},
		"a wildcard":               {[]gatewayv1.Listener{listener("web", "*.example.com", all)}, visitor{}, []string{"web"}, ""},
		"a wide wildcard":          {[]gatewayv1.Listener{listener("web", "*.com", all)}, visitor{}, []string{"web"}, ""},
		"another host":             {[]gatewayv1.Listener{listener("web", "*.example.org", all)}, visitor{}, nil, "has no listener for this host, but web for *.example.org"},
		"two of three":             {[]gatewayv1.Listener{listener("a", "", all), listener("b", "b.org", all), listener("c", "*.com", all)}, visitor{}, []string{"a", "c"}, ""},
		"own namespace":            {[]gatewayv1.Listener{listener("web", "", same)}, visitor{namespace: "gateways"}, []string{"web"}, ""},
		"another namespace":        {[]gatewayv1.Listener{listener("web", "", same)}, visitor{}, nil, "does not let routes of namespace shop attach to listener web"},
		"no word on namespaces":    {[]gatewayv1.Listener{bare}, visitor{}, nil, "does not let routes of namespace shop"},
		"no namespace":             {[]gatewayv1.Listener{listener("web", "", none)}, visitor{}, nil, "does not let routes of namespace shop"},
		"labels fit":               {[]gatewayv1.Listener{listener("web", "", selected)}, visitor{labels: labelled}, []string{"web"}, ""},
		"labels do not fit":        {[]gatewayv1.Listener{listener("web", "", selected)}, visitor{labels: map[string]string{}}, nil, "does not let routes of namespace shop"},
		"labels unread":            {[]gatewayv1.Listener{listener("web", "", selected)}, visitor{}, []string{"web"}, ""},
		"section":                  {[]gatewayv1.Listener{listener("a", "", all), listener("b", "", all)}, visitor{section: new(gatewayv1.SectionName("b"))}, []string{"b"}, ""},
		"no such section":          {[]gatewayv1.Listener{listener("a", "", all)}, visitor{section: new(gatewayv1.SectionName("b"))}, nil, "has no listener b for HTTP"},
		"port":                     {[]gatewayv1.Listener{listener("a", "", all)}, visitor{port: new(gatewayv1.PortNumber(443))}, nil, "has no listener for HTTP"},
		"another protocol":         {[]gatewayv1.Listener{tls}, visitor{}, nil, "has no listener for HTTP"},
		"another kind":             {[]gatewayv1.Listener{grpc}, visitor{}, nil, "does not let routes of namespace shop attach to listener grpc"},
		"none":                     {nil, visitor{}, nil, "has no listener for HTTP"},
		"host, and another's host": {[]gatewayv1.Listener{listener("a", "b.com", all), listener("b", "acme.example.com", none)}, visitor{}, nil, "attach to listener b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.visitor.host = "acme.example.com"
			if tt.visitor.namespace == "" {
				tt.visitor.namespace = "shop"
			}
			got, why := through(tt.listeners, "gateways", tt.visitor)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("listeners (-want +got):\n%s", diff)
			}
			if !strings.Contains(why, tt.why) || (why == "") != (tt.why == "") {
				t.Errorf("why = %q, want %q", why, tt.why)
			}
		})
	}
}

// A route for several hosts with listeners of their own names the listeners of all; only the host's
// own says something of the host.
func TestParentsOfOtherHosts(t *testing.T) {
	own, other := Parent{Name: "a", Accepted: true}, Parent{Name: "b", forOther: true}
	if diff := cmp.Diff([]Parent{own}, ofHost([]Parent{other, own}), cmp.AllowUnexported(Parent{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := ofHost([]Parent{other}); len(got) != 1 {
		t.Error("a host without a listener of its own has no parent that says so")
	}
	section := func(name string) visitor {
		return visitor{host: "acme.example.com", section: new(gatewayv1.SectionName(name))}
	}
	listeners := []gatewayv1.Listener{
		listener("one", "b.com", "All"), listener("many", "*.b.com", "All"), listener("own", "acme.example.com", "All"), listener("any", "", "All"),
	}
	for name, want := range map[string]bool{"one": true, "many": false, "own": false, "any": false, "none": false} {
		if got := forOthers(listeners, section(name)); got != want {
			t.Errorf("listener %s is only for others: %v, want %v", name, got, want)
		}
	}
}
