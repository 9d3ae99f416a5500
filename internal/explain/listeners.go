package explain

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/domains"
)

// maxNamed bounds how many listeners or values are named in an answer.
const maxNamed = 10

// visitor is a route that wants to be attached.
type visitor struct {
	// host of the requests.
	host string
	// namespace of the route, with its labels; nil where they may not be read.
	namespace string
	labels    map[string]string
	// section and port that the route asks for, if any.
	section *gatewayv1.SectionName
	port    *gatewayv1.PortNumber
}

// through lists the listeners that let requests for a host through to a route, and says why none does.
// home is the namespace of the listeners' Gateway.
func through(listeners []gatewayv1.Listener, home string, v visitor) (names []string, why string) {
	var forHost []gatewayv1.Listener
	asked := v.asks(listeners)
	for _, l := range asked {
		if l.Hostname == nil || *l.Hostname == "" || hostMatches(string(*l.Hostname), v.host) {
			forHost = append(forHost, l)
		}
	}
	for _, l := range forHost {
		if allows(l.AllowedRoutes, home, v) {
			names = append(names, string(l.Name))
		}
	}
	switch {
	case len(names) > 0:
		return names, ""
	case len(asked) == 0 && v.section != nil:
		return nil, fmt.Sprintf("has no listener %s for HTTP", *v.section)
	case len(asked) == 0:
		return nil, "has no listener for HTTP"
	case len(forHost) == 0:
		return nil, fmt.Sprintf("has no listener for this host, but %s", describe(asked))
	}
	return nil, fmt.Sprintf("does not let routes of namespace %s attach to listener %s", v.namespace, forHost[0].Name)
}

// asks returns the listeners to which the route wants to be attached.
func (v visitor) asks(listeners []gatewayv1.Listener) (asked []gatewayv1.Listener) {
	for _, l := range listeners {
		if (v.section == nil || *v.section == l.Name) && (v.port == nil || *v.port == l.Port) && speaksHTTP(l) {
			asked = append(asked, l)
		}
	}
	return asked
}

// forOthers says whether each of them is for another single host.
func forOthers(listeners []gatewayv1.Listener, v visitor) bool {
	asked := v.asks(listeners)
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(l gatewayv1.Listener) bool {
		return l.Hostname == nil || domains.IsWildcard(string(*l.Hostname)) || hostMatches(string(*l.Hostname), v.host)
	})
}

func speaksHTTP(l gatewayv1.Listener) bool {
	return l.Protocol == gatewayv1.HTTPProtocolType || l.Protocol == gatewayv1.HTTPSProtocolType
}

func describe(listeners []gatewayv1.Listener) string {
	var texts []string
	for i, l := range listeners {
		if i == maxNamed {
			texts = append(texts, fmt.Sprintf("%d more", len(listeners)-i))
			break
		}
		texts = append(texts, fmt.Sprintf("%s for %s", l.Name, *l.Hostname))
	}
	return strings.Join(texts, ", ")
}

// allows says whether a listener takes HTTPRoutes of the visitor's namespace. Where its labels may not be
// read, a selector is taken for a yes: what the data plane says counts anyhow.
func allows(allowed *gatewayv1.AllowedRoutes, home string, v visitor) bool {
	if allowed == nil {
		return v.namespace == home
	}
	if len(allowed.Kinds) > 0 && !slices.ContainsFunc(allowed.Kinds, func(k gatewayv1.RouteGroupKind) bool { return k.Kind == "HTTPRoute" }) {
		return false
	}
	if allowed.Namespaces == nil || allowed.Namespaces.From == nil {
		return v.namespace == home
	}
	switch *allowed.Namespaces.From {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return v.namespace == home
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
		return err == nil && (v.labels == nil || selector.Matches(labels.Set(v.labels)))
	}
	return false
}
