package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// resolveClass finds the class and asks whether the tenant's namespace may use it.
func (r *Reconciler) resolveClass(ctx context.Context, s *scope) error {
	name := s.tenant.Spec.ClassName
	class := &v1alpha1.TenantClass{}
	if err := r.Get(ctx, client.ObjectKey{Name: name}, class); err != nil {
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("read TenantClass %s: %w", name, err)
		}
		return fault.NewWaiting(v1alpha1.ReasonClassNotFound, recheck,
			"spec.className: TenantClass %q does not exist; create it, or see `kubectl get tenantclasses`", name)
	}
	allowed, err := r.allows(ctx, class.Spec.AllowedNamespaces, "", s.tenant.Namespace)
	if err != nil {
		return err
	}
	if !allowed {
		return fault.NewInvalid(v1alpha1.ReasonNamespaceNotAllowed,
			"spec.className: TenantClass %q does not allow namespace %q; ask for spec.allowedNamespaces of the class or use another class", name, s.tenant.Namespace)
	}
	s.class = class
	return nil
}

// allows says whether an object of the namespace home may be used from the namespace of a tenant.
// No word means: from its own namespace only. A cluster-wide object has no home.
func (r *Reconciler) allows(ctx context.Context, consent *v1alpha1.AllowedNamespaces, home, namespace string) (bool, error) {
	if consent == nil {
		return home == "" || home == namespace, nil
	}
	switch consent.From {
	case v1alpha1.NamespacesAll:
		return true, nil
	case v1alpha1.NamespacesSame:
		return home == namespace, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(consent.Selector)
	if err != nil {
		return false, fault.NewInvalid(v1alpha1.ReasonNamespaceNotAllowed, "allowedNamespaces.selector: %s", err)
	}
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
		return false, fmt.Errorf("read namespace %s: %w", namespace, err)
	}
	return selector.Matches(labels.Set(ns.Labels)), nil
}
