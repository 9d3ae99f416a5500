// Package migrationset reconciles MigrationSets: it reads the files, refuses what cannot be run or
// would change history, publishes the version that tenants go to, and decides ring by ring, by what
// the tenants' statuses say, which of them may go there (package rollout). It runs migrations on
// scratch schemas alone (package dryrun) and asks no database how far a tenant is: tenants and databases do
// the work, once the set is Ready.
package migrationset

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/approval"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/dryrun"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/rollout"
	"github.com/tenantry/tenantry/internal/sources"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=migrationsets,verbs=get;list;watch
// +kubebuilder:rbac:groups=tenantry.dev,resources=migrationsets/status,verbs=patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants;tenantclasses;tenantdatabases,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=configmaps;secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,resourceNames=tenantry-approvals,verbs=get

// recheck is how often a set is looked at without cause.
const recheck = 10 * time.Minute

// Reconciler reconciles MigrationSets.
type Reconciler struct {
	client.Client
	Status  *conditions.Writer
	Pools   *databases.Pools
	Sources *sources.Loader
	// Permits hear of every count of failures.
	Permits *rollout.Permits
	// Approvals say whether an approval can be trusted.
	Approvals *approval.Keeper
	// DryRun tries new versions.
	DryRun *dryrun.Runner
	// DryRunLimit bounds a try on one database; 0 for the default.
	DryRunLimit time.Duration
	// Patience is how long after a database was made the first version of a set waits for it, to be tried there.
	Patience time.Duration
	// Busy says that Tenants are being made or migrated just now. Nil stands for never.
	Busy func() bool

	tries   tries
	running atomic.Int32
	// comparing says when checkpoints are compared again for which there was no verdict.
	comparing sync.Map
}

// Reconcile reads one MigrationSet and reports on it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ms := &v1alpha1.MigrationSet{}
	if err := r.Get(ctx, req.NamespacedName, ms); err != nil {
		if apierrors.IsNotFound(err) {
			r.Sources.Forget(req.NamespacedName)
			r.Permits.Forget(req.String())
			r.tries.forget(req.String())
			r.comparing.Delete(req.String())
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !ms.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	before := ms.DeepCopy()
	base := before.DeepCopy() // moves with what is written in between
	now := time.Now()
	set, look, again, err := r.examine(ctx, base, ms, now)
	if errors.Is(err, sources.ErrPending) && conditions.IsTrue(ms, v1alpha1.ConditionReady) {
		return r.fetching(ctx, base, ms)
	}
	settle(base, ms, set)
	tenants, listErr := r.fleet(ctx, ms)
	if listErr != nil {
		return ctrl.Result{}, listErr
	}
	decision, decideErr := r.decide(ms, tenants, now)
	if err == nil {
		err = decideErr
	}
	if decideErr == nil {
		count(ms, decision)
	}
	report(ms, decision, err)
	result, err := conclude(ms, err, summary(ms, set), decision)
	for _, moment := range []time.Time{decision.Next, r.Sources.Next(ms), again} {
		result.RequeueAfter = sooner(result.RequeueAfter, moment, now)
	}
	if look > 0 {
		result.RequeueAfter = sooner(result.RequeueAfter, now.Add(look), now)
	}
	result, err = r.Status.Finish(ctx, base, ms, result, err, recheck)
	r.warn(before, ms)
	return result, err
}

// sooner is the delay to a moment, if that comes before the delay.
func sooner(delay time.Duration, moment, now time.Time) time.Duration {
	if moment.IsZero() {
		return delay
	}
	if wait := max(moment.Sub(now), 0) + 100*time.Millisecond; delay == 0 || wait < delay {
		return wait
	}
	return delay
}

// examine reads the set, and publishes its version if nothing stands against it. It says when to look again.
func (r *Reconciler) examine(ctx context.Context, base, ms *v1alpha1.MigrationSet, now time.Time) (
	set *migrations.Set, look time.Duration, again time.Time, err error,
) {
	if ms.Spec.Job != nil {
		publishJob(ms)
		return nil, 0, again, nil
	}
	set, had, err := r.vet(ctx, ms)
	if err == nil {
		look, err = r.gate(ctx, base, ms, set, had, now)
		if err == nil && set.Digest == ms.Status.Digest { // else it waits for an approval, and nothing of it may run
			again = r.checkpoints(ctx, ms, set)
		}
	} else if fault.KindOf(err) != fault.Transient {
		withdraw(ms)
	}
	return set, look, again, err
}

// vet loads the set and holds it against what tenants already have. A digest that was published
// before needs no second look.
func (r *Reconciler) vet(ctx context.Context, ms *v1alpha1.MigrationSet) (*migrations.Set, history, error) {
	set, err := r.load(ctx, ms)
	if err != nil {
		return nil, history{}, err
	}
	if set.Digest == ms.Status.Digest && conditions.IsTrue(ms, v1alpha1.ConditionReady) {
		return set, history{}, nil
	}
	had, err := r.checkHistory(ctx, ms, set)
	return set, had, err
}

func publish(ms *v1alpha1.MigrationSet, set *migrations.Set) {
	ms.Status.Version = string(set.Latest())
	ms.Status.Digest = set.Digest
	ms.Status.Format = string(set.Format)
	ms.Status.Migrations = int32(min(len(set.Migrations), migrations.MaxFiles))
}

// unpublish takes a version back that no tenant has, as if it had never been out.
func unpublish(ms *v1alpha1.MigrationSet) {
	ms.Status.Version, ms.Status.Digest, ms.Status.Format, ms.Status.Migrations = "", "", "", 0
	ms.Status.Rollout = nil // It would count as the version before the next one.
}

// summary also warns of what PostgreSQL's parser did not understand: the server may be newer than the
// parser and know it, or the first tenant's migration will fail there.
func summary(ms *v1alpha1.MigrationSet, set *migrations.Set) string {
	if ms.Spec.Job != nil {
		return summaryOfJob(ms.Spec.Job)
	}
	text := fmt.Sprintf("%d migrations (%s) up to version %s", ms.Status.Migrations, ms.Status.Format, ms.Status.Version)
	if set == nil {
		return text
	}
	if waits := ms.Status.Proposed; waits != nil {
		text += fmt.Sprintf("; version %s waits for its approval", waits.Version)
	}
	for i := range set.Migrations {
		for _, st := range set.Migrations[i].Statements {
			if st.Unparsed != "" {
				return text + fmt.Sprintf(", but the parser did not understand %s line %d and left it to the server: %s", set.Migrations[i].File, st.Line, st.Unparsed)
			}
		}
	}
	return text
}
