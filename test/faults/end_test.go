package faults

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// end is the state of one tenant when a rollout is over, told so that rollouts of different versions can
// be compared: versions as their distance from the newest.
type end struct {
	// Ledger and Effects list what is not there just once: the versions of the ledger, and those whose
	// effects are. Bumps is how many fewer effects the counter saw than there are.
	Ledger, Effects []string
	Bumps           int
	// Columns are the columns of note that are too many or too few for the version.
	Columns int
	// Registry and Status are how far behind both say the tenant is.
	Registry, Status string
	Ready, Migrated  string
}

// behind is the end of a tenant that stayed at the version before.
var behind = []string{"0 x0"}

// ends reads all tenants, from the database and from the API.
func (f *fleet) ends(t *testing.T) map[string]end {
	t.Helper()
	conn := operator.Hold(t, f.AdminDSN)
	registry := map[string]string{}
	rows, err := conn.Query(t.Context(), "SELECT name, version FROM tenantry.tenant WHERE namespace = $1", f.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	var name, version string
	if _, err := pgx.ForEachRow(rows, []any{&name, &version}, func() error { registry[name] = version; return nil }); err != nil {
		t.Fatal(err)
	}
	all := map[string]end{}
	for _, tenant := range f.list(t) {
		e, err := f.schemaEnd(t.Context(), conn, tenant.Status.Schema)
		if err != nil {
			t.Fatal(err)
		}
		e.Registry, e.Status = f.distance(registry[tenant.Name]), f.distance(tenant.Status.Version)
		e.Ready, e.Migrated = f.condition(&tenant, v1alpha1.ConditionReady), f.condition(&tenant, v1alpha1.ConditionMigrated)
		all[tenant.Name] = e
	}
	return all
}

func (f *fleet) schemaEnd(ctx context.Context, conn *pgx.Conn, schema string) (e end, err error) {
	var ledger, tally []int
	var counter, columns int
	err = conn.QueryRow(ctx, fmt.Sprintf(`SELECT
		(SELECT array_agg(version::int) FROM %[1]s.tenantry_migrations WHERE state = 'done'),
		(SELECT coalesce(array_agg(version), '{}') FROM %[1]s.tally),
		(SELECT sum(n) FROM %[1]s.counter),
		(SELECT count(*) FROM pg_attribute WHERE attrelid = '%[1]s.note'::regclass AND attname LIKE 'mood\_%%')`, schema)).
		Scan(&ledger, &tally, &counter, &columns)
	return end{
		Ledger: f.odd(ledger, 1), Effects: f.odd(tally, born+1), Bumps: len(tally) - counter, Columns: len(tally) - columns,
	}, err
}

// odd lists the versions that are not there just once.
func (f *fleet) odd(versions []int, first int) (odd []string) {
	times := map[int]int{}
	for _, v := range versions {
		times[v]++
	}
	for v := min(first, slices.Min(append(versions, first))); v <= max(f.version, slices.Max(append(versions, first))); v++ {
		if times[v] != 1 {
			odd = append(odd, fmt.Sprintf("%d x%d", f.version-v, times[v]))
		}
	}
	return odd
}

func (f *fleet) distance(version string) string {
	for d := range f.version {
		if version == fmt.Sprint(f.version-d) {
			return fmt.Sprint(d)
		}
	}
	return "at " + version
}

func (f *fleet) condition(tenant *v1alpha1.Tenant, name string) string {
	c := conditions.Get(tenant, name)
	if c == nil {
		return "none"
	}
	return f.neutral(fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message))
}

// neutral takes the version's number out of a text.
func (f *fleet) neutral(text string) string {
	return strings.NewReplacer(f.file(), "FILE", fmt.Sprintf("_%d", f.version), "_NEW",
		fmt.Sprintf("version %d", f.version), "version NEW", fmt.Sprintf("Version %d", f.version), "Version NEW",
		fmt.Sprintf("version %d", f.version-1), "version OLD").Replace(text)
}

// setEnd is what the set says when a rollout is over.
type setEnd struct {
	Rings                                            []string
	Progress, Position, Version, Previous, RolledOut string
	Tenants, Updated, Failed, Pending, Pinned, Spare int32
	Stops, Forgiven                                  int32
	Failures                                         []v1alpha1.FailedTenant
}

func (f *fleet) setEnd(t *testing.T) setEnd {
	t.Helper()
	f.Get(t, f.Set)
	st := f.Set.Status
	e := setEnd{
		Progress: st.Progress, Position: st.Rollout.Position, Version: f.distance(st.Version), Previous: f.distance(st.Previous.Version),
		Tenants: st.Tenants, Updated: st.UpdatedTenants, Failed: st.FailedTenants, Pending: st.PendingTenants, Pinned: st.PinnedTenants,
		Spare: *st.Rollout.FailuresAllowed - st.FailedTenants, Stops: st.Rollout.Stops, Forgiven: st.Rollout.Forgiven,
	}
	c := conditions.Get(f.Set, v1alpha1.ConditionRolledOut)
	e.RolledOut = f.neutral(fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message))
	for _, r := range st.Rollout.Rings {
		e.Rings = append(e.Rings, fmt.Sprintf("%s %s: %d tenants, %d updated, %d failed, %d pending", r.Name, r.State, r.Tenants, r.Updated, r.Failed, r.Pending))
	}
	for _, failure := range st.Failures {
		failure.Version, failure.Message = f.distance(failure.Version), f.neutral(failure.Message)
		e.Failures = append(e.Failures, failure)
	}
	slices.SortFunc(e.Failures, func(a, b v1alpha1.FailedTenant) int { return cmp.Compare(a.Name, b.Name) })
	return e
}
