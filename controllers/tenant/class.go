package tenant

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/consent"
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
	allowed, err := consent.Allows(ctx, r, class.Spec.AllowedNamespaces, "", s.tenant.Namespace)
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
