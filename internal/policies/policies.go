// Package policies asks the cluster what a class's domain policy says about a host, for whoever has to
// know: the controller of Tenants before it claims, that of DomainClaims before it asks DNS, and
// people who want an explanation.
package policies

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/consent"
	"github.com/tenantry/tenantry/internal/domains"
)

// Judge answers by what its reader reads.
type Judge struct{ client.Reader }

// Judge says whether a tenant of a class may have a host, and on what proof.
func (j Judge) Judge(ctx context.Context, class *v1alpha1.TenantClass, tenant client.ObjectKey, host string) (domains.Verdict, error) {
	var classes v1alpha1.TenantClassList
	if err := j.List(ctx, &classes, client.UnsafeDisableDeepCopy); err != nil {
		return domains.Verdict{}, fmt.Errorf("list TenantClasses: %w", err)
	}
	q := domains.Question{Policy: class.Spec.Domains, Tenant: tenant, Host: host}
	q.Allows = func(allowed *v1alpha1.AllowedNamespaces) (bool, error) {
		return consent.Allows(ctx, j, allowed, "", tenant.Namespace)
	}
	for i := range classes.Items {
		if policy := classes.Items[i].Spec.Domains; policy != nil {
			for _, p := range policy.Platform {
				q.Suffixes = append(q.Suffixes, p.DomainSuffix)
			}
		}
	}
	return domains.Judge(q)
}

// Challenge returns the record that proves a tenant's control of a host. The cluster is known by the UID
// of its namespace kube-system, which lives as long as it does.
func (j Judge) Challenge(ctx context.Context, tenant client.ObjectKey, host string) (v1alpha1.DNSRecord, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := j.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, ns); err != nil {
		return v1alpha1.DNSRecord{}, fmt.Errorf("read namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return domains.Challenge(ns.UID, tenant, host), nil
}
