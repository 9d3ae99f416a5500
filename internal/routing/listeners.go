package routing

import (
	"maps"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
)

// MaxListeners is how many listeners one Gateway gets from us. Gateway API takes 64; the rest is for
// those who add some by hand in an emergency.
const MaxListeners = 60

// namespaceName is the label by which a selector names one namespace (Kubernetes sets it).
const namespaceName = "kubernetes.io/metadata.name"

// HostListener is what the listener of one host is made from.
type HostListener struct {
	Host string
	// Namespace of the tenant, whose routes alone may attach.
	Namespace string
	// Secret with the certificate, in the namespace of the Gateway.
	Secret string
}

// ListenerTemplate is what listeners of single hosts have from the class's listener for HTTPS.
type ListenerTemplate struct {
	Port gatewayv1.PortNumber
	// Options are the data plane's own settings for TLS.
	Options map[gatewayv1.AnnotationKey]gatewayv1.AnnotationValue
}

// ListenerName returns the name of a host's listener, which says whose it is.
func ListenerName(host string) gatewayv1.SectionName {
	return gatewayv1.SectionName(domains.ClaimName(host))
}

// Listener returns the listener of one host.
func (t ListenerTemplate) Listener(h HostListener) gatewayv1.Listener {
	return gatewayv1.Listener{
		Name:     ListenerName(h.Host),
		Hostname: new(gatewayv1.Hostname(h.Host)),
		Port:     t.Port,
		Protocol: gatewayv1.HTTPSProtocolType,
		TLS: &gatewayv1.ListenerTLSConfig{
			Mode:    new(gatewayv1.TLSModeTerminate),
			Options: maps.Clone(t.Options),
			CertificateRefs: []gatewayv1.SecretObjectReference{{
				Group: new(gatewayv1.Group("")), Kind: new(gatewayv1.Kind("Secret")), Name: gatewayv1.ObjectName(h.Secret),
			}},
		},
		AllowedRoutes: &gatewayv1.AllowedRoutes{
			Namespaces: &gatewayv1.RouteNamespaces{
				From:     new(gatewayv1.NamespacesFromSelector),
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{namespaceName: h.Namespace}},
			},
			Kinds: []gatewayv1.RouteGroupKind{{Group: new(gatewayv1.Group(gatewayv1.GroupName)), Kind: "HTTPRoute"}},
		},
	}
}

// Entry is Listener for a ListenerSet.
func (t ListenerTemplate) Entry(h HostListener) gatewayv1.ListenerEntry {
	return gatewayv1.ListenerEntry(t.Listener(h))
}

// Carries says whether a listener is that of a host, for a tenant's routes and with its certificate: a
// listener of the host's former holder is not.
func (h HostListener) Carries(l gatewayv1.Listener) bool {
	return l.Name == ListenerName(h.Host) && l.Hostname != nil && string(*l.Hostname) == h.Host &&
		l.TLS != nil && slices.ContainsFunc(l.TLS.CertificateRefs, func(ref gatewayv1.SecretObjectReference) bool {
		return string(ref.Name) == h.Secret
	}) &&
		l.AllowedRoutes != nil && l.AllowedRoutes.Namespaces != nil && l.AllowedRoutes.Namespaces.Selector != nil &&
		l.AllowedRoutes.Namespaces.Selector.MatchLabels[namespaceName] == h.Namespace
}

// SetName is the name of the ListenerSet of a tenant. Namespaces have no dots, so that no two tenants
// get the same.
func SetName(t *v1alpha1.Tenant) string { return t.Namespace + "." + t.Name }

// Shard is a Gateway of the operator's own with listeners of single hosts.
type Shard struct {
	Name      string
	Listeners []gatewayv1.Listener
}

// ShardName returns the name of a class's shard.
func ShardName(class string, i int) string { return class + "-tls-" + strconv.Itoa(i) }

// Shards says which listeners a class's shards should have. A host that has a listener keeps its place,
// so that its routes need not move; freed places are taken before a shard is added. A listener that
// is no longer wanted stays as long as a route is attached to it. Shards without listeners are to go.
func Shards(class string, have []Shard, wanted []gatewayv1.Listener, used func(shard string, listener gatewayv1.SectionName) bool) []Shard {
	missing := map[gatewayv1.SectionName]gatewayv1.Listener{}
	for _, l := range wanted {
		missing[l.Name] = l
	}
	var shards []Shard
	for _, is := range have {
		shard := Shard{Name: is.Name}
		for _, l := range is.Listeners {
			if w, ok := missing[l.Name]; ok {
				shard.Listeners = append(shard.Listeners, w)
				delete(missing, l.Name)
			} else if used(is.Name, l.Name) {
				shard.Listeners = append(shard.Listeners, l)
			}
		}
		shards = append(shards, shard)
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		shards = place(class, shards, missing[name])
	}
	return shards
}

// place puts a listener into the first shard with room, or into a new one.
func place(class string, shards []Shard, l gatewayv1.Listener) []Shard {
	for i := 0; ; i++ {
		name := ShardName(class, i)
		at := slices.IndexFunc(shards, func(s Shard) bool { return s.Name == name })
		if at < 0 {
			return append(shards, Shard{Name: name, Listeners: []gatewayv1.Listener{l}})
		}
		if len(shards[at].Listeners) < MaxListeners {
			shards[at].Listeners = append(shards[at].Listeners, l)
			return shards
		}
	}
}
