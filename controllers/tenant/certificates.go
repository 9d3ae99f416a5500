package tenant

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/listeners"
	"github.com/tenantry/tenantry/internal/routing"
)

// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=listenersets,verbs=get;list;watch;create;update;delete

// secured is what TLS means for the hosts of one pass.
type secured struct {
	// listeners and secrets are those of hosts that have their own: where they are served.
	listeners map[string]gatewayv1.ParentReference
	secrets   map[string]string
	// waiting are hosts that cannot be served yet, and doubtful those that are routed though a client
	// may refuse the certificate, or the class's Gateway has a fault; both with what is wrong.
	waiting, doubtful map[string]*fault.Fault
}

// secure finds out where the tenant's hosts are served by TLS. It orders certificates for custom domains
// if the class says so: they are in s.hosts, so control of them is proved. A host that has no certificate
// or no listener yet is taken from s.hosts: nobody is sent to where no answer is.
func (r *Reconciler) secure(ctx context.Context, s *scope) error {
	s.tls = secured{
		listeners: map[string]gatewayv1.ParentReference{}, secrets: map[string]string{},
		waiting: map[string]*fault.Fault{}, doubtful: map[string]*fault.Fault{},
	}
	tls := s.tlsOfClass()
	if tls == nil || tls.Certificates == v1alpha1.CertificatesExternal {
		s.tellCertificates(nil)
		r.fit(ctx, s)
		return nil
	}
	reports := map[string]*v1alpha1.CertificateStatus{}
	own := s.ownHosts()
	if err := r.secureOwn(ctx, s, own, reports); err != nil {
		return err
	}
	for _, host := range s.hosts {
		if slices.Contains(own, host) {
			continue
		}
		report, err := r.sharedReport(ctx, s, host)
		if err != nil {
			return err
		}
		if reports[host] = report; report != nil && report.State == v1alpha1.CertificateFailed {
			s.tls.doubtful[host] = fault.NewWaiting(v1alpha1.ReasonCertificateNotReady, time.Minute, "%s: %s", host, report.Message)
		}
	}
	s.tellCertificates(reports)
	s.hosts = slices.DeleteFunc(slices.Clone(s.hosts), func(h string) bool { return s.tls.waiting[h] != nil })
	if primary := s.wish().Primary(); primary != "" {
		s.tenant.Status.PrimaryDomain = primary
	}
	return nil
}

// secureOwn orders certificates for hosts and finds their listeners. Where nothing can be had of the class's
// Gateway, those that are served stay served, and the others wait.
func (r *Reconciler) secureOwn(ctx context.Context, s *scope, hosts []string, reports map[string]*v1alpha1.CertificateStatus) error {
	if len(hosts) == 0 {
		return nil
	}
	place, err := r.placeOf(ctx, s)
	if fault.ReasonOf(err) != "" {
		hosts, err = r.carried(ctx, s, hosts, fault.Of(err, ""))
	}
	if err != nil {
		return err
	}
	ready, err := r.orderAll(ctx, s, hosts, reports)
	if err != nil {
		return err
	}
	if place == nil {
		for _, h := range ready {
			s.tls.secrets[h.Host] = h.Secret
		}
		return nil
	}
	return r.attach(ctx, s, *place, ready)
}

// carried returns those of the hosts that have a listener. What is wrong is said of all.
func (r *Reconciler) carried(ctx context.Context, s *scope, hosts []string, wrong *fault.Fault) (carried []string, err error) {
	found, err := r.Listeners.Find(ctx, s.class.Name, s.certificateNamespace(), s.tenant)
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		if _, ok := found.Carrying(s.ownListener(h)); ok {
			carried = append(carried, h)
			s.tls.doubtful[h] = wrong
		} else {
			s.tls.waiting[h] = wrong
		}
	}
	return carried, nil
}

// placeOf returns where the listeners of custom domains belong; nil for Ingress, which has none.
func (r *Reconciler) placeOf(ctx context.Context, s *scope) (*listeners.Place, error) {
	if s.class.Spec.Routing.Gateway == nil {
		return nil, nil
	}
	place, err := r.Listeners.Of(ctx, s.class)
	return &place, err
}

