package tenant

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// shelf is a reader of some Gateways and ListenerSets, as the cache is.
type shelf struct {
	client.Reader
	gateways []gatewayv1.Gateway
	sets     []gatewayv1.ListenerSet
}

func (s shelf) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	switch o := obj.(type) {
	case *gatewayv1.Gateway:
		for _, g := range s.gateways {
			if client.ObjectKeyFromObject(&g) == key {
				*o = g
				return nil
			}
		}
	case *gatewayv1.ListenerSet:
		for _, set := range s.sets {
			if client.ObjectKeyFromObject(&set) == key {
				*o = set
				return nil
			}
		}
	}
	return fmt.Errorf("no %T %s", obj, key)
}

func ref(kind, name, section string) gatewayv1.ParentReference {
	r := gatewayv1.ParentReference{Kind: new(gatewayv1.Kind(kind)), Namespace: new(gatewayv1.Namespace("edge")), Name: gatewayv1.ObjectName(name)}
	if section != "" {
		r.SectionName = new(gatewayv1.SectionName(section))
	}
	return r
}

func listener(name string, protocol gatewayv1.ProtocolType, port gatewayv1.PortNumber, host string) gatewayv1.Listener {
	l := gatewayv1.Listener{Name: gatewayv1.SectionName(name), Protocol: protocol, Port: port}
	if host != "" {
		l.Hostname = new(gatewayv1.Hostname(host))
	}
	return l
}

// By which ways a host is asked, for Gateways and ListenerSets of all shapes.
func TestEntrances(t *testing.T) {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "edge", Name: name} }
	world := shelf{
		gateways: []gatewayv1.Gateway{
			{
				ObjectMeta: meta("both"),
				Spec: gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{
					listener("tcp", gatewayv1.TCPProtocolType, 1, ""), listener("https", gatewayv1.HTTPSProtocolType, 8443, ""),
					listener("other", gatewayv1.HTTPProtocolType, 81, "*.other.example"), listener("http", gatewayv1.HTTPProtocolType, 80, "*.example"),
				}},
				Status: gatewayv1.GatewayStatus{Addresses: []gatewayv1.GatewayStatusAddress{
					{Value: "192.0.2.1"},
					{Type: new(gatewayv1.IPAddressType), Value: "2001:db8::1"},
					{Type: new(gatewayv1.HostnameAddressType), Value: "lb.cloud"},
					{Type: new(gatewayv1.HostnameAddressType), Value: "*.cloud"},
				}},
			},
			{ObjectMeta: meta("new"), Spec: gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{listener("http", gatewayv1.HTTPProtocolType, 80, "")}}},
			{
				ObjectMeta: meta("shard"),
				Spec: gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{
					listener("acme", gatewayv1.HTTPSProtocolType, 443, "acme.example"), listener("globex", gatewayv1.HTTPSProtocolType, 443, "globex.example"),
				}},
				Status: gatewayv1.GatewayStatus{Addresses: []gatewayv1.GatewayStatusAddress{{Value: "192.0.2.9"}}},
			},
		},
		sets: []gatewayv1.ListenerSet{{
			ObjectMeta: meta("acme"),
			Spec: gatewayv1.ListenerSetSpec{
				ParentRef: gatewayv1.ParentGatewayReference{Name: "shard"},
				Listeners: []gatewayv1.ListenerEntry{{Name: "own", Protocol: gatewayv1.HTTPSProtocolType, Port: 8443, Hostname: new(gatewayv1.Hostname("ACME.example"))}},
			},
		}},
	}
	all := func(port string) []string {
		return []string{"192.0.2.1:" + port, "[2001:db8::1]:" + port, "lb.cloud:" + port}
	}
	for name, tt := range map[string]struct {
		refs    []gatewayv1.ParentReference
		want    []entrance
		wantErr string
	}{
		"any listener": {
			refs: []gatewayv1.ParentReference{ref("Gateway", "both", "")},
			want: []entrance{{"Gateway edge/both", all("80"), false}},
		},
		"the one for https": {
			refs: []gatewayv1.ParentReference{ref("Gateway", "both", "https")},
			want: []entrance{{"listener https of Gateway edge/both", all("8443"), true}},
		},
		"several, some for other hosts": {
			refs: []gatewayv1.ParentReference{
				ref("Gateway", "shard", "globex"), ref("Gateway", "shard", "acme"), ref("Gateway", "both", "other"), ref("ListenerSet", "acme", "own"),
			},
			want: []entrance{
				{"listener acme of Gateway edge/shard", []string{"192.0.2.9:443"}, true},
				{"listener own of ListenerSet edge/acme", []string{"192.0.2.9:8443"}, true},
			},
		},
		"none that fits":         {refs: []gatewayv1.ParentReference{ref("Gateway", "both", "other"), ref("Gateway", "both", "tcp")}, wantErr: "acme.example: no listener"},
		"no address yet":         {refs: []gatewayv1.ParentReference{ref("Gateway", "new", "")}, wantErr: "acme.example: Gateway edge/new has no address"},
		"a Gateway that is gone": {refs: []gatewayv1.ParentReference{ref("Gateway", "gone", "")}, wantErr: "edge/gone"},
	} {
		t.Run(name, func(t *testing.T) {
			route := gatewayv1.HTTPRoute{Spec: gatewayv1.HTTPRouteSpec{
				CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: tt.refs}, Hostnames: []gatewayv1.Hostname{"globex.example", "acme.example"},
			}}
			// What redirects plain HTTP comes behind what serves.
			plain := route
			plain.Spec.ParentRefs = []gatewayv1.ParentReference{ref("Gateway", "gone", "")}
			f := &finder{Reader: world, routes: []gatewayv1.HTTPRoute{route, plain}, parents: map[parentKey]*parent{}}
			got, err := f.entrances(t.Context(), "acme.example")
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Errorf("error %v, want %q", err, tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(entrance{})); diff != "" {
				t.Errorf("entrances (-want +got):\n%s", diff)
			}
		})
	}
}
