package tenant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/publish"
	"github.com/tenantry/tenantry/internal/routing"
)

// claimsHold is how old a pass's look at its claims may be where it publishes hosts that no route of its tenant has: a
// claim without one goes to whoever proves the domain.
const claimsHold = 30 * time.Second

// route publishes what the tenant holds. A host comes on in the order registry, route; it goes in the
// order route, registry, claim: whoever asks the registry for a host that is served gets an answer, and
// nobody else can claim a host that still is. A suspended tenant is taken off its backend.
func (r *Reconciler) route(ctx context.Context, s *scope) (outcome, error) {
	if s.tenant.Spec.Suspended {
		return r.suspend(ctx, s)
	}
	if s.outdated() {
		return outcome{}, fault.NewWaiting(v1alpha1.ReasonProgressing, time.Second, "What is to be routed was claimed before a long migration, and is looked at once more")
	}
	if err := r.secure(ctx, s); err != nil {
		return outcome{}, err
	}
	if err := r.register(ctx, s, union(s.entries(), s.observed.Domains)); err != nil {
		return outcome{}, err
	}
	w := s.wish()
	accepted, err := r.applyRoutes(ctx, w)
	if err != nil {
		return outcome{}, err
	}
	if err := r.register(ctx, s, s.entries()); err != nil {
		return outcome{}, err
	}
	if err := r.releaseClaims(ctx, s); err != nil {
		return outcome{}, err
	}
	if err := r.unsecure(ctx, s); err != nil {
		return outcome{}, err
	}
	if w.Routing == nil {
		return outcome{reason: v1alpha1.ReasonNotRequested, message: "The class asks for no routes"}, nil
	}
	if accepted == nil {
		accepted, err = r.shadowed(ctx, w)
	}
	if err != nil {
		return outcome{}, err
	}
	mark(s, accepted, v1alpha1.DomainServing)
	s.routed = true
	if accepted != nil {
		return outcome{}, accepted
	}
	if faults := s.insecure(); len(faults) > 0 {
		return outcome{}, merge(faults)
	}
	if len(s.entries()) == 0 {
		return outcome{reason: v1alpha1.ReasonNotRequested, message: "The tenant holds no domain to route"}, nil
	}
	return done("The data plane serves " + strings.Join(s.entries(), ", ")), nil
}

// suspend takes the tenant's hosts off its backend, which comes before the registry forgets them. The
// claims stay: a customer who comes back finds its domains.
func (r *Reconciler) suspend(ctx context.Context, s *scope) (outcome, error) {
	if s.away().Held {
		if err := r.secureAway(ctx, s); err != nil {
			return outcome{}, err
		}
	}
	accepted, err := r.applyRoutes(ctx, s.away())
	if err != nil {
		return outcome{}, err
	}
	if err := r.register(ctx, s, nil); err != nil {
		return outcome{}, err
	}
	if err := r.releaseClaims(ctx, s); err != nil {
		return outcome{}, err
	}
	if err := r.unsecure(ctx, s); err != nil {
		return outcome{}, err
	}
	mark(s, accepted, s.awayState())
	r.leaveUnasked(s)
	return outcome{}, errSuspended
}

var errSuspended = fault.NewWaiting(v1alpha1.ReasonSuspended, recheck,
	"spec.suspended is set: the tenant's hosts do not reach its backend; schema, data and logins stay as they are")

// outdated says that a host would be published that was claimed too long ago.
func (s *scope) outdated() bool {
	return time.Since(s.started) > claimsHold &&
		slices.ContainsFunc(s.entries(), func(e string) bool { return !slices.Contains(s.observed.Domains, e) })
}

// holdOff publishes the class's holding backend on the hosts of a tenant that is not served yet. What
// is served stays as it is: whatever is wrong now, customers may still be at work.
func (r *Reconciler) holdOff(ctx context.Context, s *scope) error {
	if w := s.away(); s.tenant.Spec.Suspended || w.Routing == nil || !s.claimed || len(w.Hosts) == 0 || s.outdated() {
		return nil
	}
	if err := r.secure(ctx, s); err != nil {
		return err
	}
	w := s.away()
	served, err := r.isRouted(ctx, w)
	if err != nil || served {
		return err
	}
	accepted, err := r.applyRoutes(ctx, w)
	if err != nil {
		return err
	}
	mark(s, accepted, v1alpha1.DomainHolding)
	return nil
}

