package explain

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	p := Parent{Kind: "Gateway", Namespace: route.Namespace, Name: string(ref.Name)}
	if ref.Kind != nil {
		p.Kind = string(*ref.Kind)
	}
	if ref.Namespace != nil {
		p.Namespace = string(*ref.Namespace)
	}
	gateway, listeners, err := in.listeners(ctx, &p)
	if err != nil {
		return p, err
	}
	accepted, err := in.accepted(ctx, route, ref, gateway)
	if err != nil {
		return p, err
	}
	p.Accepted = accepted == nil
	if accepted != nil {
		p.Message = fault.Of(accepted, "").Message
	}
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

// listeners reads those of a parent, and tells which Gateway serves it. They are nil where they cannot be
// read.
func (in *inquiry) listeners(ctx context.Context, p *Parent) (gateway client.ObjectKey, listeners []gatewayv1.Listener, err error) {
	key := client.ObjectKey{Namespace: p.Namespace, Name: p.Name}
	if p.Kind == "ListenerSet" {
		set := &gatewayv1.ListenerSet{}
		if is, err := in.get(ctx, key, set, "ListenerSet "+key.String()); is != found {
			return key, nil, ignoreNoMatch(err)
		}
		for _, e := range set.Spec.Listeners {
			listeners = append(listeners, gatewayv1.Listener(e))
		}
		gateway = client.ObjectKey{Namespace: p.Namespace, Name: string(set.Spec.ParentRef.Name)}
		if set.Spec.ParentRef.Namespace != nil {
			gateway.Namespace = string(*set.Spec.ParentRef.Namespace)
		}
		return gateway, listeners, nil
	}
	g := &gatewayv1.Gateway{}
	if is, err := in.get(ctx, key, g, "Gateway "+key.String()); is != found {
		return key, nil, ignoreNoMatch(err)
	}
	for _, a := range g.Status.Addresses {
		p.Addresses = append(p.Addresses, a.Value)
	}
	return key, g.Spec.Listeners, nil
}

// accepted returns nil or a fault by the word of the controller that serves the Gateway; by any
// controller's word where the caller may not read which that is.
func (in *inquiry) accepted(ctx context.Context, route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference, gateway client.ObjectKey) (verdict, err error) {
	controller, err := publish.Controller(ctx, in, gateway)
	switch {
	case err == nil:
		return publish.Accepted(route, ref, controller), nil
	case fault.ReasonOf(err) != "":
		return err, nil
	case !apierrors.IsForbidden(err):
		return nil, ignoreNoMatch(err)
	}
	in.refuse("Gateway " + gateway.String() + " or its class: whose word on routes counts")
	verdict = publish.Accepted(route, ref, "")
	for _, s := range route.Status.Parents {
		if verdict = publish.Accepted(route, ref, s.ControllerName); verdict == nil {
			return nil, nil
		}
	}
	return verdict, nil
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
	p := Parent{Kind: "IngressClass", Accepted: true}
	if ing.Spec.IngressClassName != nil {
		p.Name = *ing.Spec.IngressClassName
	}
	if err := publish.IngressAccepted(ing); err != nil {
		p.Accepted, p.Message = false, fault.Of(err, "").Message
	}
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
