package conditions

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// RateLimiter backs off from half a second to two minutes: the queue's own bound would leave a
// server that is mended unseen for a quarter of an hour.
func RateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](500*time.Millisecond, 2*time.Minute)
}

// defaultWait is the delay of a Waiting fault that names none.
const defaultWait = 30 * time.Second

// Conclude sums a reconcile up into Ready, Reconciling and Stalled and says when to come back.
// A nil error makes the object Ready with the given message. An Invalid fault stalls it, with a
// slow re-check since nothing tells us that somebody mended a server. A Waiting fault comes back
// after its delay. Every other error is returned, for the queue's back-off.
func Conclude(obj Object, err error, readyMessage string) (ctrl.Result, error) {
	f := fault.Of(err, v1alpha1.ReasonRetrying)
	if f == nil {
		True(obj, v1alpha1.ConditionReady, v1alpha1.ReasonReady, readyMessage)
		Remove(obj, v1alpha1.ConditionReconciling)
		Remove(obj, v1alpha1.ConditionStalled)
		return ctrl.Result{}, nil
	}
	False(obj, v1alpha1.ConditionReady, f.Reason, f.Message)
	if f.Kind == fault.Invalid {
		Remove(obj, v1alpha1.ConditionReconciling)
		True(obj, v1alpha1.ConditionStalled, f.Reason, f.Message)
		return ctrl.Result{RequeueAfter: either(f.After, fault.RecheckInvalid)}, nil
	}
	Remove(obj, v1alpha1.ConditionStalled)
	True(obj, v1alpha1.ConditionReconciling, f.Reason, f.Message)
	if f.Kind == fault.Waiting {
		return ctrl.Result{RequeueAfter: either(f.After, defaultWait)}, nil
	}
	return ctrl.Result{}, err
}

// Progress says that work towards a new generation, or the first work of all, is under way. An
// object that was Ready stays so until there is a verdict: its customer is still served.
func Progress(obj Object, message string) {
	if Get(obj, v1alpha1.ConditionReady) == nil {
		Unknown(obj, v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, message)
	}
	Remove(obj, v1alpha1.ConditionStalled)
	True(obj, v1alpha1.ConditionReconciling, v1alpha1.ReasonProgressing, message)
}

// finished says whether the last Conclude was a verdict on the object's generation: Ready or
// Stalled. Only then may status.observedGeneration move.
func finished(obj Object) bool {
	return Current(obj, v1alpha1.ConditionReady) || Current(obj, v1alpha1.ConditionStalled)
}

func either(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}
