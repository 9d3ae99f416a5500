package tenant

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/quotas"
)

// A schema that is larger than its class allows is said in a condition of its own: the customer works, so
// the tenant stays Ready. Where the class says so, its login can add no more rows until the schema is below
// nine tenths of the bound, so that it does not come and go at each row.

// giveBackAt is the share of the bound below which INSERT comes back, in percent.
const giveBackAt = 90

func (r *Reconciler) quota(ctx context.Context, s *scope) error {
	if !s.observed.Registered || s.observed.OwnerUID != s.wanted.UID {
		return nil
	}
	err := r.keepQuota(ctx, s)
	if f := fault.Of(err, v1alpha1.ReasonRetrying); f != nil {
		conditions.False(s.tenant, v1alpha1.ConditionWithinQuota, f.Reason, f.Message)
	}
	return err
}

func (r *Reconciler) keepQuota(ctx context.Context, s *scope) error {
	var policy *v1alpha1.SchemaQuota
	if l := s.class.Spec.Limits; l != nil {
		policy = l.Schema
	}
	if policy == nil || policy.Size == nil {
		return r.withoutQuota(ctx, s)
	}
	limit := policy.Size.Value()
	below := limit / 100 * giveBackAt
	sample := r.Quotas.Size(quotas.Schema{
		Database: s.tdb.UID, Name: s.wanted.Schema, Tenant: client.ObjectKeyFromObject(s.tenant),
	}, s.db, limit+1, below)
	if sample.Missed != "" || !sample.Measured {
		unmeasured(s, sample)
		return nil
	}
	size := sample.Bytes
	if policy.WhenExceeded == v1alpha1.QuotaRevokeInsert && size >= below {
		revoked, err := r.holdInserts(ctx, s, size > limit)
		if err != nil {
			return err
		}
		if revoked {
			conditions.False(s.tenant, v1alpha1.ConditionWithinQuota, v1alpha1.ReasonInsertRevoked, fmt.Sprintf(
				"Schema %s takes more than the class's limits.schema.size of %s, or did and is not below %d %% of it yet; its login can add no rows. Delete rows and vacuum, or raise the size",
				s.wanted.Schema, policy.Size, giveBackAt))
			return nil
		}
	} else if err := r.giveBack(ctx, s); err != nil {
		return err
	}
	if size > limit {
		conditions.False(s.tenant, v1alpha1.ConditionWithinQuota, v1alpha1.ReasonQuotaExceeded, fmt.Sprintf(
			"Schema %s takes more than the class's limits.schema.size of %s. Delete rows and vacuum, or raise the size", s.wanted.Schema, policy.Size))
		return nil
	}
	conditions.True(s.tenant, v1alpha1.ConditionWithinQuota, v1alpha1.ReasonSucceeded,
		fmt.Sprintf("Schema %s takes no more than %s", s.wanted.Schema, policy.Size))
	return nil
}

// unmeasured says that nobody knows the size. That INSERT was taken is known all the same, and stays so until
// the schema is seen to be smaller.
func unmeasured(s *scope, sample quotas.Sample) {
	c := conditions.Get(s.tenant, v1alpha1.ConditionWithinQuota)
	switch {
	case c != nil && c.Reason == v1alpha1.ReasonInsertRevoked:
	case sample.Missed != "":
		conditions.Unknown(s.tenant, v1alpha1.ConditionWithinQuota, v1alpha1.ReasonNotMeasured, fmt.Sprintf(
			"Schema %s could not be measured the last times: %s", s.wanted.Schema, sample.Missed))
	case c == nil:
		conditions.Unknown(s.tenant, v1alpha1.ConditionWithinQuota, v1alpha1.ReasonPending, "The schema was not measured yet")
	}
}

// holdInserts takes INSERT from a schema that is too large, and from tables that came to one that was. It
// says whether it is taken.
func (r *Reconciler) holdInserts(ctx context.Context, s *scope, tooLarge bool) (bool, error) {
	_, revoked, err := s.db.InsertRevoked(ctx, s.wanted.Schema)
	if err != nil || !revoked && !tooLarge {
		return revoked, err
	}
	// Whatever becomes of the status that tells of it, somebody has to ask whether to give it back.
	r.inserts.Delete(s.tenant.UID)
	_, err = s.db.RevokeInsert(ctx, s.wanted.UID, s.wanted.Schema)
	return true, err
}

// giveBack asks the registry only where something says that there may be something to give back.
func (r *Reconciler) giveBack(ctx context.Context, s *scope) error {
	c := conditions.Get(s.tenant, v1alpha1.ConditionWithinQuota)
	revoked := c != nil && c.Reason == v1alpha1.ReasonInsertRevoked
	if _, asked := r.inserts.Load(s.tenant.UID); asked && !revoked {
		return nil
	}
	var err error
	if !revoked { // After a restart all tenants share one question, and few have another.
		revoked, err = s.db.EverRevoked(ctx, s.wanted.Schema, r.RecallWithin)
	}
	if err == nil && revoked {
		_, revoked, err = s.db.InsertRevoked(ctx, s.wanted.Schema)
	}
	if err == nil && revoked {
		_, err = s.db.RestoreInsert(ctx, s.wanted.UID, s.wanted.Schema)
	}
	if err == nil {
		r.inserts.Store(s.tenant.UID, true)
	}
	return err
}

func (r *Reconciler) withoutQuota(ctx context.Context, s *scope) error {
	if err := r.giveBack(ctx, s); err != nil {
		return err
	}
	conditions.Remove(s.tenant, v1alpha1.ConditionWithinQuota)
	return nil
}

// excuse takes from what a probe found what the quota took from the login.
func (r *Reconciler) excuse(ctx context.Context, s *scope, result *postgres.ProbeResult) error {
	if len(result.LackingInsert) == 0 {
		return nil
	}
	tables, _, err := s.db.InsertRevoked(ctx, s.wanted.Schema)
	result.LackingInsert = slices.DeleteFunc(result.LackingInsert, func(t string) bool { return slices.Contains(tables, t) })
	return err
}