// isRouted says whether a route of the tenant does anything else than what w wants.
func (r *Reconciler) isRouted(ctx context.Context, w routing.Wish) (bool, error) {
	gateway, ingress := wantedRoutes(w)
	return r.Publisher.Others(ctx, w.Tenant, gateway, ingress, client.InNamespace(w.Tenant.Namespace))
}

// register makes the registry's domains the given ones, unless they are.
func (r *Reconciler) register(ctx context.Context, s *scope, hosts []string) error {
	if slices.Equal(hosts, s.observed.Domains) {
		return nil
	}
	if s.unrecorded {
		if s.db.RecordFirst(ctx, s.wanted.UID, s.wanted.Schema, s.version, s.digest, s.proof, hosts) {
			s.unrecorded, s.behind, s.observed.Domains = false, false, hosts
			return nil
		}
		if err := r.recordProof(ctx, s); err != nil {
			return err
		}
	}
	_, err := s.db.SetDomains(ctx, s.wanted.UID, s.wanted.Schema, hosts)
	if fault.ReasonOf(err) == postgres.ReasonDomainTaken {
		if err = r.releaseVanished(ctx, s, hosts); err == nil {
			_, err = s.db.SetDomains(ctx, s.wanted.UID, s.wanted.Schema, hosts)
		}
	}
	if err != nil {
		return err
	}
	s.observed.Domains = hosts
	return nil
}

// releaseVanished takes hosts, whose claims this tenant holds, off schemas in the registry whose Tenants are no
// more: who went without the operator, or with its cluster, lets go of nothing by itself. A Tenant that is there
// is asked for nothing; its own passes let go.
func (r *Reconciler) releaseVanished(ctx context.Context, s *scope, hosts []string) error {
	holders, err := s.db.DomainHolders(ctx, s.wanted.Schema, hosts)
	if err != nil {
		return err
	}
	for _, h := range holders {
		t := &v1alpha1.Tenant{}
		err := r.Live.Get(ctx, client.ObjectKey{Namespace: h.Namespace, Name: h.Name}, t)
		switch {
		case err == nil && string(t.UID) == h.UID:
			log.FromContext(ctx).Info("The registry has hosts for another Tenant", "hosts", h.Hosts, "holder", client.ObjectKeyFromObject(t))
			return fault.NewWaiting(v1alpha1.ReasonDomainTaken, 5*time.Second,
				"%s still belongs to another Tenant in the database's registry, whose next pass lets go of it; the operator's log names it", strings.Join(h.Hosts, ", "))
		case client.IgnoreNotFound(err) != nil:
			return fmt.Errorf("read Tenant %s/%s: %w", h.Namespace, h.Name, err)
		}
		if err := s.db.ReleaseDomains(ctx, h); err != nil {
			return err
		}
		r.Status.Recorder.Eventf(s.tenant, nil, corev1.EventTypeNormal, v1alpha1.ReasonDomainTaken, "Route",
			"%s belonged to a Tenant that is no more, and is this tenant's in the database's registry now", strings.Join(h.Hosts, ", "))
		log.FromContext(ctx).Info("Took hosts off the schema of a Tenant that is no more", "hosts", h.Hosts, "schema", h.Schema, "uid", h.UID)
	}
	return nil
}

func wantedRoutes(w routing.Wish) ([]gatewayv1.HTTPRoute, []networkingv1.Ingress) {
	switch {
	case w.Routing == nil:
		return nil, nil
	case w.Routing.Gateway != nil:
		return routing.HTTPRoutes(w), nil
	default:
		return nil, routing.Ingresses(w)
	}
}

