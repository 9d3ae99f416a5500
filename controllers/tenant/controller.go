// Package tenant reconciles Tenants: claim, place, provision, credentials, migrate, verify, isolate,
// route, reach, one step for each condition (see steps), and the same in reverse when a Tenant goes. Every step
// observes before it acts and trusts no condition that an earlier pass wrote. A pass over an
// unchanged Tenant writes nothing.
package tenant

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/claims"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/jobs"
	"github.com/tenantry/tenantry/internal/listeners"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/policies"
	"github.com/tenantry/tenantry/internal/probing"
	"github.com/tenantry/tenantry/internal/publish"
	"github.com/tenantry/tenantry/internal/quotas"
	"github.com/tenantry/tenantry/internal/rollout"
	"github.com/tenantry/tenantry/internal/sources"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants/status,verbs=patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants/finalizers,verbs=update
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclasses;tenantdatabases;migrationsets,verbs=get;list;watch
// +kubebuilder:rbac:groups=tenantry.dev,resources=domainclaims,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=configmaps;services;namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways;gatewayclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=list
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// recheck is how often a Ready tenant is looked at without cause: nothing in Kubernetes tells that
// somebody altered a role or dropped a grant.
const recheck = 10 * time.Minute

// Reconciler reconciles Tenants.
type Reconciler struct {
	// Client reads from the cache and writes. Secrets and ConfigMaps are read through it as
	// metadata only.
	client.Client
	// Live reads from the API server itself: Secrets' contents, and the holder of a claim that
	// the cache does not know yet.
	Live      client.Reader
	Status    *conditions.Writer
	Pools     *databases.Pools
	Placement *databases.Placement
	Sources   *sources.Loader
	Claims    *claims.Keeper
	Policies  policies.Judge
	Publisher *publish.Publisher
	Logins    *logins.Keeper
	// Certificates and Listeners are those of custom domains.
	Certificates *certificates.Keeper
	Listeners    *listeners.Keeper
	Prober       *probing.Prober
	// Jobs are those that migrate tenants by a program of the product, Batches put tenants together for
	// them.
	Jobs    *jobs.Keeper
	Batches *jobs.Gatherer

	// RecallWithin is how old a look at a tenant's database may be in a pass that nothing there calls for;
	// 0 makes every pass look itself.
	RecallWithin time.Duration
	// Patience is how long the first status of a tenant may wait for the data plane, so that it is the
	// last one too. Without it, every pass writes what it knows.
	Patience time.Duration
	// working counts the passes that make or migrate a tenant, worked is when the last one ended.
	working atomic.Int32
	worked  atomic.Int64 // nanoseconds since 1970
	// met are the Tenants without a verdict over which a pass of this process was, and since when all but the
	// data plane's word is there; nil for not yet.
	met sync.Map // types.UID -> *time.Time
	// checked remembers what was proved of a tenant's login, so that a steady tenant costs no log-in. It
	// is a cache: after a restart the registry knows what was proved under the same circumstances.
	checked sync.Map // types.UID -> proof
	// readers is the same for logins that can only read.
	readers sync.Map // types.UID -> proof
	// inserts remembers whose registry was asked whether a quota took INSERT away.
	inserts sync.Map // types.UID -> true
	// Quotas measures schemas.
	Quotas *quotas.Keeper
	// recorded remembers which files the registries know, so that one tenant of a thousand writes
	// them.
	recorded sync.Map // recordKey -> true
	attempts attempts
	// ledgers remembers what the ledger of a tenant had that was upgraded lately. It is compared before it is
	// gone by.
	ledgers sync.Map // ledgerKey -> ledger
	// Permits say whose turn it is in a rollout.
	Permits *rollout.Permits
	// left remembers which Tenants' databases were left: a later pass of a deletion that still waits
	// for claims has no more to do there, and need not reach a server that may be gone by now.
	left sync.Map // types.UID -> true
}

// recordKey names a file that the registry knows, as long as it is that server's: one that was restored may lack it.
type recordKey struct {
	database types.UID
	server   int64
	set      string
	version  migrations.Version
	checksum string
}

