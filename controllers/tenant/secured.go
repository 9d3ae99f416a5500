package tenant

import (
	"context"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

func (s *scope) tlsOfClass() *v1alpha1.RoutingTLS {
	if s.class.Spec.Routing == nil {
		return nil
	}
	return s.class.Spec.Routing.TLS
}

// ownHosts are the custom domains that should have certificates of their own.
func (s *scope) ownHosts() []string {
	if !routing.OrdersCertificates(s.class.Spec.Routing) {
		return nil
	}
	return s.custom
}

// certificateNamespace is where those certificates are: with Gateway API, where tenants cannot read their
// keys.
func (s *scope) certificateNamespace() string {
	if on := s.class.Spec.Routing.Gateway; on != nil {
		return on.ParentRefs[0].Namespace
	}
	return s.tenant.Namespace
}

func (s *scope) ownListener(host string) routing.HostListener {
	return routing.HostListener{Host: host, Namespace: s.tenant.Namespace, Secret: certificates.Name(host, s.tenant.UID)}
}

// tellCertificates writes the state of each host's certificate.
func (s *scope) tellCertificates(reports map[string]*v1alpha1.CertificateStatus) {
	for i := range s.tenant.Status.Domains {
		s.tenant.Status.Domains[i].Certificate = reports[s.tenant.Status.Domains[i].Host]
	}
}

// recallCertificates keeps what is known of certificates until route has looked at them again.
func (s *scope) recallCertificates() {
	for i := range s.tenant.Status.Domains {
		d := &s.tenant.Status.Domains[i]
		at := slices.IndexFunc(s.base.Status.Domains, func(was v1alpha1.TenantDomainStatus) bool { return was.Host == d.Host })
		if at >= 0 && slices.Contains(s.hosts, d.Host) {
			d.Certificate = s.base.Status.Domains[at].Certificate.DeepCopy()
		}
	}
}

// insecure lists what keeps hosts from being served as they should, in their order; what is the same for
// many, once.
func (s *scope) insecure() (faults []*fault.Fault) {
	for _, d := range s.tenant.Status.Domains {
		for _, f := range []*fault.Fault{s.tls.waiting[d.Host], s.tls.doubtful[d.Host]} {
			if f != nil && !slices.Contains(faults, f) {
				faults = append(faults, f)
			}
		}
	}
	return faults
}

// recallListeners finds where the hosts of a tenant that is being deleted are served, without ordering
// anything for them.
func (r *Reconciler) recallListeners(ctx context.Context, s *scope) error {
	if !routing.OrdersCertificates(s.class.Spec.Routing) {
		return nil
	}
	certs, err := r.Certificates.OfTenant(ctx, s.tenant)
	if err != nil {
		return err
	}
	s.tls.listeners, s.tls.secrets = map[string]gatewayv1.ParentReference{}, map[string]string{}
	found, err := r.Listeners.Find(ctx, s.class.Name, s.certificateNamespace(), s.tenant)
	if err != nil {
		return err
	}
	for i := range certs {
		host := certs[i].Host()
		if s.class.Spec.Routing.Gateway == nil {
			s.tls.secrets[host] = certs[i].Name
		} else if ref, ok := found.Carrying(s.ownListener(host)); ok {
			s.tls.listeners[host] = ref
		} else {
			s.hosts = slices.DeleteFunc(s.hosts, func(h string) bool { return h == host })
		}
	}
	return nil
}

// removeCertificates returns nil only when the API server has no certificate of the tenant any more, nor
// any listener that names one. Where the class is gone, nobody is left who would take listeners away.
func (r *Reconciler) removeCertificates(ctx context.Context, s *scope) error {
	certs, err := r.Certificates.LeftOf(ctx, s.tenant)
	if err != nil {
		return err
	}
	class := &v1alpha1.TenantClass{}
	err = r.Get(ctx, client.ObjectKey{Name: s.tenant.Spec.ClassName}, class)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err == nil && routing.OrdersCertificates(class.Spec.Routing) && class.Spec.Routing.Gateway != nil {
		// cert-manager and its Certificates may be gone, and the ListenerSet be there.
		if err := r.Listeners.TrimSet(ctx, class.Spec.Routing.Gateway.ParentRefs[0].Namespace, s.tenant, nothing); err != nil {
			return err
		}
	}
	if err != nil {
		return r.removeAll(ctx, s.tenant, certs)
	}
	left, err := r.takeBack(ctx, s.tenant, certs)
	if err != nil || left == 0 {
		return err
	}
	return fault.NewWaiting(v1alpha1.ReasonDeleting, time.Second, "Taking away the listeners of %d domains; the status of class %q says what keeps them, if anything", left, class.Name)
}

func nothing(string) bool { return false }

func (r *Reconciler) removeAll(ctx context.Context, t *v1alpha1.Tenant, certs []certificates.Certificate) error {
	for i := range certs {
		if err := r.Listeners.TrimSet(ctx, certs[i].Namespace, t, nothing); err != nil {
			return err
		}
		if err := r.Certificates.Remove(ctx, &certs[i]); err != nil {
			return err
		}
	}
	return nil
}
