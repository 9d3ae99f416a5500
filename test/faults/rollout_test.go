package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// How large the fleet is, how often the operator is killed, and by which seed.
const (
	tenantsVariable = "TENANTRY_FLEET_TENANTS"
	killsVariable   = "TENANTRY_FLEET_KILLS"
	seedVariable    = "TENANTRY_FLEET_SEED"
)

// The same faults are planted into three rollouts over one fleet. The first runs as it is. The operator is
// killed again and again in the second, which has to end just as the first. The third may lose one
// tenant fewer, and stops.
func TestFleet(t *testing.T) {
	n, kills := number(t, tenantsVariable, 40), number(t, killsVariable, 3)
	f := newFleet(t, n)
	spread := faults{bad: f.rings[1][0], cut: f.rings[1][1], taken: f.rings[2][0], full: f.rings[2][1], locked: f.rings[3][0]}

	calm, calmSet := f.undisturbed(t, spread)
	harassed, harassedSet := f.harassed(t, spread, kills)
	if diff := cmp.Diff(calm, harassed); diff != "" {
		t.Errorf("tenants, without and with %d kills (-without +with):\n%s", kills, diff)
	}
	if diff := cmp.Diff(calmSet, harassedSet); diff != "" {
		t.Errorf("the set, without and with %d kills (-without +with):\n%s", kills, diff)
	}
	f.stopped(t, faults{bad: f.rings[1][2], cut: f.rings[1][3], taken: f.rings[1][0], full: f.rings[2][0], locked: f.rings[2][2]})
}

// undisturbed is a rollout whose budget the failures just fit.
func (f *fleet) undisturbed(t *testing.T, where faults) (map[string]end, setEnd) {
	t.Helper()
	p := f.plant(t, where)
	cut := f.cutter(t)
	f.ship(t, int32(len(p.failing())))
	seen := p.watch(t)
	began := time.Now()
	f.awaitLeftBehind(t)
	if !cut() {
		t.Error("nobody's connection was cut")
	}
	w := seen()
	if !w.reasons[v1alpha1.ReasonMigrationInterrupted] {
		t.Errorf("Tenant %s did not say that its migration was interrupted, but %v", p.cut, slices.Sorted(maps.Keys(w.reasons)))
	}
	t.Logf("undisturbed: %s; %d statuses and %d samples, %d at work at most", time.Since(began).Round(100*time.Millisecond), w.statuses, w.samples, w.most)
	ends, set := p.ended(t)
	f.says(t, p)
	p.heal(t)
	return ends, set
}

// harassed is the same rollout with an operator that is killed at random moments of it.
func (f *fleet) harassed(t *testing.T, where faults, kills int) (map[string]end, setEnd) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d repeats the moments of the kills", seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, seed))
	p := f.plant(t, where)
	cut := f.cutter(t)
	f.ship(t, int32(len(p.failing())))
	seen := p.watch(t)
	began := time.Now()
	// Random moments of the rollout, told by how many tenants have the version.
	moments := make([]int, kills)
	for i := range moments {
		moments[i] = random.IntN(len(f.ringOf) - len(p.failing()))
	}
	slices.Sort(moments)
	conn := operator.Hold(t, f.AdminDSN)
	for _, moment := range moments {
		operator.Poll(t, f.limit, func() error {
			names, err := f.at(t.Context(), conn)
			if err == nil && len(names) < moment {
				err = fmt.Errorf("%d tenants have version %d", len(names), f.version)
			}
			return err
		})
		pause := time.NewTimer(time.Duration(random.IntN(400)) * time.Millisecond)
		<-pause.C
		kill(t)
	}
	f.awaitLeftBehind(t)
	_ = cut() // The operator may have been dead when the session ended.
	w := seen()
	t.Logf("with %d kills, when %v tenants had the version: %s; %d statuses and %d samples, %d at work at most",
		kills, moments, time.Since(began).Round(100*time.Millisecond), w.statuses, w.samples, w.most)
	ends, set := p.ended(t)
	p.heal(t)
	return ends, set
}

