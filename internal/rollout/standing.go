package rollout

import (
	"cmp"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// standing is where a tenant is in a rollout.
type standing int

const (
	pinned standing = iota
	updated
	// unwell tenants are at the version and not Healthy, for less than the deadline.
	unwell
	failed
	pending
	// blocked tenants are pending because they are not Healthy, for less than the deadline.
	blocked
	// unborn tenants never had a version and do not get one, for longer than the deadline: they are
	// pending, and nobody's customer waits for them.
	unborn
)

// defaultDeadline is the API's default.
const defaultDeadline = 600 * time.Second

func (d *decision) deadline() time.Duration {
	if d.Spec == nil || d.Spec.ProgressDeadlineSeconds <= 0 {
		return defaultDeadline
	}
	return time.Duration(d.Spec.ProgressDeadlineSeconds) * time.Second
}

// due is when a tenant of a ring that is not well counts as failed; zero for never. Its own clock counts, but only
// from when the ring was opened: before that it was not this version's. During a pause nobody can mend what was not
// over by then, and afterwards each has the whole deadline again.
func (d *decision) due(i int, t Tenant) time.Time {
	ring, st := d.status.Rings[i], &d.status
	if ring.StartedAt == nil || !d.rings.isOpen(i, st) {
		return time.Time{}
	}
	since := t.Since
	if ring.StartedAt.After(since) {
		since = ring.StartedAt.Time
	}
	due := since.Truncate(time.Second).Add(d.deadline()) // a status keeps whole seconds
	switch {
	case st.PausedAt == nil || !due.After(st.PausedAt.Time):
	case st.ResumedAt == nil:
		return time.Time{}
	case st.ResumedAt.After(since):
		return st.ResumedAt.Add(d.deadline())
	}
	return due
}

func (d *decision) overdue(i int, t Tenant) bool {
	due := d.due(i, t)
	return !due.IsZero() && !d.Now.Before(due)
}

// stand judges a tenant of a ring. Once the rollout is completed, the health of its tenants is not its
// matter any more.
func (d *decision) stand(i int, t Tenant) (standing, Failure) {
	completed := d.status.CompletedAt != nil
	switch {
	case t.Pinned:
		return pinned, Failure{}
	case t.AtTarget && (t.Healthy || completed):
		return updated, Failure{}
	case t.AtTarget && d.overdue(i, t):
		return failed, t.Trouble
	case t.AtTarget:
		return unwell, t.Trouble
	case t.Failure != nil && (t.Failure.Refused || d.overdue(i, t)):
		return failed, *t.Failure
	case t.Failure != nil:
		return blocked, *t.Failure
	case t.Healthy || t.Waits || t.Begun && !t.Halted || completed || !d.rings.isOpen(i, &d.status):
		return pending, Failure{}
	case !d.overdue(i, t):
		return blocked, t.Trouble
	case t.Version == "":
		return unborn, Failure{}
	}
	return failed, t.Trouble
}

// settled says whether a ring's health gate lets the rollout pass.
func (d *decision) settled(i int) bool {
	for _, t := range d.members[i] {
		switch s, _ := d.stand(i, t); s {
		case unwell, pending, blocked:
			return false
		}
	}
	return true
}

// count fills in the numbers of a ring's status.
func (d *decision) count(i int) v1alpha1.RingStatus {
	n := d.status.Rings[i]
	n.Tenants, n.Updated, n.Failed, n.Pending, n.Pinned = int32(min(len(d.members[i]), maxTenants)), 0, 0, 0, 0
	for _, t := range d.members[i] {
		switch s, _ := d.stand(i, t); s {
		case pinned:
			n.Pinned++
		case updated, unwell:
			n.Updated++
		case failed:
			n.Failed++
		case pending, blocked, unborn:
			n.Pending++
		}
	}
	return n
}

// maxTenants is more than a cluster holds; it keeps a count in its type.
const maxTenants = 1 << 30
