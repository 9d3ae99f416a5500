package migrationset

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
// a scratch schema. Otherwise tenants wait at their version, on databases that cannot be migrated anyway.
func (r *Reconciler) nobodyToAsk(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set) error {
	tenants, err := r.fleet(ctx, ms)
	if err != nil {
		return err
	}
	all, err := r.databases(ctx, ms)
	if err != nil {
		return err
	}
	begun := ms.Status.Digest != "" || slices.ContainsFunc(tenants, func(t *v1alpha1.Tenant) bool { return t.Status.Version != "" })
	if len(all) > 0 && begun {
		return fault.NewWaiting(v1alpha1.ReasonDryRunPending, dryRunAgain,
			"Version %s waits for a database on which it can be tried: %s. To go on without, set spec.dryRun to Disabled", set.Latest(), whyNot(ms, set, all))
	}
	st := planned(ms, set)
	st.Result, st.Message = v1alpha1.DryRunSkipped, "No database uses the set yet"
	if len(all) > 0 {
		st.Message = conditions.ClipTo("No tenant has the set, and no database could be asked: "+whyNot(ms, set, all), maxVerdict)
	}
	ms.Status.DryRun = st
	return nil
}
