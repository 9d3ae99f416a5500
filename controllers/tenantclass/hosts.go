package tenantclass

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// hosts claims the hosts that the class declares for itself, public and shared ones, and routes those
// that it holds. It returns what keeps one from being served; the others are.
func (r *Reconciler) hosts(ctx context.Context, class *v1alpha1.TenantClass) error {
	var wrong []*fault.Fault
	var gateway []gatewayv1.HTTPRoute
	var ingress []networkingv1.Ingress
	for _, h := range routing.ClassHosts(class) {
		if _, err := r.Claims.Hold(ctx, claimSpec(class, h), routing.ClassLabels(class)); fault.ReasonOf(err) != "" {
			wrong = append(wrong, fault.Of(err, ""))
			continue
		} else if err != nil {
			return err // Without its claim this host would lose its route.
		}
		if class.Spec.Routing.Gateway != nil {
			gateway = append(gateway, routing.ClassHTTPRoutes(class, h)...)
		} else {
			ingress = append(ingress, routing.ClassIngress(class, h))
		}
	}
	accepted, err := r.publish(ctx, class, gateway, ingress)
	if err != nil {
		return unwritten(err)
	}
	if len(wrong) > 0 {
		return fault.NewWaiting(wrong[0].Reason, recheck, "spec.routing: %s", messages(wrong))
	}
	return accepted
}

// unwritten says why routes could not be written. A host's route is in the namespace of its backend, which
// the class only names: nothing tells it that the namespace is there.
func unwritten(err error) error {
	switch {
	case fault.ReasonOf(err) != "":
		return err
	case apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fault.NewWaiting(v1alpha1.ReasonBackendNotFound, 30*time.Second,
			"spec.routing: the namespace of a backend is not there or is being deleted: %s", err)
	}
	return fmt.Errorf("spec.routing: %w", err)
}

func (r *Reconciler) publish(ctx context.Context, class *v1alpha1.TenantClass, gateway []gatewayv1.HTTPRoute, ingress []networkingv1.Ingress) (accepted, err error) {
	mine := client.MatchingLabels(routing.ClassLabels(class))
	onGateway, err := r.Publisher.HTTPRoutes(ctx, class, gateway, mine)
	if err != nil {
		return nil, err
	}
	onIngress, err := r.Publisher.Ingresses(ctx, class, ingress, mine)
	if err != nil || onGateway == nil {
		return onIngress, err
	}
	return onGateway, nil
}

func messages(faults []*fault.Fault) string {
	var texts []string
	for _, f := range faults {
		texts = append(texts, f.Message)
	}
	return strings.Join(texts, "; ")
}

func claimSpec(class *v1alpha1.TenantClass, h routing.ClassHost) v1alpha1.DomainClaimSpec {
	return v1alpha1.DomainClaimSpec{
		Host: h.Host, Role: h.Role,
		Holder: v1alpha1.ClaimHolder{Kind: "TenantClass", Name: class.Name, UID: string(class.UID)},
	}
}

// closeHosts takes the class's own routes away, and what is left of its shards, before the class goes. Its claims follow when no class
// declares their hosts any more.
func (r *Reconciler) closeHosts(ctx context.Context, class *v1alpha1.TenantClass) error {
	if _, err := r.publish(ctx, class, nil, nil); err != nil {
		return err
	}
	_, err := r.Listeners.Bring(ctx, class.Name, nil, nil)
	return err
}

// gone lets only the end of an object through: then the host of a claim may be had.
var gone = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// ofClaim finds the classes that declare a host which the claim kept from them: its own, or one below its wildcard.
func (r *Reconciler) ofClaim(ctx context.Context, o client.Object) []reconcile.Request {
	claim, ok := o.(*v1alpha1.DomainClaim)
	if !ok {
		return nil
	}
	return r.which(ctx, func(c *v1alpha1.TenantClass) bool {
		return slices.ContainsFunc(routing.ClassHosts(c), func(h routing.ClassHost) bool {
			return h.Host == claim.Spec.Host || domains.Covers(claim.Spec.Host, h.Host)
		})
	})
}