// ordering is the longest that the orders of one pass may take together: a webhook that does not answer is waited
// for by every request, and the routes come after the orders.
const ordering = 20 * time.Second

// orderAll orders the certificates of hosts, and returns the listeners of those whose certificates are there.
func (r *Reconciler) orderAll(ctx context.Context, s *scope, hosts []string, reports map[string]*v1alpha1.CertificateStatus) (ready []routing.HostListener, err error) {
	limited, cancel := context.WithTimeout(ctx, ordering)
	defer cancel()
	for _, host := range hosts {
		wanted := certificates.Order{Host: host, Tenant: s.tenant, Class: s.class, Namespace: s.certificateNamespace()}
		cert, err := r.Certificates.Ensure(limited, wanted)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil && fault.ReasonOf(err) == "" {
			return nil, err
		}
		issued, err := r.issued(ctx, s, wanted, cert, fault.Of(err, ""), reports)
		if err != nil {
			return nil, err
		}
		if issued {
			ready = append(ready, s.ownListener(host))
		}
	}
	return ready, nil
}

// issued says whether a host's certificate is there. What is wrong with its order takes no host down whose key is.
func (r *Reconciler) issued(ctx context.Context, s *scope, order certificates.Order, cert *certificates.Certificate, wrong *fault.Fault,
	reports map[string]*v1alpha1.CertificateStatus,
) (issued bool, err error) {
	host, report := order.Host, v1alpha1.CertificateStatus{State: v1alpha1.CertificatePending}
	if cert != nil {
		report = cert.Report()
		issued, err = r.Certificates.Issued(ctx, cert)
	} else if errors.Unwrap(wrong) != nil { // Somebody deleted it, and the API server does not let it be made again.
		issued, err = r.Certificates.Kept(ctx, order)
	}
	reports[host] = &report
	if wrong != nil {
		s.lookAgain(wrong.After)
	}
	switch {
	case err != nil:
		return false, err
	case !issued && wrong != nil:
		s.tls.waiting[host] = wrong
	case !issued:
		s.tls.waiting[host] = notGood(host, "is not there yet", report)
	case wrong != nil:
		s.tls.doubtful[host] = wrong
	case !cert.Good(s.started):
		s.tls.doubtful[host] = notGood(host, "is no longer good", report)
	}
	return issued, nil
}

func notGood(host, why string, report v1alpha1.CertificateStatus) *fault.Fault {
	return fault.NewWaiting(v1alpha1.ReasonCertificateNotReady, 5*time.Minute, "%s: its certificate %s: %s", host, why, report.Message)
}

// fit finds the hosts that no listener of the class's Gateways is for. The data plane accepts a route if any of its
// hosts fits one, so that its word is not enough. Their routes stay: a listener may be on its way.
func (r *Reconciler) fit(ctx context.Context, s *scope) {
	if s.class.Spec.Routing == nil || s.class.Spec.Routing.Gateway == nil {
		return
	}
	for _, host := range r.Listeners.Unfit(ctx, s.class.Spec.Routing.Gateway.ParentRefs, s.hosts) {
		s.tls.doubtful[host] = fault.NewWaiting(v1alpha1.ReasonListenerNotFound, time.Minute,
			"%s: no listener to which spec.routing.gateway of class %q leads is for this host; add one, or widen its hostname", host, s.class.Name)
	}
}

// secureAway is secure for a tenant that is to be off its backend, which nothing that a holding backend lacks may keep
// from being done: then that one answers where the hosts are served already.
func (r *Reconciler) secureAway(ctx context.Context, s *scope) error {
	hosts := slices.Clone(s.hosts) // Looking for listeners changes the list in place.
	err := r.secure(ctx, s)
	if err == nil || apierrors.IsConflict(err) {
		return err
	}
	log.FromContext(ctx).Error(err, "Cannot look after listeners and certificates; takes the tenant off its backend without")
	s.lookAgain(awayAgain)
	s.hosts = hosts
	if err := r.recallListeners(ctx, s); err != nil {
		return err
	}
	own := s.ownHosts()
	s.hosts = slices.DeleteFunc(s.hosts, func(h string) bool {
		_, on := s.tls.listeners[h]
		return slices.Contains(own, h) && !on && s.tls.secrets[h] == ""
	})
	return nil
}

