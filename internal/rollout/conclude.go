package rollout

import (
	"fmt"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// conclude counts, and says what the rollout is at.
func (d *decision) conclude() Decision {
	out := Decision{Previous: d.previous, Many: len(d.rings)}
	for i := range d.rings {
		d.status.Rings[i] = d.count(i)
		d.status.Rings[i].State = d.state(i)
		add(&out.Total, d.status.Rings[i])
		for _, t := range d.members[i] {
			if s, why := d.stand(i, t); s == failed {
				out.Failed = append(out.Failed, FailedTenant{t, d.rings[i].Name, why})
			}
		}
		out.Next = d.earliest(out.Next, i)
	}
	out.Place = d.atWork()
	out.Ring = d.rings[out.Place].Name
	out.Phase, out.Holding = d.phase(out.Place)
	d.status.Position = ""
	if out.Phase != Completed {
		d.status.Position = position(out.Ring, holds[out.Phase])
	}
	d.estimate(out)
	out.Status = d.status
	return out
}

func (d *decision) state(i int) v1alpha1.RingState {
	ring := d.status.Rings[i]
	switch {
	case d.status.CompletedAt != nil || ring.State == v1alpha1.RingDone:
		return v1alpha1.RingDone
	case ring.StartedAt == nil || !d.rings.isOpen(i, &d.status):
		return v1alpha1.RingPending
	case ring.SoakUntil != nil && d.settled(i):
		return v1alpha1.RingSoaking
	}
	return v1alpha1.RingProgressing
}

// atWork is the first ring that is not done; once all are, the one with a tenant that came late.
func (d *decision) atWork() int {
	for i, ring := range d.status.Rings {
		if ring.State != v1alpha1.RingDone {
			return i
		}
	}
	for i := range d.status.Rings {
		if !d.settled(i) {
			return i
		}
	}
	return len(d.rings) - 1
}

// holds is what a position shows in brackets.
var holds = map[Phase]string{Waiting: "waiting", Soaking: "soaking", Paused: "paused", Stopped: "stopped"}

func (d *decision) phase(at int) (Phase, []FailedTenant) {
	switch {
	case d.status.CompletedAt != nil:
		return Completed, nil
	case d.status.Stopped != nil:
		return Stopped, nil
	case !d.running():
		return Paused, nil
	case d.status.Rings[at].State == v1alpha1.RingSoaking:
		return Soaking, nil
	}
	var holding []FailedTenant
	for _, t := range d.members[at] {
		switch s, why := d.stand(at, t); s {
		case pending:
			return Progressing, nil
		case unwell, blocked:
			holding = append(holding, FailedTenant{t, d.rings[at].Name, why})
		}
	}
	if len(holding) == 0 {
		return Progressing, nil
	}
	return Waiting, holding
}

// earliest is when time changes something next, in this ring or before.
func (d *decision) earliest(next time.Time, i int) time.Time {
	if d.status.CompletedAt != nil {
		return next
	}
	sooner := func(at time.Time) {
		if at.After(d.Now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if until := d.status.Rings[i].SoakUntil; until != nil && d.running() {
		sooner(until.Time)
	}
	for _, t := range d.members[i] {
		switch s, _ := d.stand(i, t); s {
		case unwell, blocked:
			sooner(d.due(i, t))
		}
	}
	return next
}

func add(total *v1alpha1.RingStatus, ring v1alpha1.RingStatus) {
	total.Tenants += ring.Tenants
	total.Updated += ring.Updated
	total.Failed += ring.Failed
	total.Pending += ring.Pending
	total.Pinned += ring.Pinned
}

// Progress is for people: who is updated, of those that follow.
func (d Decision) Progress() string {
	return fmt.Sprintf("%d/%d", d.Total.Updated, d.Total.Tenants-d.Total.Pinned)
}
