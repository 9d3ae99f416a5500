package migrationset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

// askable groups the databases of the set that can be asked now by PostgreSQL's major version.
func (r *Reconciler) askable(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set) ([][]*v1alpha1.TenantDatabase, error) {
	all, err := r.databases(ctx, ms)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *v1alpha1.TenantDatabase) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	groups := map[string][]*v1alpha1.TenantDatabase{}
	var majors []string
	for _, tdb := range all {
		if unaskable(ms, set, tdb) != "" {
			continue
		}
		if groups[major(tdb)] == nil {
			majors = append(majors, major(tdb))
		}
		groups[major(tdb)] = append(groups[major(tdb)], tdb)
	}
	var asked [][]*v1alpha1.TenantDatabase
	for _, m := range majors[:min(len(majors), 8)] {
		asked = append(asked, groups[m])
	}
	return asked, nil
}

// unaskable is the condition for which a database cannot be asked, or "".
func unaskable(ms *v1alpha1.MigrationSet, set *migrations.Set, tdb *v1alpha1.TenantDatabase) string {
	switch {
	case !conditions.IsTrue(tdb, v1alpha1.ConditionReachable):
		return v1alpha1.ConditionReachable
	case !conditions.IsTrue(tdb, v1alpha1.ConditionBootstrapped):
		return v1alpha1.ConditionBootstrapped
	case tdb.Spec.Shared != nil && !shares(tdb, ms) && !conditions.Current(tdb, v1alpha1.ConditionSharedMigrated):
		return v1alpha1.ConditionSharedMigrated // migrations may refer to it
	case tdb.Spec.Shared != nil && !shares(tdb, ms) && set.NeedsShared(set.Latest()).Compare(migrations.Version(tdb.Status.SharedVersion)) > 0:
		return v1alpha1.ConditionSharedMigrated + " at version " + string(set.NeedsShared(set.Latest()))
	}
	return ""
}

func whyNot(ms *v1alpha1.MigrationSet, set *migrations.Set, all []*v1alpha1.TenantDatabase) string {
	if len(all) == 0 {
		return "No database uses the set yet"
	}
	var list []string
	for _, tdb := range all[:min(maxNames, len(all))] {
		list = append(list, fmt.Sprintf("%s of TenantDatabase %s is not True", unaskable(ms, set, tdb), client.ObjectKeyFromObject(tdb)))
	}
	return strings.Join(list, "; ")
}

func major(tdb *v1alpha1.TenantDatabase) string {
	text, _, _ := strings.Cut(tdb.Status.ServerVersion, ".")
	return text
}

// nobodyToAsk lets a version pass that no tenant can be harmed by: the first tenant of all is as empty as
// a scratch schema. It waits for databases that were made just now, since whoever applies all at once should
// hear of a bad version from the set and not from every tenant. Once tenants have the set, they wait at their
// version, on databases that cannot be migrated anyway.
func (r *Reconciler) nobodyToAsk(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set, published bool) error {
	all, err := r.databases(ctx, ms)
	if err != nil || published {
		return err
	}
	begun, err := r.begun(ctx, ms)
	if err != nil {
		return err
	}
	if begun = begun || ms.Status.Digest != ""; len(all) > 0 && begun {
		return fault.NewWaiting(v1alpha1.ReasonDryRunPending, dryRunAgain,
			"Version %s waits for a database on which it can be tried: %s. To go on without, set spec.dryRun to Disabled", set.Latest(), whyNot(ms, set, all))
	}
	if left := r.starting(ms, all, time.Now()); left > 0 && !begun {
		return fault.NewWaiting(v1alpha1.ReasonDryRunPending, min(left, dryRunAgain),
			"Version %s waits until a database has started on which it can be tried, for %s at most. %s", set.Latest(), r.Patience, whyNot(ms, set, all))
	}
	st := planned(ms, set)
	st.Result, st.Message = v1alpha1.DryRunSkipped, whyNot(ms, set, all)
	if len(all) > 0 {
		st.Message = conditions.ClipTo("No tenant has the set, and no database could be asked: "+st.Message, maxVerdict)
	}
	ms.Status.DryRun = st
	return nil
}

// begun says that a tenant has a version of the set.
func (r *Reconciler) begun(ctx context.Context, ms *v1alpha1.MigrationSet) (bool, error) {
	tenants, err := r.fleet(ctx, ms)
	return slices.ContainsFunc(tenants, func(t *v1alpha1.Tenant) bool { return t.Status.Version != "" }), err
}

// classWithin is for how long after a set was made nothing says that nobody uses it: its class may be in the same
// apply.
const classWithin = 3 * time.Second

// starting is for how long to wait for the youngest of the databases that may still be starting, or for the
// first one to be named.
func (r *Reconciler) starting(ms *v1alpha1.MigrationSet, all []*v1alpha1.TenantDatabase, now time.Time) (left time.Duration) {
	if len(all) == 0 {
		return min(r.Patience, classWithin) - now.Sub(ms.CreationTimestamp.Time)
	}
	for _, tdb := range all {
		if !conditions.IsTrue(tdb, v1alpha1.ConditionStalled) {
			left = max(left, r.Patience-now.Sub(tdb.CreationTimestamp.Time))
		}
	}
	return left
}
