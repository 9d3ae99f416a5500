package rollout

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// model is a fleet and an operator that does what decisions and permits allow, in any order and with
// any outcome. Its invariants are those of a rollout.
type model struct {
	in      Input
	last    Decision
	permits *Permits
	woken   []string
	// working are the tenants at work, by their keys.
	working map[string]Ask
	// doomed tenants fail whenever they try.
	doomed  map[string]bool
	decided bool
	// exact : every failure was counted, or seen by this process.
	exact bool
}

var ringNames = []string{"a", "b", "c", "rest"}

func newModel(t *rapid.T) *model {
	spec := &v1alpha1.Rollout{
		MaxInFlight:             int32(rapid.IntRange(0, 3).Draw(t, "maxInFlight")),
		FailureBudget:           new(intstr.FromInt32(int32(rapid.IntRange(0, 3).Draw(t, "budget")))),
		ProgressDeadlineSeconds: 60,
	}
	for _, name := range ringNames[:rapid.IntRange(0, 3).Draw(t, "rings")] {
		spec.Rings = append(spec.Rings, ring(name, int32(rapid.SampledFrom([]int{0, 30}).Draw(t, "soak"))))
	}
	m := &model{
		in:      Input{Spec: spec, Target: version(4), Previous: new(version(3)), Now: start},
		permits: NewPermits(), working: map[string]Ask{}, doomed: map[string]bool{},
	}
	m.permits.OnWake(func(tenant string) { m.woken = append(m.woken, tenant) })
	for i := range rapid.IntRange(1, 12).Draw(t, "tenants") {
		tenant := Tenant{
			Namespace: "ns", Name: fmt.Sprintf("t%02d", i), Version: "3", Healthy: true,
			Labels: map[string]string{"ring": rapid.SampledFrom(ringNames).Draw(t, "ring"), "db": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "db")},
			Pinned: rapid.IntRange(0, 9).Draw(t, "pinned") == 0,
		}
		m.in.Tenants = append(m.in.Tenants, tenant)
		m.doomed[tenant.Key()] = rapid.IntRange(0, 3).Draw(t, "doomed") == 0
	}
	m.decide(t)
	return m
}

// decide decides, and holds the decision against the one before.
func (m *model) decide(t *rapid.T) {
	d, err := Decide(m.in)
	if err != nil {
		t.Fatal(err)
	}
	again := m.in
	again.Status, again.Previous = &d.Status, d.Previous
	slices.Reverse(again.Tenants)
	second, err := Decide(again)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, second); diff != "" {
		t.Fatalf("the same moment, decided from its own status and in another order (-first +second):\n%s", diff)
	}
	m.checkCounts(t, d)
	if m.decided {
		m.checkMonotone(t, d)
	}
	m.last, m.decided, m.exact = d, true, true
	m.in.Status, m.in.Previous = &d.Status, d.Previous
	var failed []string
	for _, f := range d.Failed {
		failed = append(failed, f.Key())
	}
	allowed, budgeted := Allowed(&d.Status)
	m.permits.Counted("set", m.in.Target.Digest, failed, budgeted, allowed, m.in.Now)
}

func (m *model) checkCounts(t *rapid.T, d Decision) {
	sum := v1alpha1.RingStatus{}
	for _, r := range d.Status.Rings {
		if r.Tenants != r.Updated+r.Failed+r.Pending+r.Pinned {
			t.Fatalf("ring %s does not add up: %+v", r.Name, r)
		}
		add(&sum, r)
	}
	if int(sum.Tenants) != len(m.in.Tenants) || cmp.Diff(sum, d.Total) != "" || int(sum.Failed) != len(d.Failed) {
		t.Fatalf("the total does not add up: %+v of %d tenants, %d failed", d.Total, len(m.in.Tenants), len(d.Failed))
	}
	if !d.Next.IsZero() && !d.Next.After(m.in.Now.Truncate(time.Second)) {
		t.Fatalf("the next look is at %s, and it is %s", d.Next, m.in.Now)
	}
}

