package scenarios

import (
	"fmt"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

// passes tells how many passes a controller of this process has made.
func passes(t *testing.T, controller string) (n float64) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "controller" && l.GetValue() == controller {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

// awaitTold waits until a host's claim shows what its Tenant shows by now: it would be written again else.
func awaitTold(t *testing.T, w *operator.World, tn *v1alpha1.Tenant, host string) {
	t.Helper()
	claim := &v1alpha1.DomainClaim{}
	claim.Name = domains.ClaimName(host)
	w.Await(t, operator.Bookkeeping, claim, func(bool) error {
		if err := w.Admin.Get(t.Context(), client.ObjectKeyFromObject(tn), tn); err != nil {
			return err
		}
		i := slices.IndexFunc(tn.Status.Domains, func(d v1alpha1.TenantDomainStatus) bool { return d.Claim == claim.Name })
		if i < 0 || tn.Status.Binding == nil {
			return fmt.Errorf("the Tenant shows %+v", tn.Status)
		}
		return differs("what the claim of "+host+" shows", &v1alpha1.ClaimServing{
			State: tn.Status.Domains[i].State, Database: tn.Status.Database, Schema: tn.Status.Schema,
			Version: tn.Status.Version, Secret: tn.Status.Binding.Name,
		}, claim.Status.Serving)
	})
}

// A user asks for a reconcile of everything, again and again: the annotation is the only write. This
// test does not run beside others: it counts what all controllers did.
func TestSteadyOperatorWritesNothing(t *testing.T) {
	w := servers.World(t)
	tenant := acme(t, w).(*v1alpha1.Tenant)
	second := w.Tenant("second", w.Host("second"))
	w.Create(t, second)
	w.AwaitReady(t, tenant, second, w.Set, w.Database, w.Class)
	// Counts of tenants come some seconds after the tenants.
	w.Await(t, operator.Eventually, w.Set, counts(w.Set, 2, 2, 0))
	w.Await(t, operator.Eventually, w.Class, func(bool) error { return differs("tenants of the class", int32(2), w.Class.Status.Tenants) })
	w.Await(t, operator.Eventually, w.Database, func(bool) error {
		return differs("tenants of the database", int32(2), w.Database.Status.Tenants)
	})
	// So do the statuses of claims, which wait for tenants that are made, and follow each of their steps.
	for _, tn := range []*v1alpha1.Tenant{tenant, second} {
		for _, host := range tn.Spec.Domains {
			awaitTold(t, w, tn, host)
		}
	}
	for _, tn := range []*v1alpha1.Tenant{tenant, second} { // Their news wait as well.
		operator.Poll(t, operator.Bookkeeping, func() error {
			return differs("events of "+tn.Name, true, events(t, w, tn)["Normal Ready Ready"] > 0)
		})
	}
	writes := w.Writes(t)
	for range 3 {
		for controller, obj := range map[string]object{
			"tenant": tenant, "tenantclass": w.Class, "tenantdatabase": w.Database, "migrationset": w.Set,
		} {
			before := passes(t, controller)
			w.Nudge(t, obj)
			operator.Poll(t, operator.Eventually, func() error {
				return differs("a pass of "+controller, true, passes(t, controller) > before)
			})
		}
	}
	if got := writes.API(t); len(got) > 0 {
		t.Errorf("the operator wrote to the API: %q", got)
	}
	if n, statements := writes.SQL(t); n > 0 {
		t.Errorf("%d transactions of the operator wrote; the server logged %q", n, statements)
	}
}
