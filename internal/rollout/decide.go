package rollout

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Input is all that a decision depends on.
type Input struct {
	// Spec of the rollout; nil sends a version to everybody at once, without a budget.
	Spec *v1alpha1.Rollout
	// Target is the state of the files that was found good.
	Target v1alpha1.MigrationSetVersion
	// Status is the last decision, nil before the first.
	Status *v1alpha1.RolloutStatus
	// Previous is the last version whose rollout was completed before Status's.
	Previous *v1alpha1.MigrationSetVersion
	// Resume is the value of the annotation that lets a stopped rollout go on.
	Resume string
	// Tenants of the set, without those that are being deleted, in any order.
	Tenants []Tenant
	Now     time.Time
}

// Decision is what follows from an Input. Decided again at the same moment from its own Status and
// Previous, it is the same.
type Decision struct {
	Status   v1alpha1.RolloutStatus
	Previous *v1alpha1.MigrationSetVersion
	// Total sums the rings up.
	Total v1alpha1.RingStatus
	// Failed are the tenants that failed, ring by ring, ordered by their keys.
	Failed []FailedTenant
	Phase  Phase
	// Ring at work and its place, from 0, among how many; of no meaning when the rollout is
	// completed.
	Ring        string
	Place, Many int
	// Holding are tenants of that ring that are not well and for which it waits, ordered by their
	// keys.
	Holding []FailedTenant
	// Next is when time alone will change the decision; zero for never.
	Next time.Time
}

// FailedTenant is a tenant of a ring with what is wrong with it.
type FailedTenant struct {
	Tenant

	Ring string
	Why  Failure
}

// Phase sums a rollout up.
type Phase string

// Phases of a rollout.
const (
	// Completed : every tenant is at the version, or failed within the budget.
	Completed Phase = "Completed"
	// Progressing : tenants are being migrated, or may be.
	Progressing Phase = "Progressing"
	// Waiting : all who can be migrated are; some are not well.
	Waiting Phase = "Waiting"
	// Soaking : a ring is done and its soak time runs.
	Soaking Phase = "Soaking"
	// Paused by the spec.
	Paused Phase = "Paused"
	// Stopped because the budget is spent.
	Stopped Phase = "Stopped"
)

// Decide says how far a rollout is and what opens next. Its error is Compile's.
func Decide(in Input) (Decision, error) {
	rings, err := Compile(in.Spec)
	if err != nil {
		return Decision{}, err
	}
	in.Now = in.Now.Truncate(time.Second) // as a status keeps it
	d := &decision{Input: in, rings: rings}
	d.begin()
	d.pause()
	d.sort()
	d.budget()
	d.advance()
	return d.conclude(), nil
}

// decision is a Decide under way.
type decision struct {
	Input

	rings    Rings
	status   v1alpha1.RolloutStatus
	previous *v1alpha1.MigrationSetVersion
	members  [][]Tenant // by ring
}

// begin goes on with the last status, or begins anew for a new target. A version counts as the
// previous one only if its rollout was completed: what was stopped half way proves nothing.
func (d *decision) begin() {
	d.previous = d.Previous
	if last := d.Status; last != nil {
		if last.Digest == d.Target.Digest {
			d.status = *last.DeepCopy()
			d.status.Version = d.Target.Version
			return
		}
		if last.CompletedAt != nil {
			d.previous = last.MigrationSetVersion.DeepCopy()
		}
	}
	d.status = v1alpha1.RolloutStatus{MigrationSetVersion: d.Target, StartedAt: metav1.NewTime(d.Now)}
}

// pause notes when the rollout was paused, and when it went on. Pauses with less than the deadline between them are
// one, from the beginning of the first: nobody new can have failed in between.
func (d *decision) pause() {
	st := &d.status
	paused := d.Spec != nil && d.Spec.Paused
	isPaused := st.PausedAt != nil && st.ResumedAt == nil
	switch {
	case st.CompletedAt != nil:
		st.PausedAt, st.ResumedAt = nil, nil
	case paused && !isPaused:
		if st.ResumedAt == nil || !d.Now.Before(st.ResumedAt.Add(d.deadline())) {
			st.PausedAt = new(metav1.NewTime(d.Now))
		}
		st.ResumedAt = nil
	case !paused && isPaused:
		st.ResumedAt = new(metav1.NewTime(d.Now))
	}
}

// sort puts the tenants into rings, whose states by the status are kept by their names.
func (d *decision) sort() {
	before := d.status.Rings
	d.status.Rings = make([]v1alpha1.RingStatus, len(d.rings))
	d.members = make([][]Tenant, len(d.rings))
	for i, ring := range d.rings {
		st := v1alpha1.RingStatus{Name: ring.Name, State: v1alpha1.RingPending}
		if last := find(before, ring.Name); last != nil {
			st.State, st.StartedAt, st.SettledAt, st.SoakUntil = last.State, last.StartedAt, last.SettledAt, last.SoakUntil
		}
		d.status.Rings[i] = st
	}
	order, keys := make([]int, len(d.Tenants)), make([]string, len(d.Tenants)) // not made anew for each comparison
	for i, t := range d.Tenants {
		order[i], keys[i] = i, t.Key()
	}
	slices.SortFunc(order, func(a, b int) int { return compare(keys[a], keys[b]) })
	for _, i := range order {
		t := d.Tenants[i]
		ring := d.rings.Of(t.Labels)
		d.members[ring] = append(d.members[ring], t)
	}
}

func (d *decision) running() bool {
	return d.status.CompletedAt == nil && d.status.Stopped == nil && (d.Spec == nil || !d.Spec.Paused)
}

// advance opens, soaks and ends rings as far as it goes: one that has no tenants holds nothing up.
func (d *decision) advance() {
	if !d.running() {
		return
	}
	for i := range d.rings {
		ring := &d.status.Rings[i]
		if ring.State == v1alpha1.RingDone {
			continue
		}
		if ring.StartedAt == nil {
			ring.StartedAt = new(metav1.NewTime(d.Now))
			d.status.Pace = d.remeasured()
		}
		if !d.settled(i) {
			return
		}
		if ring.SettledAt == nil {
			ring.SettledAt = new(metav1.NewTime(d.Now))
		}
		// Anew each time: the soak time may be changed while it runs.
		ring.SoakUntil = nil
		if soak := d.soak(i); soak > 0 {
			ring.SoakUntil = new(metav1.NewTime(ring.SettledAt.Add(soak)))
		}
		if ring.SoakUntil != nil && d.Now.Before(ring.SoakUntil.Time) {
			return
		}
		ring.State = v1alpha1.RingDone
	}
	for i := range d.rings {
		if !d.settled(i) {
			return // A tenant came to a ring that was done before.
		}
	}
	d.status.CompletedAt = new(metav1.NewTime(d.Now))
	d.pause()
}

// soak is the ring's soak time; a ring in which nobody got the version shows nothing by waiting.
func (d *decision) soak(i int) time.Duration {
	if n := d.count(i); n.Updated+n.Failed == 0 {
		return 0
	}
	return time.Duration(d.rings[i].soak) * time.Second
}
