package tenant

import (
	"context"
	"slices"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
)

// namesake returns the database that keeps the data of an earlier Tenant of this name: a Tenant
// that comes back must meet them, not an empty schema on another database of its class. It must wait for
// a database that keeps them and cannot be used now; whoever is no namesake does not wait for it. For one of
// which nothing is known yet everybody waits who has no place: after the loss of a cluster it may be the one
// with the data.
func (r *Reconciler) namesake(ctx context.Context, s *scope) (*v1alpha1.TenantDatabase, error) {
	if len(s.class.Spec.Databases) < 2 {
		return nil, nil
	}
	for _, ref := range s.class.Spec.Databases {
		tdb, err := r.database(ctx, ref)
		if err != nil {
			return nil, err
		}
		if why := unknown(tdb); why != "" {
			return nil, fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, time.Minute,
				"Nobody knows yet whether TenantDatabase %s/%s keeps data of an earlier Tenant of this name: %s. Mend that, or take it out of spec.databases of class %q",
				ref.Namespace, ref.Name, why, s.class.Name)
		}
		found, err := r.keepsName(ctx, s, tdb)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		return tdb, r.mustFit(ctx, s, ref, tdb, "Data of an earlier Tenant of this name are kept, but ")
	}
	return nil, nil
}

// unknown says why nobody can know what a database keeps, or "".
func unknown(tdb *v1alpha1.TenantDatabase) string {
	switch {
	case tdb == nil:
		return "it does not exist"
	case tdb.Status.Identity != nil:
		return ""
	case conditions.Get(tdb, v1alpha1.ConditionReady) == nil:
		return "it was not looked at yet"
	}
	return "it was never Ready" + because(tdb)
}

// keepsName asks the registry, or the database's status where the registry cannot be asked.
func (r *Reconciler) keepsName(ctx context.Context, s *scope, tdb *v1alpha1.TenantDatabase) (bool, error) {
	away := reachable(tdb)
	if away == nil {
		db, err := r.Pools.Get(ctx, tdb)
		if err == nil {
			var found bool
			if found, err = db.KnowsName(ctx, s.tenant.Namespace, s.tenant.Name); err == nil {
				return found, nil
			}
		}
		if fault.ReasonOf(err) == "" {
			return false, err
		}
		away = err
	}
	kept := tdb.Status.Retained
	listed := slices.ContainsFunc(kept, func(k v1alpha1.RetainedSchema) bool {
		return k.Namespace == s.tenant.Namespace && k.Name == s.tenant.Name
	})
	switch {
	case listed:
		return false, fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, time.Minute,
			"TenantDatabase %s/%s keeps data of an earlier Tenant of this name and cannot be used now: %s", tdb.Namespace, tdb.Name, fault.Of(away, "").Message)
	case int(tdb.Status.RetainedTenants) > len(kept):
		return false, fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, time.Minute,
			"TenantDatabase %s/%s keeps more schemas of deleted Tenants than its status lists, perhaps one of this name, and cannot be used now: %s",
			tdb.Namespace, tdb.Name, fault.Of(away, "").Message)
	}
	return false, nil
}