// checkMonotone : rings go forwards only; what is completed stays so; only a user ends a stop.
func (m *model) checkMonotone(t *rapid.T, d Decision) {
	was, is := m.last.Status, d.Status
	for i := range was.Rings {
		if was.Rings[i].State == v1alpha1.RingDone && is.Rings[i].State != v1alpha1.RingDone ||
			was.Rings[i].State != v1alpha1.RingPending && is.Rings[i].State == v1alpha1.RingPending {
			t.Fatalf("ring %s went from %s to %s", is.Rings[i].Name, was.Rings[i].State, is.Rings[i].State)
		}
	}
	if was.CompletedAt != nil && is.CompletedAt == nil {
		t.Fatal("a rollout that was completed is not any more")
	}
	if was.Stopped != nil && is.Stopped == nil && m.in.Resume != was.Stopped.Resume && written(m.in.Spec) == was.Stopped.FailureBudget {
		t.Fatal("a rollout goes on that was stopped, without a word")
	}
	// A later ring never opens before an earlier one's gate: all are at the version, or failed.
	for i, r := range is.Rings {
		if r.State == v1alpha1.RingPending || was.Rings[i].State != v1alpha1.RingPending || i == 0 {
			continue
		}
		for _, earlier := range is.Rings[:i] {
			if earlier.State != v1alpha1.RingDone {
				t.Fatalf("ring %s opens while %s is %s", r.Name, earlier.Name, earlier.State)
			}
		}
		if gate := is.Rings[i-1]; was.Rings[i-1].State != v1alpha1.RingDone && gate.Pending > 0 {
			t.Fatalf("ring %s opens while %d tenants of %s are pending", r.Name, gate.Pending, gate.Name)
		}
		if is.Stopped != nil || m.in.Spec.Paused {
			t.Fatalf("ring %s opens during a stop or a pause", r.Name)
		}
	}
}

func (m *model) tenant(key string) *Tenant {
	for i := range m.in.Tenants {
		if m.in.Tenants[i].Key() == key {
			return &m.in.Tenants[i]
		}
	}
	return nil
}

func (m *model) pick(t *rapid.T) *Tenant {
	return &m.in.Tenants[rapid.IntRange(0, len(m.in.Tenants)-1).Draw(t, "tenant")]
}

// begin is a pass of a Tenant.
func (m *model) begin(t *rapid.T) { m.pass(t, m.pick(t)) }

func (m *model) pass(t *rapid.T, tenant *Tenant) {
	key := tenant.Key()
	defer m.permits.Passed(key, m.in.Now)
	if _, at := m.working[key]; at || tenant.AtTarget || tenant.Pinned {
		return
	}
	if !May(m.in.Spec, m.in.Status, m.in.Target.Digest, *tenant) {
		return
	}
	newcomer := tenant.Version == "" && m.in.Status.CompletedAt != nil
	if m.in.Spec.Paused && !newcomer || m.last.Status.Stopped != nil && tenant.Failure == nil {
		t.Fatalf("%s may begin during a pause or a stop", key)
	}
	ask := Ask{
		Set: "set", Digest: m.in.Target.Digest, Database: tenant.Labels["db"], Tenant: key,
		MaxInFlight: int(m.in.Spec.MaxInFlight), Counted: int(m.last.Total.Failed), Now: m.in.Now,
	}
	if tenant.Failure == nil && m.last.Status.CompletedAt == nil {
		ask.Allowed, ask.Budgeted = Allowed(&m.last.Status)
	}
	if !m.permits.Start(ask) {
		return
	}
	if failed := m.failures(); ask.Budgeted && m.exact && failed > ask.Allowed {
		t.Fatalf("%s begins when %d tenants failed; %d are allowed", key, failed, ask.Allowed)
	}
	m.working[key] = ask
	at := 0
	for _, other := range m.working {
		if other.Database == ask.Database {
			at++
		}
	}
	if m.in.Spec.MaxInFlight > 0 && at > int(m.in.Spec.MaxInFlight) {
		t.Fatalf("%d tenants of %s are at work, %d are allowed", at, ask.Database, m.in.Spec.MaxInFlight)
	}
}

func (m *model) failures() (n int) {
	for i := range m.in.Tenants {
		if m.in.Tenants[i].Failure != nil && !m.in.Tenants[i].Pinned {
			n++
		}
	}
	return n
}

// end is the end of a tenant's migration.
func (m *model) end(t *rapid.T) {
	if len(m.working) == 0 {
		return
	}
	keys := slices.Sorted(maps.Keys(m.working))
	m.finish(t, rapid.SampledFrom(keys).Draw(t, "ends"))
}

func (m *model) finish(t *rapid.T, key string) {
	ask, tenant := m.working[key], m.tenant(key)
	delete(m.working, key)
	if m.doomed[key] {
		tenant.Failure, tenant.Healthy, tenant.Since = &Failure{Reason: "MigrationFailed", Refused: true}, false, m.in.Now
		m.permits.End(ask, false, true, m.in.Now)
	} else {
		tenant.AtTarget, tenant.Healthy, tenant.Failure, tenant.Version = true, true, nil, "4"
		m.permits.End(ask, true, false, m.in.Now)
	}
	m.wake(t)
}

