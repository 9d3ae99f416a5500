package tenant

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// A Tenant that was begun may have been made on a database of which its status does not tell: the
// pass that made it may have ended before its status was written. While such a database does not
// answer, the tenant waits for it rather than get an empty schema on another one. Tenants that never
// came to a database need not wait; two things tell them from the others.

// recordPlace writes a place into the status before anything is made there. A tenant that begins with its own
// Secret needs no such write: a status that was never written says nothing about places, and the Secret does.
func (r *Reconciler) recordPlace(ctx context.Context, s *scope, tdb *v1alpha1.TenantDatabase) error {
	place := v1alpha1.NamespacedReference{Namespace: tdb.Namespace, Name: tdb.Name}
	if ref := s.base.Status.Database; ref != nil && *ref == place {
		return nil
	}
	recorded := s.base.DeepCopy()
	recorded.Status.Database = &place
	if err := r.Status.Patch(ctx, s.base, recorded); err != nil {
		return fmt.Errorf("record the tenant's place: %w", err)
	}
	s.base = recorded
	s.tenant.ResourceVersion = recorded.ResourceVersion
	return nil
}

// beginsWithSecret says that the pass makes the tenant's Secret before anything in a database: what keeps it from
// that has its place recorded then.
func beginsWithSecret(s *scope) bool {
	return s.fresh && !concluded(s.base) && s.classMode() == v1alpha1.LoginDedicated && wantedReader(s) == nil
}

// unmade says that nothing was made for the tenant on a database that its status does not name: an
// earlier pass wrote its status, with no schema in it, and there is no Secret either. Whoever may
// write statuses could take the schema out of one; the Secret contradicts him.
func (r *Reconciler) unmade(ctx context.Context, s *scope) (bool, error) {
	if !concluded(s.base) || s.base.Status.Schema != "" || s.base.Status.Binding != nil {
		return false, nil
	}
	secret, err := r.Logins.Meta(ctx, client.ObjectKey{Namespace: s.tenant.Namespace, Name: secretName(s.tenant)})
	return err == nil && secret.UID == "", err
}

// concluded says that a pass over the Tenant came to its end.
func concluded(t *v1alpha1.Tenant) bool { return len(t.Status.Conditions) > 0 }
