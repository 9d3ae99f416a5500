package migrationset

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/dryrun"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

// Bounds of what is said of checkpoints.
const (
	maxCheckpoints = 8 // by the API's schema
	maxDifferences = 5
)

// checkpoints compares each checkpoint, once for each state of it and of the migrations that it stands for,
// with what the migrations make, on scratch schemas. One that differs, or that nobody could compare yet,
// is not used: new tenants get the migrations themselves. So it holds nothing up and stalls nothing. It
// returns when to look again, zero if there is nothing to look for.
func (r *Reconciler) checkpoints(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set) (again time.Time) {
	known := map[string]v1alpha1.CheckpointStatus{}
	for _, c := range ms.Status.Checkpoints {
		known[c.Checksum] = c
	}
	var list []v1alpha1.CheckpointStatus
	for i := range set.Checkpoints[:min(maxCheckpoints, len(set.Checkpoints))] {
		c := &set.Checkpoints[i]
		st, ok := known[c.Checksum]
		if !ok {
			st = v1alpha1.CheckpointStatus{Version: string(c.Version), File: c.File, Checksum: c.Checksum, State: v1alpha1.CheckpointPending, Message: notCompared}
		}
		list = append(list, st)
	}
	if err := r.holdBack(ctx, ms, set, list); err != nil {
		log.FromContext(ctx).Info("Cannot look at checkpoints", "cause", err.Error())
		return time.Now().Add(dryRunAgain)
	}
	unknown := pendingOf(set, list)
	next := r.nextComparison(ms)
	switch {
	case len(unknown) == 0:
	case time.Now().Before(next):
		again = next
	default:
		verdicts, err := r.compareCheckpoints(ctx, ms, set, unknown)
		for i := range list {
			if st := &list[i]; st.State == v1alpha1.CheckpointPending {
				judgeCheckpoint(st, verdicts, err)
			}
		}
		r.comparing.Delete(key(ms))
		if err != nil {
			again = time.Now().Add(dryRunAgain)
			r.comparing.Store(key(ms), again)
		}
	}
	ms.Status.Checkpoints = list
	sayCheckpoints(ms)
	return again
}

// notCompared is what is said of a checkpoint at first.
const notCompared = "It was not compared yet"

func pendingOf(set *migrations.Set, list []v1alpha1.CheckpointStatus) (pending []*migrations.Checkpoint) {
	for i := range list {
		if list[i].State == v1alpha1.CheckpointPending {
			pending = append(pending, &set.Checkpoints[i])
		}
	}
	return pending
}

// nextComparison is when to compare again what got no verdict, in the past if nothing waits.
func (r *Reconciler) nextComparison(ms *v1alpha1.MigrationSet) time.Time {
	next, _ := r.comparing.Load(key(ms))
	moment, _ := next.(time.Time)
	return moment
}

func judgeCheckpoint(st *v1alpha1.CheckpointStatus, verdicts map[string][]string, err error) {
	wrong := verdicts[st.Checksum]
	switch {
	case err != nil:
		st.Message = conditions.ClipTo(dryrun.Brief(err), maxVerdict)
	case len(wrong) == 0:
		st.State = v1alpha1.CheckpointVerified
	default:
		st.State = v1alpha1.CheckpointRefused
		text := strings.Join(wrong[:min(maxDifferences, len(wrong))], "; ")
		if more := len(wrong) - maxDifferences; more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
		st.Message = conditions.ClipTo(text, maxVerdict)
	}
}

// compareCheckpoints returns what is wrong with each, by its checksum, on the first major version of PostgreSQL
// on which something is.
func (r *Reconciler) compareCheckpoints(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set, unknown []*migrations.Checkpoint) (map[string][]string, error) {
	asked, err := r.askable(ctx, ms, set)
	if err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		return nil, fault.NewWaiting(v1alpha1.ReasonDryRunPending, dryRunAgain, "No database of the set could be asked")
	}
	if !r.takeSlot() {
		return nil, fault.NewWaiting(v1alpha1.ReasonDryRunPending, dryRunAgain, "Other sets are tried now")
	}
	defer r.giveSlot()
	verdicts := map[string][]string{}
	for _, same := range asked {
		wrong, err := r.compareOn(ctx, ms, set, unknown, same)
		if err != nil {
			return nil, err
		}
		for i, c := range unknown {
			if len(verdicts[c.Checksum]) == 0 {
				verdicts[c.Checksum] = wrong[i]
			}
		}
	}
	return verdicts, nil
}

// compareOn asks databases of one major version until one answers.
func (r *Reconciler) compareOn(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set, unknown []*migrations.Checkpoint, same []*v1alpha1.TenantDatabase) (wrong [][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*r.dryRunLimit())
	defer cancel()
	for _, tdb := range same {
		if wrong, err = r.DryRun.Verify(ctx, tdb, trial(ms, set, tdb), unknown); err == nil {
			break
		}
	}
	return wrong, err
}

// sayCheckpoints sums up in a condition, which is there while the set has checkpoints.
func sayCheckpoints(ms *v1alpha1.MigrationSet) {
	list := ms.Status.Checkpoints
	if len(list) == 0 {
		conditions.Remove(ms, v1alpha1.ConditionCheckpointsVerified)
		return
	}
	var refused, pending, good []string
	for _, st := range list {
		switch st.State {
		case v1alpha1.CheckpointRefused:
			refused = append(refused, st.File+": "+st.Message)
		case v1alpha1.CheckpointPending:
			pending = append(pending, st.File+": "+st.Message)
		default:
			good = append(good, st.File)
		}
	}
	const instead = ". New tenants get the migrations instead"
	switch {
	case len(refused) > 0:
		conditions.False(ms, v1alpha1.ConditionCheckpointsVerified, v1alpha1.ReasonCheckpointRefused, strings.Join(refused, ". ")+instead)
	case len(pending) > 0:
		conditions.Unknown(ms, v1alpha1.ConditionCheckpointsVerified, v1alpha1.ReasonDryRunPending, strings.Join(pending, ". ")+instead)
	default:
		conditions.True(ms, v1alpha1.ConditionCheckpointsVerified, v1alpha1.ReasonSucceeded, "New tenants start from "+good[0])
	}
}
