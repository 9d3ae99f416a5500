package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// route publishes the hosts that the tenant holds. A host comes on in the order registry, route;
// it goes in the order route, registry, claim: whoever asks the registry for a host that is served
// gets an answer, and nobody else can claim a host that still is.
func (r *Reconciler) route(ctx context.Context, s *scope) (outcome, error) {
	if err := r.register(ctx, s, union(s.hosts, s.observed.Domains)); err != nil {
		return outcome{}, err
	}
	accepted, err := r.applyRoutes(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	if err := r.register(ctx, s, s.hosts); err != nil {
		return outcome{}, err
	}
	if _, err := r.releaseClaims(ctx, s.tenant, s.hosts); err != nil {
		return outcome{}, err
	}
	if s.class.Spec.Routing == nil {
		return outcome{v1alpha1.ReasonNotRequested, "The class asks for no routes"}, nil
	}
	markServing(s, accepted)
	if accepted != nil {
		return outcome{}, accepted
	}
	if len(s.hosts) == 0 {
		return outcome{v1alpha1.ReasonNotRequested, "The tenant holds no domain to route"}, nil
	}
	return done(fmt.Sprintf("The data plane serves %s", strings.Join(s.hosts, ", "))), nil
}

// register makes the registry's domains the given ones, unless they are.
func (r *Reconciler) register(ctx context.Context, s *scope, hosts []string) error {
	if slices.Equal(hosts, s.observed.Domains) {
		return nil
	}
	if _, err := s.db.SetDomains(ctx, s.wanted.UID, s.wanted.Schema, hosts); err != nil {
		return err
	}
	s.observed.Domains = hosts
	return nil
}

// applyRoutes makes the routes what the class and the hosts want, of one API and none of the
// other. The first error says whether the data plane accepted them, the second that they could
// not be written.
func (r *Reconciler) applyRoutes(ctx context.Context, s *scope) (accepted, err error) {
	w := routing.Wish{Tenant: s.tenant, Routing: s.class.Spec.Routing, Hosts: s.hosts}
	gateway, ingress := wantedRoutes(w)
	var problems []error
	if w.Routing != nil && len(w.Hosts) > 0 {
		problems = append(problems, r.checkBackend(ctx, w))
	}
	onGateway, err := r.applyHTTPRoutes(ctx, s.tenant, gateway)
	if err != nil {
		return nil, err
	}
	onIngress, err := r.applyIngresses(ctx, s.tenant, ingress)
	if err != nil {
		return nil, err
	}
	for _, p := range append(problems, onGateway, onIngress) {
		if p != nil {
			return p, nil
		}
	}
	return nil, nil
}

// checkBackend says why the data plane could not reach the backend, where this can be known
// without asking it: Ingress has no status for it.
func (r *Reconciler) checkBackend(ctx context.Context, w routing.Wish) error {
	backend, namespace := w.Routing.Backend, w.BackendNamespace()
	if w.Routing.Ingress != nil && namespace != w.Tenant.Namespace {
		return fault.NewInvalid(v1alpha1.ReasonReferenceNotPermitted,
			"spec.routing.backend.namespace of class %q is %q, and an Ingress reaches Services of its own namespace only; use Gateway API or a Service in %q",
			w.Tenant.Spec.ClassName, namespace, w.Tenant.Namespace)
	}
	svc := &metav1.PartialObjectMetadata{}
	svc.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: backend.Name}, svc)
	if apierrors.IsNotFound(err) {
		return fault.NewWaiting(v1alpha1.ReasonBackendNotFound, time.Minute,
			"Service %s/%s, the backend of class %q, does not exist", namespace, backend.Name, w.Tenant.Spec.ClassName)
	}
	return err
}

// markServing tells the state of each host that the tenant holds.
func markServing(s *scope, accepted error) {
	for i := range s.tenant.Status.Domains {
		d := &s.tenant.Status.Domains[i]
		if !slices.Contains(s.hosts, d.Host) {
			continue
		}
		if d.State = v1alpha1.DomainServing; accepted != nil {
			d.State = v1alpha1.DomainClaimed
		}
	}
}

// union keeps the order of the first list and appends what only the second has.
func union[T comparable](a, b []T) []T {
	u := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(u, x) {
			u = append(u, x)
		}
	}
	return u
}