// awaitLeftBehind waits for the end of a rollout that left tenants behind, all that were planted among them.
func (f *fleet) awaitLeftBehind(t *testing.T) {
	t.Helper()
	f.awaitRollout(t, operator.Want{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTenantsFailed, KStatus: status.CurrentStatus,
		Message: []string{"reached all tenants but those in status.failures"},
	})
}

// ended checks the end of a rollout that the faults just fit, and returns it.
func (p *planted) ended(t *testing.T) (map[string]end, setEnd) {
	t.Helper()
	f := p.fleet
	ends, set := f.ends(t), f.setEnd(t)
	for name, e := range ends {
		want := end{Registry: "0", Status: "0", Ready: e.Ready, Migrated: e.Migrated}
		if slices.Contains(p.failing(), name) {
			want.Registry, want.Status, want.Ledger, want.Effects = "1", "1", behind, behind
		} else if !strings.HasPrefix(e.Ready, "True Ready") {
			t.Errorf("Tenant %s is not Ready: %s", name, e.Ready)
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("end of %s (-want +got):\n%s", name, diff)
		}
	}
	n, failed := int32(len(f.ringOf)), int32(len(p.failing()))
	got := []any{len(ends), set.Tenants, set.Updated, set.Failed, set.Pending, set.Spare, set.Position, set.Version, set.Previous, set.Stops}
	if diff := cmp.Diff([]any{int(n), n, n - failed, failed, int32(0), int32(0), "", "0", "1", int32(0)}, got); diff != "" {
		t.Errorf("tenants, of the set, updated, failed, pending, budget left, position, version, previous, stops (-want +got):\n%s", diff)
	}
	for i, ring := range set.Rings {
		failed := 0
		for _, name := range p.failing() {
			if f.ringOf[name] == i {
				failed++
			}
		}
		n := len(f.rings[i])
		if want := fmt.Sprintf("%s Done: %d tenants, %d updated, %d failed, 0 pending", ringNames[i], n, n-failed, failed); ring != want {
			t.Errorf("the status says %q, want %q", ring, want)
		}
	}
	p.serves(t, p.failing()...)
	return ends, set
}

// says checks what kubectl shows of a rollout that is over.
func (f *fleet) says(t *testing.T, p *planted) {
	t.Helper()
	n, failed := len(f.ringOf), len(p.failing())
	row := f.row(t)
	want := []string{f.Set.Name, fmt.Sprint(f.version), "True", fmt.Sprintf("%d/%d", n-failed, n), fmt.Sprint(failed)}
	if diff := cmp.Diff(want, row[:min(len(want), len(row))]); diff != "" || len(row) != len(want)+1 {
		t.Errorf("kubectl get migrationset shows %q (-want +got):\n%s", row, diff)
	}
}

// row is the set's row by kubectl, whose heading is checked.
func (f *fleet) row(t *testing.T) []string {
	t.Helper()
	out := kubectl(t, "get", "migrationset", f.Set.Name, "-n", f.Namespace)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if heading := strings.Join(strings.Fields(lines[0]), " "); heading != "NAME VERSION READY UPDATED FAILED RING AGE" || len(lines) != 2 {
		t.Fatalf("kubectl get migrationset shows:\n%s", out)
	}
	t.Log("\n" + out)
	return strings.Fields(lines[1])
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := servers.Plane.Kubectl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// heal mends what was planted, asks for another try and waits until everybody has the version.
func (p *planted) heal(t *testing.T) {
	t.Helper()
	p.mendData(t)
	p.unlock(t)
	p.fleet.annotate(t, v1alpha1.AnnotationRetry, fmt.Sprint("version ", p.version))
	p.everybody(t)
}

// everybody waits until all tenants have the version, and checks that it came to each of them once.
func (p *planted) everybody(t *testing.T) {
	t.Helper()
	p.fleet.awaitRollout(t, operator.Want{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, KStatus: status.CurrentStatus})
	for name, e := range p.fleet.ends(t) {
		if diff := cmp.Diff(end{Registry: "0", Status: "0", Ready: e.Ready, Migrated: e.Migrated}, e); diff != "" {
			t.Errorf("%s, mended (-want +got):\n%s", name, diff)
		}
	}
}
