package conditions

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// maxNote bounds the text of an event; the API refuses more than 1 KiB.
const maxNote = 1000

// Writer writes statuses and the events of their transitions; no events without a Recorder.
type Writer struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Busy says that good news should wait. Nil stands for never.
	Busy func() bool

	written written
	waiting waiting
}

// Patch writes obj's status if it differs from base's: one merge patch under the optimistic lock,
// since a merge patch replaces the whole list of conditions and would otherwise lose another
// writer's. Events follow the write, so that none tells of a state that never was. An object that
// is gone needs no status: that is no error.
func (w *Writer) Patch(ctx context.Context, base, obj Object) error {
	version := base.GetResourceVersion()
	data, err := StatusPatch(base, obj, version)
	if err != nil || data == nil {
		return err
	}
	if version == "" {
		return fmt.Errorf("%s has no resource version to lock its status by", obj.GetName())
	}
	before := append([]metav1.Condition(nil), *base.GetConditions()...)
	if err := w.send(ctx, obj, data); err != nil {
		return client.IgnoreNotFound(err)
	}
	w.written.note(obj)
	if w.Recorder != nil {
		w.announce(obj, before)
	}
	return nil
}

// send writes, and has the API server answer with metadata alone: the rest is known, and a fleet's statuses are
// long.
func (w *Writer) send(ctx context.Context, obj Object, data []byte) error {
	kind, err := apiutil.GVKForObject(obj, w.Client.Scheme())
	if err != nil {
		return err
	}
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
	answer.SetGroupVersionKind(kind)
	if err := w.Client.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, data)); err != nil {
		return err
	}
	obj.SetResourceVersion(answer.ResourceVersion)
	return nil
}

// Finish ends a reconcile: it writes the status and says when to come back, after at most recheck.
// result and err are what Conclude returned. A status that was written after this pass read it is no
// failure: the next pass, soon, sees it. That holds for our own writes too, of which the cache may
// not have heard: to such a pass nothing may seem to have changed, and no watch would tell it.
func (w *Writer) Finish(ctx context.Context, base, obj Object, result ctrl.Result, err error, recheck time.Duration) (ctrl.Result, error) {
	if finished(obj) {
		obj.SetObservedGeneration(obj.GetGeneration())
	}
	if w.written.unseen(base) {
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	if patchErr := w.Patch(ctx, base, obj); patchErr != nil {
		if !IsConflict(patchErr) {
			return ctrl.Result{}, patchErr
		}
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if result.RequeueAfter == 0 {
		result.RequeueAfter = spread(recheck, obj.GetUID())
	}
	return result, nil
}

// spread keeps a fleet that was made in one minute from being re-checked in one minute for ever.
func spread(d time.Duration, uid types.UID) time.Duration {
	var sum uint32
	for _, c := range []byte(uid) {
		sum = sum*31 + uint32(c)
	}
	return d + time.Duration(sum%1000)*d/4000
}

// IsConflict says whether a status was not written because somebody else wrote first; the next
// pass sees their word.
func IsConflict(err error) bool { return apierrors.IsConflict(err) }

// announce sends the events of a write: for each condition whose status or reason moved, if that is
// news. Reconciling comes and goes with every pass and Stalled repeats Ready.
func (w *Writer) announce(obj Object, before []metav1.Condition) {
	for _, c := range *obj.GetConditions() {
		old := meta.FindStatusCondition(before, c.Type)
		if c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled ||
			old != nil && old.Status == c.Status && old.Reason == c.Reason {
			continue
		}
		if kind := newsOf(obj, c, before); kind != "" {
			w.tell(obj, kind, c.Reason, c.Type, ClipTo(c.Type+": "+c.Message, maxNote))
		}
	}
}

// newsOf returns the type of a transition's event, or "" where it is none: what a new object still
// waits for, work under way (an ordered deletion too), and the first success of a detail, would bury
// the events that matter under hundreds of others. Warnings are for what only an edit ends, and for
// what worked and no longer does.
func newsOf(obj Object, c metav1.Condition, before []metav1.Condition) string {
	wasReady := meta.IsStatusConditionTrue(before, v1alpha1.ConditionReady)
	wasStalled := meta.IsStatusConditionTrue(before, v1alpha1.ConditionStalled)
	switch {
	case c.Reason == v1alpha1.ReasonProgressing, c.Reason == v1alpha1.ReasonDeleting:
		return ""
	case c.Type == v1alpha1.ConditionApproved:
		return approvalNews(c)
	case c.Type == v1alpha1.ConditionRolledOut && (c.Reason == v1alpha1.ReasonApprovalRequired || c.Reason == v1alpha1.ReasonApprovalUnguarded):
		return "" // That is Approved's news.
	case c.Type == v1alpha1.ConditionRolledOut && says(obj, v1alpha1.ConditionReady, c):
		return "" // That is Ready's news.
	case c.Type == v1alpha1.ConditionRolledOut && c.Reason != v1alpha1.ReasonFailureBudgetSpent:
		return rolloutNews(c, before)
	case c.Type == v1alpha1.ConditionIsolated && c.Status == metav1.ConditionFalse && c.Reason != v1alpha1.ReasonSharedLogin:
		return corev1.EventTypeWarning // whatever state the tenant is in: a leak does not wait
	case c.Status == metav1.ConditionFalse && (wasReady || IsTrue(obj, v1alpha1.ConditionStalled)):
		return corev1.EventTypeWarning
	case c.Status == metav1.ConditionTrue && (c.Type == v1alpha1.ConditionReady || wasStalled):
		return corev1.EventTypeNormal
	}
	return ""
}

// says : another condition says the same of the object.
func says(obj Object, condition string, c metav1.Condition) bool {
	other := Get(obj, condition)
	return other != nil && other.Status == c.Status && other.Reason == c.Reason
}

// approvalNews : who approved is news, and that somebody has to; that nobody had to is none.
func approvalNews(c metav1.Condition) string {
	switch {
	case c.Status == metav1.ConditionFalse:
		return corev1.EventTypeWarning
	case c.Reason == v1alpha1.ReasonApproved:
		return corev1.EventTypeNormal
	}
	return ""
}

// rolloutNews : the way of a version is news, but that a new set has no tenants is none.
func rolloutNews(c metav1.Condition, before []metav1.Condition) string {
	if meta.FindStatusCondition(before, c.Type) == nil {
		return ""
	}
	return corev1.EventTypeNormal
}
