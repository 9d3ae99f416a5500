package migrationset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/dryrun"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

const (
	// defaultDryRunLimit bounds a dry run on one database. On an empty schema only what waits for others
	// takes long, such as a concurrent index for the oldest transaction of the database.
	defaultDryRunLimit = 2 * time.Minute
	// dryRunAgain is the delay to the next look for a database that can be asked.
	dryRunAgain = 30 * time.Second
	// dryRuns bounds those at a time: fewer than the workers, so that other sets are not kept waiting.
	dryRuns = 3
)

// dryRun tries a version that no tenant has on a scratch schema, once, and keeps the verdict in the
// status. The error of a version that does not run is Invalid; while no verdict can be had and tenants
// could be harmed, it is Waiting. What was published without is tried when a database is there before the
// first tenant.
func (r *Reconciler) dryRun(ctx context.Context, base, ms *v1alpha1.MigrationSet, set *migrations.Set) error {
	st := ms.Status.DryRun
	tried, published := st != nil && st.Digest == set.Digest, set.Digest == ms.Status.Digest
	switch {
	case ms.Spec.DryRun == v1alpha1.DryRunDisabled:
		ms.Status.DryRun = nil
		return nil
	case published && !tried: // tenants have it
		ms.Status.DryRun = nil
		return nil
	case tried && published && st.Result == v1alpha1.DryRunSkipped:
		if begun, err := r.begun(ctx, ms); err != nil || begun {
			return err
		}
	case tried && st.Result != v1alpha1.DryRunFailed:
		return nil
	case tried:
		if pause := r.tries.pause(ms, time.Now()); pause > 0 {
			return refused(st, pause)
		}
	}
	asked, err := r.askable(ctx, ms, set)
	if err != nil {
		return err
	}
	if len(asked) == 0 {
		return r.nobodyToAsk(ctx, ms, set, published)
	}
	if !r.takeSlot() {
		return fault.NewWaiting(v1alpha1.ReasonDryRunPending, 5*time.Second, "Version %s waits for other sets' dry runs", set.Latest())
	}
	defer r.giveSlot()
	if err := r.announce(ctx, base, ms, set); err != nil {
		return err
	}
	return r.try(ctx, ms, set, asked)
}

// try asks one database of each major version. The first verdict against the set is the last word.
func (r *Reconciler) try(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set, asked [][]*v1alpha1.TenantDatabase) error {
	st := planned(ms, set)
	for _, same := range asked {
		tdb, err := r.replay(ctx, ms, set, same)
		if err != nil && !judged(err) && !errors.Is(err, errTimeUp) {
			return fault.NewWaiting(v1alpha1.ReasonDryRunPending, dryRunAgain, "Version %s cannot be tried on TenantDatabase %s/%s now: %s",
				set.Latest(), tdb.Namespace, tdb.Name, fault.Of(err, "").Message)
		}
		st.Databases = append(st.Databases, v1alpha1.DryRunDatabase{Namespace: tdb.Namespace, Name: tdb.Name, ServerVersion: major(tdb)})
		if err == nil {
			continue
		}
		st.Result, st.Message = v1alpha1.DryRunInconclusive, fmt.Sprintf("On TenantDatabase %s/%s there was no verdict after %s: %s",
			tdb.Namespace, tdb.Name, r.dryRunLimit(), dryrun.Brief(err))
		if judged(err) {
			st.Result, st.Message = v1alpha1.DryRunFailed, fmt.Sprintf("On an empty schema of TenantDatabase %s/%s (PostgreSQL %s): %s",
				tdb.Namespace, tdb.Name, major(tdb), dryrun.Brief(err))
			break
		}
	}
	st.Message = conditions.ClipTo(st.Message, maxVerdict)
	ms.Status.DryRun = st
	now := time.Now()
	if r.tries.note(ms, st.Result == v1alpha1.DryRunFailed, now); st.Result == v1alpha1.DryRunFailed {
		if set.Digest == ms.Status.Digest {
			unpublish(ms)
		}
		return refused(st, r.tries.pause(ms, now))
	}
	return nil
}