// wake passes over the tenants that were called.
func (m *model) wake(t *rapid.T) {
	for len(m.woken) > 0 {
		key := m.woken[0]
		m.woken = m.woken[1:]
		if tenant := m.tenant(key); tenant != nil {
			m.pass(t, tenant)
		}
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"begin":  m.begin,
		"end":    m.end,
		"decide": m.decide,
		"time": func(t *rapid.T) {
			m.in.Now = m.in.Now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
		},
		"pause":  func(t *rapid.T) { m.in.Spec.Paused = rapid.Bool().Draw(t, "paused") },
		"pin":    func(t *rapid.T) { m.pick(t).Pinned, m.exact = rapid.Bool().Draw(t, "pinned"), false },
		"mend":   func(t *rapid.T) { m.doomed[m.pick(t).Key()] = false },
		"sicken": func(t *rapid.T) { tenant := m.pick(t); tenant.Healthy, tenant.Since = false, m.in.Now },
		"heal":   func(t *rapid.T) { tenant := m.pick(t); tenant.Healthy = tenant.Failure == nil },
		"restart": func(t *rapid.T) {
			m.exact = false
			m.permits, m.working, m.woken = NewPermits(), map[string]Ask{}, nil
			m.permits.OnWake(func(tenant string) { m.woken = append(m.woken, tenant) })
		},
		"resume": func(t *rapid.T) {
			if stop := m.last.Status.Stopped; stop != nil {
				m.in.Resume = stop.Resume
			}
		},
		"relabel": func(t *rapid.T) {
			tenant := m.pick(t)
			if _, at := m.working[tenant.Key()]; !at {
				tenant.Labels = map[string]string{"ring": rapid.SampledFrom(ringNames).Draw(t, "to"), "db": tenant.Labels["db"]}
			}
		},
		"": m.invariants,
	}
}

// invariants hold at any moment.
func (m *model) invariants(t *rapid.T) {
	for i := range m.in.Tenants {
		tenant := &m.in.Tenants[i]
		if tenant.AtTarget || !May(m.in.Spec, m.in.Status, m.in.Target.Digest, *tenant) {
			continue
		}
		rings, _ := Compile(m.in.Spec)
		for _, earlier := range m.in.Status.Rings[:rings.Of(tenant.Labels)] {
			if m.in.Status.CompletedAt == nil && earlier.State != v1alpha1.RingDone {
				t.Fatalf("%s may begin before ring %s is done", tenant.Key(), earlier.Name)
			}
		}
	}
}

func TestRolloutKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(m.actions())
	})
}

// Whatever came before: when nothing else is wrong and nobody holds it back, a rollout ends. Failures
// within the budget keep nobody else from the version.
func TestRolloutEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		m.stir(t)
		m.in.Spec.Paused, m.in.Spec.FailureBudget = false, new(intstr.FromString("100%"))
		for i := range m.in.Tenants {
			m.in.Tenants[i].Healthy = m.in.Tenants[i].Failure == nil
		}
		asked := map[string]bool{}
		for range 200 {
			m.carryOn(t, asked)
		}
		if m.last.Phase != Completed {
			t.Fatalf("the rollout is %s: %+v", m.last.Phase, m.last.Status)
		}
		for _, tenant := range m.in.Tenants {
			if !tenant.AtTarget && !tenant.Pinned && !m.doomed[tenant.Key()] && tenant.Failure == nil {
				t.Fatalf("%s was left behind: %+v", tenant.Key(), tenant)
			}
		}
	})
}

// stir does anything for a while.
func (m *model) stir(t *rapid.T) {
	actions := m.actions()
	delete(actions, "")
	names := slices.Sorted(maps.Keys(actions))
	for range rapid.IntRange(0, 40).Draw(t, "steps") {
		actions[rapid.SampledFrom(names).Draw(t, "action")](t)
	}
}

// carryOn is what the operator does by itself: who was refused waits to be woken, and nobody asks twice.
func (m *model) carryOn(t *rapid.T, asked map[string]bool) {
	m.decide(t)
	m.wake(t)
	for i := range m.in.Tenants {
		tenant := &m.in.Tenants[i]
		if key := tenant.Key(); !asked[key] && May(m.in.Spec, m.in.Status, m.in.Target.Digest, *tenant) {
			asked[key] = true
			m.pass(t, tenant)
		}
	}
	for len(m.working) > 0 {
		m.finish(t, slices.Min(slices.Collect(maps.Keys(m.working))))
	}
	m.in.Now = m.in.Now.Add(10 * time.Second)
}
