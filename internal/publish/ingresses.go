package publish

import (
	"context"
	"fmt"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// Ingresses is HTTPRoutes for the Ingress API, whose only word of acceptance is the address in the
// status.
func (p *Publisher) Ingresses(ctx context.Context, owner client.Object, wanted []networkingv1.Ingress, where ...client.ListOption) (accepted, err error) {
	have, err := p.ownIngresses(ctx, owner, where)
	if err != nil {
		return nil, fmt.Errorf("list Ingresses: %w", err)
	}
	return kind[*networkingv1.Ingress]{ingressDiffers, ingressAccepted, ruleHosts}.apply(ctx, p, owner, have, pointers(wanted))
}

func ruleHosts(in *networkingv1.Ingress) (hosts []string) {
	for _, rule := range in.Spec.Rules {
		hosts = append(hosts, rule.Host)
	}
	return hosts
}

// ingressDiffers makes an Ingress what it should be, and says whether it was not. Annotations of others stay.
func ingressDiffers(is, w *networkingv1.Ingress) bool {
	old := givenUp(is, w)
	if len(old) == 0 && equality.Semantic.DeepEqual(is.Spec, w.Spec) && contains(is.Labels, w.Labels) && contains(is.Annotations, w.Annotations) {
		return false
	}
	is.Spec = w.Spec
	is.Labels, is.Annotations = overlay(is.Labels, w.Labels), overlay(is.Annotations, w.Annotations)
	for _, key := range old {
		delete(is.Annotations, key)
	}
	return true
}

// givenUp are the annotations that an Ingress has because its class asked for them, and asks no more.
func givenUp(is, w *networkingv1.Ingress) (keys []string) {
	note, found := is.Annotations[routing.AnnotationAnnotations]
	if !found {
		return nil
	}
	for _, key := range append(strings.Split(note, ","), routing.AnnotationAnnotations) {
		_, there := is.Annotations[key]
		if _, wanted := w.Annotations[key]; there && !wanted {
			keys = append(keys, key)
		}
	}
	return keys
}

// IngressAccepted says whether a controller took an Ingress on: nil, or a fault that says what is missing.
func IngressAccepted(in *networkingv1.Ingress) error { return ingressAccepted(in, in) }

func ingressAccepted(is, w *networkingv1.Ingress) error {
	if is != nil && len(is.Status.LoadBalancer.Ingress) > 0 {
		return nil
	}
	class := ""
	if w.Spec.IngressClassName != nil {
		class = *w.Spec.IngressClassName
	}
	return fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 30*time.Second,
		"Ingress %s has no address yet; does a controller for IngressClass %q run, and publish its address?", w.Name, class)
}