// errTimeUp : the limit was reached before there was a verdict.
var errTimeUp = errors.New("the time is up")

// replay returns the first answer of databases of one major version, and who gave it.
func (r *Reconciler) replay(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set, same []*v1alpha1.TenantDatabase) (tdb *v1alpha1.TenantDatabase, err error) {
	for _, tdb = range same {
		limited, cancel := context.WithTimeout(ctx, r.dryRunLimit())
		err = r.DryRun.Replay(limited, tdb, trial(ms, set, tdb))
		late := limited.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil, judged(err):
			return tdb, err
		case late:
			return tdb, fmt.Errorf("%w: %w", errTimeUp, err)
		}
	}
	return tdb, err
}

func trial(ms *v1alpha1.MigrationSet, set *migrations.Set, tdb *v1alpha1.TenantDatabase) dryrun.Trial {
	t := dryrun.Trial{
		Set: set, UID: string(ms.UID), Name: ms.Namespace + "/" + ms.Name,
		LockTimeout:      time.Duration(ms.Spec.LockTimeoutMilliseconds) * time.Millisecond,
		StatementTimeout: time.Duration(ms.Spec.StatementTimeoutSeconds) * time.Second,
	}
	if tdb.Spec.Shared != nil && !shares(tdb, ms) {
		t.SharedSchema = tdb.Spec.Shared.SchemaName
	}
	return t
}

// judged says that the server refused a file, so that it would refuse it everywhere.
func judged(err error) bool { return err != nil && fault.KindOf(err) == fault.Invalid }

func refused(st *v1alpha1.DryRunStatus, pause time.Duration) error {
	f := fault.NewInvalid(v1alpha1.ReasonDryRunFailed, "%s. No tenant gets this state of the files", st.Message)
	f.After = pause
	return f
}

func (r *Reconciler) dryRunLimit() time.Duration {
	if r.DryRunLimit > 0 {
		return r.DryRunLimit
	}
	return defaultDryRunLimit
}

// takeSlot says whether one more dry run may begin.
func (r *Reconciler) takeSlot() bool {
	if r.running.Add(1) <= dryRuns {
		return true
	}
	r.giveSlot()
	return false
}

func (r *Reconciler) giveSlot() { r.running.Add(-1) }

// announce tells watchers of work that may take a while, unless the set is new or this was told before.
func (r *Reconciler) announce(ctx context.Context, base, ms *v1alpha1.MigrationSet, set *migrations.Set) error {
	if ms.Status.Digest == "" || ms.Status.DryRun != nil && ms.Status.DryRun.Digest == set.Digest {
		return nil
	}
	message, found := fmt.Sprintf("Trying version %s on a scratch schema", set.Latest()), ms.Status.Source
	conditions.Progress(ms, message)
	conditions.False(ms, v1alpha1.ConditionRolledOut, v1alpha1.ReasonProgressing, message)
	settle(base, ms, set)
	if err := r.Status.Patch(ctx, base, ms); err != nil {
		return err
	}
	ms.DeepCopyInto(base)
	ms.Status.Source = found
	return nil
}

// Bounds of status.dryRun, by the API's schema.
const (
	maxVerdict = 1024
	maxPlan    = 50
)

// planned is the status of a dry run that passed.
func planned(ms *v1alpha1.MigrationSet, set *migrations.Set) *v1alpha1.DryRunStatus {
	from := ms.Status.Version
	if migrations.Version(from).Compare(set.Latest()) >= 0 {
		from = ""
		if p := ms.Status.Previous; p != nil {
			from = p.Version
		}
	}
	st := &v1alpha1.DryRunStatus{Digest: set.Digest, Result: v1alpha1.DryRunPassed}
	for i := range set.Migrations {
		m := &set.Migrations[i]
		if m.Version.Compare(migrations.Version(from)) <= 0 {
			continue
		}
		if st.Planned++; len(st.Plan) < maxPlan {
			st.Plan = append(st.Plan, v1alpha1.PlannedMigration{
				Version: string(m.Version), File: m.File, Transactional: m.Transactional, Statements: int32(min(len(m.Statements), migrations.MaxFileBytes)),
			})
		}
	}
	return st
}