// awayAgain is when to look again for what a suspended tenant's hosts lacked.
const awayAgain = 30 * time.Second

// attach finds the listener of each host whose certificate is there. A ListenerSet is the tenant's own;
// places in shards are given out by the controller of classes.
func (r *Reconciler) attach(ctx context.Context, s *scope, place listeners.Place, hosts []routing.HostListener) error {
	var wrong *fault.Fault
	if place.Sets {
		if err := r.Listeners.AddToSet(ctx, place, s.tenant, hosts); fault.ReasonOf(err) != "" {
			wrong = fault.Of(err, "")
		} else if err != nil {
			return err
		}
	}
	found, err := r.Listeners.Find(ctx, s.class.Name, s.certificateNamespace(), s.tenant)
	if err != nil {
		return err
	}
	for _, h := range hosts {
		ref, ok := found.Carrying(h)
		switch {
		case ok && wrong != nil:
			s.tls.doubtful[h.Host] = wrong
		case ok:
		case wrong != nil:
			s.tls.waiting[h.Host] = wrong
		default:
			s.tls.waiting[h.Host] = fault.NewWaiting(v1alpha1.ReasonRouteNotAccepted, 15*time.Second,
				"%s: its certificate is there, and it waits for its listener; the status of class %q says what keeps it, if anything", h.Host, s.class.Name)
		}
		if ok {
			s.tls.listeners[h.Host] = ref
		}
	}
	return nil
}

// sharedReport says whether the class's certificate is for a host; nil if nobody can tell.
func (r *Reconciler) sharedReport(ctx context.Context, s *scope, host string) (*v1alpha1.CertificateStatus, error) {
	if on := s.class.Spec.Routing.Gateway; on != nil {
		report, err := r.Listeners.For(ctx, on.ParentRefs, host)
		return &report, err
	}
	name := s.class.Spec.Routing.TLS.SecretName
	if name == "" {
		return nil, nil
	}
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.Get(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return &v1alpha1.CertificateStatus{
			State:   v1alpha1.CertificateFailed,
			Message: "Secret " + name + ", which spec.routing.tls.secretName of the class names, does not exist in namespace " + s.tenant.Namespace,
		}, nil
	}
	return &v1alpha1.CertificateStatus{State: v1alpha1.CertificateReady}, err
}

// unsecure takes away what TLS needed for hosts that are served no longer: first the listener, then
// certificate and key. Their routes and claims are gone.
func (r *Reconciler) unsecure(ctx context.Context, s *scope) error {
	all, err := r.Certificates.OfTenant(ctx, s.tenant)
	if err != nil {
		return err
	}
	var wanted []client.ObjectKey
	for _, host := range s.ownHosts() {
		wanted = append(wanted, client.ObjectKey{Namespace: s.certificateNamespace(), Name: certificates.Name(host, s.tenant.UID)})
	}
	extra := slices.DeleteFunc(all, func(c certificates.Certificate) bool { return slices.Contains(wanted, client.ObjectKeyFromObject(&c)) })
	left, err := r.takeBack(ctx, s.tenant, extra)
	if left > 0 {
		s.lookAgain(listenerGoes)
	}
	return err
}

// listenerGoes is when to look again whether a listener has gone. Its end is a change of the Gateway,
// but no watch leads from there to a tenant that names the host no more.
const listenerGoes = 5 * time.Second

// takeBack returns how many certificates still wait for their listener to go.
func (r *Reconciler) takeBack(ctx context.Context, t *v1alpha1.Tenant, certs []certificates.Certificate) (left int, err error) {
	for i := range certs {
		c := &certs[i]
		if err := r.Listeners.TrimSet(ctx, c.Namespace, t, func(secret string) bool { return secret != c.Name }); err != nil {
			return left, err
		}
		found, err := r.Listeners.Find(ctx, t.Spec.ClassName, c.Namespace, t)
		if err != nil {
			return left, err
		}
		if found.Names(c.Name) {
			left++
			err = r.Certificates.Release(ctx, c)
		} else {
			err = r.Certificates.Remove(ctx, c)
		}
		if err != nil {
			return left, err
		}
	}
	return left, nil
}