// Reconcile brings one Tenant to what its spec says and reports how far it came.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	// Whoever was called to migrate and had no need to leaves the turn to the next.
	defer func() { r.Permits.Passed(req.String(), time.Now()) }()
	t := &v1alpha1.Tenant{}
	if err := r.Get(ctx, req.NamespacedName, t); err != nil {
		if apierrors.IsNotFound(err) {
			// Somebody may have taken its finalizer off.
			r.Prober.Forget(req.NamespacedName)
			r.Permits.Gone(req.String(), time.Now())
			r.Permits.Pardon(req.String())
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !t.DeletionTimestamp.IsZero() {
		return r.reconcileDelete(ctx, t)
	}
	fresh, err := conditions.AddFinalizer(ctx, r.Client, t)
	if err != nil {
		return conditions.Written(err)
	}
	first := r.meet(t)
	// That the finalizer was missing says nothing of a Tenant from which somebody took it.
	s := &scope{tenant: t, base: t.DeepCopy(), first: first, fresh: first && fresh, started: time.Now(), busy: r.Busy()}
	defer func() {
		r.rest(s)
		result.Priority = cmp.Or(result.Priority, nextPriority(result))
	}()
	stepErrs := r.runSteps(ctx, s)
	asideErr := r.asides(ctx, s)
	if slices.ContainsFunc(stepErrs, conditions.IsConflict) {
		// An object was read from a cache that is behind. That is no state to report.
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	if left := r.waits(s, stepErrs); left > 0 && asideErr == nil {
		// Not behind all that an operator looks at which has just started.
		return ctrl.Result{RequeueAfter: left, Priority: new(0)}, nil
	}
	result, err = conclude(t, stepErrs, s)
	if err == nil && asideErr != nil {
		s.lookAgain(asideAgain)
		note(ctx, asideErr, "aside")
	}
	switch {
	case err != nil:
	case len(stepErrs) == 0:
		result.RequeueAfter = r.again(s)
	default:
		result.RequeueAfter = s.soonest(result.RequeueAfter)
	}
	return r.Status.Finish(ctx, s.base, t, result, err, s.next())
}

// meet says whether no pass was over a Tenant before, as far as this process and the Tenant's status tell.
func (r *Reconciler) meet(t *v1alpha1.Tenant) bool {
	if concluded(t) {
		r.met.Delete(t.UID)
		return false
	}
	_, met := r.met.LoadOrStore(t.UID, (*time.Time)(nil))
	st := t.Status
	return !met && st.Database == nil && st.Schema == "" && st.Binding == nil
}

// waits is how long the first status of a tenant can still wait for what the data plane has to say of routes that
// were just made, where nothing else is left to do.
func (r *Reconciler) waits(s *scope, errs []error) time.Duration {
	if r.Patience == 0 || concluded(s.base) || !onlyRoutesWait(errs) {
		return 0
	}
	now := time.Now()
	if since, met := r.met.Load(s.tenant.UID); met && since.(*time.Time) != nil {
		return r.Patience - now.Sub(*since.(*time.Time))
	}
	r.met.Store(s.tenant.UID, &now)
	return r.Patience
}

// Busy says that tenants are being made or migrated just now, for which others can wait.
func (r *Reconciler) Busy() bool {
	return r.working.Load() > 0 || time.Since(time.Unix(0, r.worked.Load())) < 2*time.Second
}

// work notes that a pass makes or migrates its tenant, until rest.
func (r *Reconciler) work(s *scope) {
	if !s.works {
		s.works = true
		r.working.Add(1)
	}
}

func (r *Reconciler) rest(s *scope) {
	if s.works {
		r.worked.Store(time.Now().UnixNano())
		r.working.Add(-1)
	}
}

// onlyRoutesWait says that all is done but what the data plane has to say of routes that were just made.
func onlyRoutesWait(errs []error) bool {
	if len(errs) != 1 {
		return false
	}
	_, waits := errors.AsType[*publish.NotAccepted](errs[0])
	return waits
}

// conclude sums the steps up: the first failure is the verdict, the most impatient one says when
// to come back.
func conclude(t *v1alpha1.Tenant, errs []error, s *scope) (ctrl.Result, error) {
	if len(errs) == 0 {
		return conditions.Conclude(t, nil, s.summary())
	}
	if len(errs) == 1 && s.version != "" && fault.ReasonOf(errs[0]) == v1alpha1.ReasonProgressing {
		// A Job is at work: the customer works at the old version until there is a verdict.
		if worksMeanwhile(t, s) {
			conditions.True(t, v1alpha1.ConditionReady, v1alpha1.ReasonReady, s.summary())
		}
		conditions.Progress(t, fault.Of(errs[0], "").Message)
		return ctrl.Result{RequeueAfter: fault.Of(errs[0], "").After}, nil
	}
	result, err := conditions.Conclude(t, errs[0], "")
	for _, other := range errs[1:] {
		if fault.KindOf(other) == fault.Transient {
			return ctrl.Result{}, other
		}
		if after := fault.Of(other, "").After; after > 0 && after < result.RequeueAfter {
			result.RequeueAfter = after
		}
	}
	return result, err
}

// worksMeanwhile says of a tenant for which a Job is at work that all else was found in order, while its status
// still tells of something that is over. What an earlier migration met stands until this one has ended.
func worksMeanwhile(t *v1alpha1.Tenant, s *scope) bool {
	ready, migrated := conditions.Get(t, v1alpha1.ConditionReady), conditions.Get(t, v1alpha1.ConditionMigrated)
	return s.served() && ready != nil && ready.Status == metav1.ConditionFalse && ready.ObservedGeneration == t.Generation &&
		!rollout.Refused(ready.Reason) && migrated != nil && migrated.Reason == v1alpha1.ReasonProgressing
}

// note logs what only SREs need: the cause behind a fault's message.
func note(ctx context.Context, err error, step string) {
	log.FromContext(ctx).V(1).Info("Step not done", "step", step, "cause", err.Error())
}
