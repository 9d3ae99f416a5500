package rollout

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// budget stops the rollout when more tenants failed than it allows, and lets one that was stopped go on
// when a user said so: by the annotation, which forgives those who failed until then, or by another
// budget that suffices. That failures heal lets nothing go on by itself: somebody has to have looked.
func (d *decision) budget() {
	st := &d.status
	failed := d.failures()
	if st.CompletedAt == nil {
		st.Forgiven = min(st.Forgiven, failed+d.undecided())
	}
	if stop := st.Stopped; stop != nil {
		switch {
		case stop.Resume == d.Resume:
			st.Forgiven, st.Stopped = failed, nil
		case stop.FailureBudget != written(d.Spec) && !d.spent(failed):
			st.Stopped = nil
		}
	}
	if st.CompletedAt == nil && st.Stopped == nil && d.spent(failed) {
		st.Stops++
		st.Stopped = &v1alpha1.RolloutStop{Resume: token(d.Target, st), FailureBudget: written(d.Spec)}
	}
	st.FailuresAllowed = nil
	if allowed, bounded := d.allowed(); bounded {
		st.FailuresAllowed = &allowed
	}
}

func (d *decision) spent(failed int32) bool {
	allowed, bounded := d.allowed()
	return bounded && failed > allowed
}

// allowed is how many tenants may fail.
func (d *decision) allowed() (n int32, bounded bool) {
	if d.Spec == nil {
		return 0, false
	}
	var followers int32
	for _, t := range d.Tenants {
		if !t.Pinned {
			followers++
		}
	}
	return Budget(d.Spec, followers) + d.status.Forgiven, true
}

// Allowed is how many tenants may fail by a status; false where nothing bounds it.
func Allowed(st *v1alpha1.RolloutStatus) (n int, budgeted bool) {
	if st.FailuresAllowed == nil {
		return 0, false
	}
	return int(*st.FailuresAllowed), true
}

// Budget is the failure budget as a number of tenants, of so many that are not pinned.
func Budget(spec *v1alpha1.Rollout, followers int32) int32 {
	text := written(spec)
	percent, isPercent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseInt(percent, 10, 32)
	if err != nil || n < 0 {
		return 0 // The API refuses it.
	}
	if isPercent {
		n = int64(followers) * min(n, 100) / 100
	}
	return int32(n)
}

// written is the budget as the user wrote it, "" for none.
func written(spec *v1alpha1.Rollout) string {
	if spec == nil {
		return ""
	}
	if spec.FailureBudget == nil {
		return "0"
	}
	return spec.FailureBudget.String()
}

// token names one stop of one rollout, so that a value left in a manifest lets no other one go on, nor a
// rollout of the same files that begins later.
func token(target v1alpha1.MigrationSetVersion, st *v1alpha1.RolloutStatus) string {
	const short = 12
	return fmt.Sprintf("%s-%s-%s-%d", target.Version, target.Digest[:min(short, len(target.Digest))],
		strconv.FormatInt(st.StartedAt.Unix(), 36), st.Stops)
}

// undecided are tenants that are not well and may yet fail as they did before. Who is well again needs no forgiveness,
// and leaves none to others.
func (d *decision) undecided() (n int32) {
	for i, members := range d.members {
		for _, t := range members {
			switch s, _ := d.stand(i, t); {
			case s == unwell, s == blocked, s == pending && (t.Begun || !t.Healthy):
				n++
			}
		}
	}
	return n
}

func (d *decision) failures() (n int32) {
	for i := range d.members {
		n += d.count(i).Failed
	}
	return n
}
