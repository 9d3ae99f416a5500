package tenantclass

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
)

// isLeft : the class wants no login there; of a database that it left, when the last tenant has left it too.
func (l *login) isLeft(ctx context.Context, ref v1alpha1.NamespacedReference) (bool, error) {
	if mode(l.class) == v1alpha1.LoginDedicated || slices.Contains(l.class.Spec.Databases, ref) {
		return mode(l.class) == v1alpha1.LoginDedicated, nil
	}
	all, err := l.db.ClassLogins(ctx, string(l.class.UID))
	if err != nil {
		return false, err
	}
	n, err := l.tenantsOf(ctx, all)
	return n == 0, err
}

// tenantsOf counts the class's Tenants for whom its logins can act. Of a class that is being deleted none is left.
func (l *login) tenantsOf(ctx context.Context, all []postgres.ClassLoginState) (int, error) {
	var names []string
	for _, s := range all {
		if s.Tenants > 0 {
			names = append(names, s.First)
		}
	}
	if len(names) == 0 || !l.class.DeletionTimestamp.IsZero() {
		return 0, nil
	}
	tenants, err := l.db.ClassTenants(ctx, names...)
	if err != nil {
		return 0, err
	}
	return l.r.living(ctx, l.class, tenants)
}

// living counts the Tenants of a class that are there with the UID that the registry has of them. Who went without the
// operator, or with its cluster, takes itself out of no login, and lets none in: nobody waits for it.
func (r *Reconciler) living(ctx context.Context, class *v1alpha1.TenantClass, tenants []postgres.ClassTenant) (n int, err error) {
	if len(tenants) == 0 {
		return 0, nil
	}
	var list v1alpha1.TenantList
	if err := r.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list Tenants: %w", err)
	}
	classes := map[string]string{}
	for i := range list.Items {
		classes[string(list.Items[i].UID)] = list.Items[i].Spec.ClassName
	}
	for _, t := range tenants {
		className, known := classes[t.UID]
		if !known {
			if className, err = r.classOf(ctx, class, t); err != nil {
				return 0, err
			}
		}
		if className == class.Name {
			n++
		}
	}
	return n, nil
}

// classOf asks the API server itself for the class of a Tenant that the cache does not have, "" where it is no more.
// One where the operator does not look is waited for: it may be there.
func (r *Reconciler) classOf(ctx context.Context, class *v1alpha1.TenantClass, t postgres.ClassTenant) (string, error) {
	if !r.Namespaces.Has(t.Namespace) {
		return class.Name, nil
	}
	tenant := &v1alpha1.Tenant{}
	switch err := r.Logins.Live.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Name}, tenant); {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read Tenant %s/%s: %w", t.Namespace, t.Name, err)
	case string(tenant.UID) != t.UID:
		return "", nil
	}
	return tenant.Spec.ClassName, nil
}

// leaving says which shared logins go, and what for they wait.
func leaving(class *v1alpha1.TenantClass) string {
	var b strings.Builder
	for _, l := range class.Status.Logins {
		ref := v1alpha1.NamespacedReference{Namespace: l.Namespace, Name: l.Name}
		if mode(class) == v1alpha1.LoginDedicated || !slices.Contains(class.Spec.Databases, ref) {
			fmt.Fprintf(&b, "; the shared login on TenantDatabase %s/%s works until its last Tenant has left it", l.Namespace, l.Name)
		}
	}
	return b.String()
}
