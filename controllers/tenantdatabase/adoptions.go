package tenantdatabase

import (
	"context"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// maxWaiting is how many schemas that still wait for their Tenants are named.
const maxWaiting = 10

// countAdoptions says how many of the schemas that the spec lists belong to their Tenants by the registry's word.
func (r *Reconciler) countAdoptions(ctx context.Context, s *scope) error {
	listed := s.tdb.Spec.Adoptions
	if len(listed) == 0 {
		s.tdb.Status.Adoptions = nil
		return nil
	}
	schemas := make([]string, len(listed))
	for i := range listed {
		schemas[i] = listed[i].SchemaName
	}
	holders, err := s.db.Holders(ctx, schemas)
	if err != nil {
		return err
	}
	status := &v1alpha1.AdoptionStatus{Listed: int32(len(listed))} //nolint:gosec // bounded by the API
	for _, a := range listed {
		if h, known := holders[a.SchemaName]; known && h.Namespace == a.TenantRef.Namespace && h.Name == a.TenantRef.Name {
			status.Adopted++
		} else if len(status.Waiting) < maxWaiting {
			status.Waiting = append(status.Waiting, a.SchemaName)
		}
	}
	s.tdb.Status.Adoptions = status
	return nil
}
