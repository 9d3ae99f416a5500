package rollout

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// A pace is measured over at least so long and so many tenants: fewer tell nothing.
const (
	measuredFor = 10 * time.Second
	measuredBy  = 5
)

// remeasured begins a measurement; the last pace holds until there is a new one.
func (d *decision) remeasured() *v1alpha1.RolloutPaceStatus {
	pace := &v1alpha1.RolloutPaceStatus{Since: new(metav1.NewTime(d.Now)), Updated: d.updates()}
	if last := d.status.Pace; last != nil {
		pace.TenantsPerMinute = last.TenantsPerMinute
	}
	return pace
}

func (d *decision) updates() (n int32) {
	for i := range d.members {
		n += d.count(i).Updated
	}
	return n
}

// estimate measures the pace while tenants are migrated, and says when the rollout will be over. Time in
// which the rollout stands still is not measured.
func (d *decision) estimate(out Decision) {
	st := &d.status
	last := st.EstimatedCompletion
	st.EstimatedCompletion = nil
	switch out.Phase {
	case Completed:
		st.Pace = nil
		return
	case Progressing:
		if st.Pace == nil || st.Pace.Since == nil {
			st.Pace = d.remeasured()
		}
		st.Pace.TenantsPerMinute = measured(*st.Pace, out.Total.Updated, d.Now)
	default:
		if st.Pace != nil {
			st.Pace = still(st.Pace.TenantsPerMinute)
		}
	}
	left, known := d.left(out)
	if !known {
		return
	}
	st.EstimatedCompletion = new(metav1.NewTime(smooth(last, d.Now, left)))
}

// still keeps the last pace of a rollout that stands still, if there is one.
func still(pace int32) *v1alpha1.RolloutPaceStatus {
	if pace == 0 {
		return nil
	}
	return &v1alpha1.RolloutPaceStatus{TenantsPerMinute: pace}
}

// measured is the pace, or the last one as long as there is too little to measure.
func measured(pace v1alpha1.RolloutPaceStatus, updated int32, now time.Time) int32 {
	took, n := now.Sub(pace.Since.Time), updated-pace.Updated
	if took < measuredFor || n < measuredBy {
		return pace.TenantsPerMinute
	}
	return twoDigits(int64(n) * int64(time.Minute) / int64(took))
}

func twoDigits(n int64) int32 {
	n, unit := min(n, maxTenants), int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return int32(max(n/unit*unit, 1)) //nolint:gosec // bounded above
}

// left is how long the rollout takes from now: tenants at the pace, and soak times of rings that are
// not over. What stands still, or waits for tenants that are not well, ends nobody knows when.
func (d *decision) left(out Decision) (left time.Duration, known bool) {
	if out.Phase != Progressing && out.Phase != Soaking {
		return 0, false
	}
	if out.Total.Pending > 0 {
		if d.status.Pace == nil || d.status.Pace.TenantsPerMinute == 0 {
			return 0, false
		}
		left = time.Duration(out.Total.Pending) * time.Minute / time.Duration(d.status.Pace.TenantsPerMinute)
	}
	for i, ring := range d.status.Rings {
		switch {
		case ring.State == v1alpha1.RingDone:
		case ring.SoakUntil != nil:
			left += max(ring.SoakUntil.Sub(d.Now), 0)
		case ring.Tenants > ring.Pinned:
			left += time.Duration(d.rings[i].soak) * time.Second
		}
	}
	return left, true
}

// smooth rounds an estimate up, to a minute or coarser the farther it is, and keeps the last one while
// it differs by no more than that: it should not be written anew with each tenant.
func smooth(last *metav1.Time, now time.Time, left time.Duration) time.Time {
	unit := time.Minute
	switch {
	case left > 2*time.Hour:
		unit = 30 * time.Minute
	case left > 10*time.Minute:
		unit = 5 * time.Minute
	}
	end := now.Add(left)
	if rounded := end.Truncate(unit); rounded.Before(end) {
		end = rounded.Add(unit)
	}
	if last != nil && last.After(now) && end.Sub(last.Time).Abs() <= unit {
		return last.Time
	}
	return end
}
