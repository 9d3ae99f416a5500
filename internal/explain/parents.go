package explain

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/publish"
)

// parent says whether requests for the host come to a route by one of its parents: whether the data plane
// accepted the route, by the same rules as the operator goes by, and whether a listener takes the host,
// which acceptance does not say of each of a route's hosts.
func (in *inquiry) parent(ctx context.Context, route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference) (Parent, error) {
	if ref.Kind == nil {
		ref.Kind = new(gatewayv1.Kind("Gateway"))
	}
	if ref.Namespace == nil {
		ref.Namespace = new(gatewayv1.Namespace(route.Namespace))
	}
	p := Parent{Kind: string(*ref.Kind), Namespace: string(*ref.Namespace), Name: string(ref.Name)}
	class, listeners, err := in.listeners(ctx, &p)
	if err != nil {
		return p, err
	}
	if p.Message == "" {
		if p.Message, err = in.refusal(ctx, route, ref, class); err != nil {
			return p, err
		}
	}
	p.Accepted = p.Message == ""
	if listeners == nil {
		return p, nil
	}
	v := visitor{host: in.query.Host, namespace: route.Namespace, section: ref.SectionName, port: ref.Port}
	if v.labels, err = in.labels(ctx, route.Namespace); err != nil {
		return p, err
	}
	names, why := through(listeners, p.Namespace, v)
	if why != "" {
		why = p.Kind + " " + p.Namespace + "/" + p.Name + " " + why
		p.forOther = forOthers(listeners, v)
		p.Accepted, p.Message = false, strings.TrimPrefix(p.Message+"; "+why, "; ")
	} else if p.Accepted {
		p.Listeners = names
	}
	return p, nil
}

// listeners reads those of a parent, and tells by which class it is served. Both are empty where they cannot
// be read; a parent that is not there has a message.
func (in *inquiry) listeners(ctx context.Context, p *Parent) (class string, listeners []gatewayv1.Listener, err error) {
	key := client.ObjectKey{Namespace: p.Namespace, Name: p.Name}
	if p.Kind != "ListenerSet" {
		g, err := in.gateway(ctx, key, p)
		if g == nil {
			return "", nil, err
		}
		return string(g.Spec.GatewayClassName), g.Spec.Listeners, nil
	}
	set := &gatewayv1.ListenerSet{}
	is, err := in.get(ctx, key, set, "ListenerSet "+key.String())
	if is != found {
		p.lacks(is, "ListenerSet "+key.String())
		return "", nil, ignoreNoMatch(err)
	}
	for _, e := range set.Spec.Listeners {
		listeners = append(listeners, gatewayv1.Listener(e))
	}
	key.Name = string(set.Spec.ParentRef.Name)
	if set.Spec.ParentRef.Namespace != nil {
		key.Namespace = string(*set.Spec.ParentRef.Namespace)
	}
	g, err := in.gateway(ctx, key, p)
	if g == nil {
		return "", listeners, err
	}
	return string(g.Spec.GatewayClassName), listeners, nil
}

func (in *inquiry) gateway(ctx context.Context, key client.ObjectKey, p *Parent) (*gatewayv1.Gateway, error) {
	g := &gatewayv1.Gateway{}
	is, err := in.get(ctx, key, g, "Gateway "+key.String()+": its listeners, and whose word on routes counts")
	if is != found {
		p.lacks(is, "Gateway "+key.String())
		return nil, ignoreNoMatch(err)
	}
	for _, a := range g.Status.Addresses {
		p.Addresses = append(p.Addresses, a.Value)
	}
	return g, nil
}

func (p *Parent) lacks(is outcome, what string) {
	if is == absent {
		p.Message = what + " does not exist"
	}
}

// refusal says why the data plane does not take a route, by the word of the controller that serves the class;
// by any controller's word where the caller may not read which that is. Empty if it does.
func (in *inquiry) refusal(ctx context.Context, route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference, class string) (string, error) {
	gc := &gatewayv1.GatewayClass{}
	is := refused
	if class != "" {
		var err error
		is, err = in.get(ctx, client.ObjectKey{Name: class}, gc, "GatewayClass "+class+": whose word on routes counts")
		if err != nil {
			return "", err
		}
	}
	if is == absent {
		return fmt.Sprintf("GatewayClass %s does not exist", class), nil
	}
	if is == found {
		return messageOf(publish.Accepted(route, ref, gc.Spec.ControllerName)), nil
	}
	message := messageOf(publish.Accepted(route, ref, ""))
	for _, s := range route.Status.Parents {
		if message = messageOf(publish.Accepted(route, ref, s.ControllerName)); message == "" {
			break
		}
	}
	return message, nil
}

// messageOf is what a fault says; nothing if there is none.
func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err, "").Message
}

// labels of a namespace; nil where they may not be read.
func (in *inquiry) labels(ctx context.Context, namespace string) (map[string]string, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	is, err := in.get(ctx, client.ObjectKey{Name: namespace}, ns, "Namespace "+namespace+": whether listeners let its routes attach")
	if is != found {
		return nil, err
	}
	if ns.Labels == nil {
		return map[string]string{}, nil
	}
	return ns.Labels, nil
}

// ingressParent says whether a controller took an Ingress on.
func ingressParent(ing *networkingv1.Ingress) Parent {
	p := Parent{Kind: "IngressClass"}
	if ing.Spec.IngressClassName != nil {
		p.Name = *ing.Spec.IngressClassName
	}
	p.Message = messageOf(publish.IngressAccepted(ing))
	p.Accepted = p.Message == ""
	for _, a := range ing.Status.LoadBalancer.Ingress {
		p.Addresses = append(p.Addresses, a.IP+a.Hostname)
	}
	return p
}

// ignoreNoMatch forgives that the cluster does not know a kind: then there is no object of it.
func ignoreNoMatch(err error) error {
	if meta.IsNoMatchError(err) {
		return nil
	}
	return err
}