// applyRoutes makes the routes the wanted ones, of one API and none of the other. The first error says
// whether the data plane accepted them, the second that they could not be written.
func (r *Reconciler) applyRoutes(ctx context.Context, w routing.Wish) (accepted, err error) {
	gateway, ingress := wantedRoutes(w)
	var problems []error
	if len(gateway)+len(ingress) > 0 {
		if err := r.checkBackends(ctx, w); err != nil {
			problems = append(problems, err)
		}
	}
	home := client.InNamespace(w.Tenant.Namespace)
	onGateway, err := r.Publisher.HTTPRoutes(ctx, w.Tenant, gateway, home)
	if err != nil {
		return nil, err
	}
	onIngress, err := r.Publisher.Ingresses(ctx, w.Tenant, ingress, home)
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

// checkBackends says why the data plane could not reach a backend, where this can be known without
// asking it: Ingress has no status for it.
func (r *Reconciler) checkBackends(ctx context.Context, w routing.Wish) error {
	backends := []v1alpha1.ServiceBackend{w.Backend()}
	for _, p := range w.Routing.PublicPaths {
		if p.Backend != nil && !w.Held {
			backends = append(backends, *p.Backend)
		}
	}
	for _, b := range backends {
		if err := r.checkBackend(ctx, w, b); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) checkBackend(ctx context.Context, w routing.Wish, backend v1alpha1.ServiceBackend) error {
	namespace := w.BackendNamespace(backend)
	whose := fmt.Sprintf("spec.routing of class %q", w.Tenant.Spec.ClassName)
	if w.Tenant.Spec.Backend != nil && backend == *w.Tenant.Spec.Backend {
		whose = "spec.backend"
	}
	if w.Routing.Ingress != nil && namespace != w.Tenant.Namespace {
		return fault.NewInvalid(v1alpha1.ReasonReferenceNotPermitted,
			"%s: the backend's namespace is %q, and an Ingress reaches Services of its own namespace only; use Gateway API or a Service in %q",
			whose, namespace, w.Tenant.Namespace)
	}
	if whose == "spec.backend" && namespace != w.Tenant.Namespace {
		return nil // What others have is not told to who writes Tenants. The Gateway asks for a ReferenceGrant first.
	}
	svc := &metav1.PartialObjectMetadata{}
	svc.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: backend.Name}, svc)
	if apierrors.IsNotFound(err) {
		return fault.NewWaiting(v1alpha1.ReasonBackendNotFound, time.Minute,
			"%s: Service %s/%s, the backend, does not exist", whose, namespace, backend.Name)
	}
	return err
}

// shadowed says that somebody else's route asks for one of the tenant's hosts. Its name is for those
// who may see it: `kubectl tenant explain-host` tells.
func (r *Reconciler) shadowed(ctx context.Context, w routing.Wish) (accepted, err error) {
	if len(w.Hosts) == 0 {
		return nil, nil
	}
	var gateways []client.ObjectKey
	if w.Routing.Gateway != nil {
		for _, p := range w.Routing.Gateway.ParentRefs {
			gateways = append(gateways, client.ObjectKey{Namespace: p.Namespace, Name: p.Name})
		}
		for _, ref := range w.Listeners {
			gateways = append(gateways, client.ObjectKey{Namespace: string(*ref.Namespace), Name: string(ref.Name)})
		}
	}
	shadows, err := r.Publisher.Shadows(ctx, w.Tenant, w.Hosts, gateways)
	if err != nil || len(shadows) == 0 {
		return nil, err
	}
	var hosts []string
	asks := "asks for this host too"
	if shadows[0].Bare {
		asks = "without hosts is on this host's listener"
	}
	for _, shadow := range shadows {
		hosts = union(hosts, slices.DeleteFunc(slices.Clone(w.Hosts), func(h string) bool {
			return h != shadow.Host && !domains.Covers(h, shadow.Host)
		}))
	}
	return publish.Refused(hosts, fault.NewWaiting(v1alpha1.ReasonHostShadowed, time.Minute,
		"%s: another %s %s, and the data plane may serve either; `kubectl tenant explain-host %s` names it. Delete it, and apply config/policy, which denies such routes",
		shadows[0].Host, shadows[0].Kind, asks, shadows[0].Host)), nil
}

// mark tells the state of each host that the tenant holds. One that did not answer and is served answers when
// reach says so.
func mark(s *scope, accepted error, state v1alpha1.DomainState) {
	refused, some := errors.AsType[*publish.NotAccepted](accepted)
	if some {
		s.refused = refused.Hosts
	} else if accepted != nil {
		s.refused = s.hosts
	}
	for _, d := range s.tenant.Status.Domains {
		waits := s.tls.waiting[d.Host]
		switch {
		case waits != nil:
			s.mark(d.Host, v1alpha1.DomainClaimed, waits.Message)
		case !slices.Contains(s.hosts, d.Host):
		case slices.Contains(s.refused, d.Host):
			s.mark(d.Host, v1alpha1.DomainClaimed, fault.Of(accepted, "").Message)
		case s.tls.doubtful[d.Host] != nil:
			s.mark(d.Host, v1alpha1.DomainClaimed, s.tls.doubtful[d.Host].Message)
		default:
			before, message := s.stateBefore(d.Host)
			if before != v1alpha1.DomainUnreachable || state != v1alpha1.DomainServing || !s.asks() {
				before, message = state, ""
			}
			s.mark(d.Host, before, message)
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
