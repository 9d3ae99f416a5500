package tenant

import (
	"cmp"
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
)

// steps is the life of a Tenant, in order. The order protects customers: a domain is published
// only after the schema behind it was verified in the same pass.
var steps = []step{
	{v1alpha1.ConditionDomainsClaimed, (*Reconciler).claim, whenClaimed, time.Minute},
	{v1alpha1.ConditionDatabaseReady, (*Reconciler).place, never, time.Minute},
	{v1alpha1.ConditionSchemaReady, (*Reconciler).provision, never, time.Minute},
	{v1alpha1.ConditionCredentialsReady, (*Reconciler).credentials, never, time.Minute},
	{v1alpha1.ConditionMigrated, (*Reconciler).migrate, whenServed, unlimited},
	{v1alpha1.ConditionVerified, (*Reconciler).verify, never, time.Minute},
	{v1alpha1.ConditionIsolated, (*Reconciler).isolate, never, time.Minute},
	{v1alpha1.ConditionRouted, (*Reconciler).route, whenRouted, time.Minute},
	{v1alpha1.ConditionReachable, (*Reconciler).reach, always, time.Minute},
}

// step is one entry of the table.
type step struct {
	condition string
	run       func(*Reconciler, context.Context, *scope) (outcome, error)
	// goOn says whether the steps behind may run although this one failed.
	goOn func(*scope) bool
	// limit is the longest that the step may take: a network that swallows packets must not hold
	// a worker that others wait for.
	limit time.Duration
}

// unlimited : a migration takes as long as its statements may, by the set's own timeouts.
const unlimited = 0

func (st step) do(ctx context.Context, r *Reconciler, s *scope) (outcome, error) {
	if st.limit == unlimited {
		return st.run(r, ctx, s)
	}
	ctx, cancel := context.WithTimeout(ctx, st.limit)
	defer cancel()
	return st.run(r, ctx, s)
}

// outcome is what a step that succeeded says in its condition. The status is True unless the step says
// otherwise: what it found is then no failure, and does not keep the tenant from being Ready.
type outcome struct {
	reason, message string
	status          metav1.ConditionStatus
}

func done(message string) outcome {
	return outcome{reason: v1alpha1.ReasonSucceeded, message: message}
}

// whenClaimed : a domain that another tenant holds keeps nobody from working on the others; an API
// server that did not answer for one must not take it off.
func whenClaimed(s *scope) bool { return s.claimed }

func never(*scope) bool { return false }

// always : a host that does not answer changes nothing in what is made for the tenant.
func always(*scope) bool { return true }

// whenRouted : what is wrong with the route of one host, or with its certificate, hides nothing of the others.
func whenRouted(s *scope) bool { return s.routed }

// whenServed : a failed upgrade leaves the customer at work on the old version.
func whenServed(s *scope) bool { return s.served() }

// runSteps runs the table and returns the failures, the first one first. Conditions of steps that
// were not reached stay as they are, or become Unknown if there are none yet.
func (r *Reconciler) runSteps(ctx context.Context, s *scope) []error {
	if err := r.resolveClass(ctx, s); err != nil {
		pending(s, steps, "the class")
		errs := []error{err}
		if fault.ReasonOf(err) != "" {
			if err := r.takeOff(ctx, s, ""); err != nil {
				errs = append(errs, err)
			}
		}
		return errs
	}
	var errs []error
	for i, st := range steps {
		out, err := st.do(ctx, r, s)
		if err == nil {
			conditions.Set(s.tenant, st.condition, cmp.Or(out.status, metav1.ConditionTrue), out.reason, out.message)
			continue
		}
		note(ctx, err, st.condition)
		err = foreseen(err)
		f := fault.Of(err, v1alpha1.ReasonRetrying)
		conditions.False(s.tenant, st.condition, f.Reason, f.Message)
		errs = append(errs, err)
		if !st.goOn(s) {
			pending(s, steps[i+1:], st.condition)
			for _, err := range []error{r.takeOff(ctx, s, st.condition), r.holdOff(ctx, s)} {
				if err != nil {
					errs = append(errs, err)
				}
			}
			break
		}
	}
	if s.unrecorded { // It did not come to the domains.
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := r.recordProof(ctx, s); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// foreseen : in a namespace that is being deleted nothing can be made any more, and the Tenant follows.
func foreseen(err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return fault.NewWaiting(v1alpha1.ReasonDeleting, 10*time.Second, "The namespace is being deleted").Because(err)
	}
	return err
}

func pending(s *scope, rest []step, behind string) {
	for _, st := range rest {
		c := conditions.Get(s.tenant, st.condition)
		if c == nil || c.Reason == v1alpha1.ReasonSuspended && !s.tenant.Spec.Suspended {
			conditions.Unknown(s.tenant, st.condition, v1alpha1.ReasonPending, "Waits for "+behind)
		}
	}
}
