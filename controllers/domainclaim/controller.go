// Package domainclaim reconciles DomainClaims. It says whether the holder may have the host, by the
// class's word or by what DNS says, and asks DNS again and again; shows what answers on the host; hands a
// claim that nobody proved to whoever proves that the host is his; and releases claims whose Tenant went
// without releasing them, once no route of that Tenant is left. What a server cannot tell takes nothing
// from anybody, and a claim that is verified never moves.
package domainclaim

import (
	"context"
	"fmt"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/claims"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/namespaces"
	"github.com/tenantry/tenantry/internal/policies"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=domainclaims,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=tenantry.dev,resources=domainclaims/status,verbs=patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants;tenantclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=list
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=list

// recheck is how often a claim is looked at without cause.
const recheck = 30 * time.Minute

// Resolver asks DNS. No records and no error mean that there are none for sure, an error that nobody
// knows; its text is the same for the same cause.
type Resolver interface {
	// TXT returns the texts of a name, aliases followed.
	TXT(ctx context.Context, name string) ([]string, error)
	// CNAME returns what a name itself is an alias of, in lower case and without a trailing dot.
	CNAME(ctx context.Context, name string) ([]string, error)
}

// Reconciler reconciles DomainClaims.
type Reconciler struct {
	client.Client
	// Live reads from the API server itself: a claim is not released on a cache's word.
	Live     client.Reader
	Status   *conditions.Writer
	Claims   *claims.Keeper
	Policies policies.Judge
	DNS      Resolver
	// Namespaces are those whose Tenants are the operator's business. A claim of another one is left as
	// it is: nothing is known of its holder.
	Namespaces namespaces.Set
	// Clock tells the time; nil stands for the system's.
	Clock func() time.Time

	// Patience is how often a claim is looked at again whose status can wait, at first, and how long its first
	// one waits for the Tenant. Without it, every pass writes what it knows.
	Patience time.Duration
	// Busy says that Tenants are being made or migrated just now. Nil stands for never.
	Busy func() bool
	// waiting is since when the status of a claim waits. It is a cache.
	waiting sync.Map // name of the claim -> time.Time

	// known is what was learned of each claim from DNS. It is a cache: after a restart DNS is asked
	// anew, for what is verified in the course of an hour.
	known sync.Map // name of the claim -> *memory
	// asking counts the passes that wait for DNS.
	asking slots
	// indexed says that the client has the index by host.
	indexed bool
}

// Reconcile reports on one DomainClaim, or releases it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	claim := &v1alpha1.DomainClaim{}
	if err := r.Get(ctx, req.NamespacedName, claim); err != nil {
		r.known.Delete(req.Name)
		r.waiting.Delete(req.Name)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !claim.DeletionTimestamp.IsZero() || claim.Spec.Role == v1alpha1.HostTenant && !r.Namespaces.Has(claim.Spec.Holder.Namespace) {
		return ctrl.Result{}, nil
	}
	holder, alive, err := r.holder(ctx, claim)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !alive {
		return r.release(ctx, claim)
	}
	base := claim.DeepCopy()
	result, _ := conditions.Conclude(claim, nil, "Held by a living "+claim.Spec.Holder.Kind) // nil in, nil out
	found, err := r.verify(ctx, claim, holder)
	if err != nil {
		return ctrl.Result{}, err
	}
	claim.Status.Serving = serving(claim, holder)
	if waited, waits := r.waits(base, claim, holder); waits && found.winner == nil {
		return ctrl.Result{RequeueAfter: r.lookAgain(waited, found.next)}, nil
	}
	result.RequeueAfter = min(found.next, recheck)
	result, err = r.Status.Finish(ctx, base, claim, result, nil, recheck)
	if err != nil || found.winner == nil {
		return result, err
	}
	return r.handOver(ctx, claim, found.winner)
}

// release gives a claim up whose Tenant is gone, or whose host no class declares any more.
func (r *Reconciler) release(ctx context.Context, claim *v1alpha1.DomainClaim) (ctrl.Result, error) {
	left, err := r.lastRoutes(ctx, claim)
	if err != nil {
		return ctrl.Result{}, err
	}
	if left > 0 {
		base := claim.DeepCopy()
		why := "The Tenant is gone"
		if claim.Spec.Role != v1alpha1.HostTenant {
			why = fmt.Sprintf("No TenantClass has %s as a %s host any more", claim.Spec.Host, claim.Spec.Role)
		}
		result, err := conditions.Conclude(claim, fault.NewWaiting(v1alpha1.ReasonHolderGone, 2*time.Second,
			"%s; the claim is released when %d routes are gone", why, left), "")
		return r.Status.Finish(ctx, base, claim, result, err, recheck)
	}
	uid := claim.UID
	return ctrl.Result{}, client.IgnoreNotFound(r.Delete(ctx, claim, client.Preconditions{UID: &uid}))
}

// handOver lets the Tenant have the host that has proved it. If it cannot be done now, since the holder
// still has a route on it, or something else came between, it is tried again soon.
func (r *Reconciler) handOver(ctx context.Context, claim *v1alpha1.DomainClaim, winner *party) (ctrl.Result, error) {
	_, err := r.Claims.Take(ctx, winner.claim(), winner.labels(), func(c *v1alpha1.DomainClaim) (bool, error) { return r.yields(ctx, c) })
	logger := log.FromContext(ctx).WithValues("host", winner.host, "tenant", client.ObjectKeyFromObject(winner.tenant).String())
	if err != nil {
		if fault.ReasonOf(err) == "" && !conditions.IsConflict(err) {
			return ctrl.Result{}, err
		}
		logger.Info("Proved host cannot be had yet", "cause", err.Error())
		r.askAgain(claim, handOverAgain)
		return ctrl.Result{RequeueAfter: handOverAgain}, nil
	}
	logger.Info("Claim passes to the Tenant that proved control", "before", claim.Name, "holder", claim.Spec.Holder.Namespace+"/"+claim.Spec.Holder.Name)
	return ctrl.Result{}, nil
}

func (r *Reconciler) now() time.Time {
	if r.Clock != nil {
		return r.Clock()
	}
	return time.Now()
}
