package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// Want is one condition as a test wants it to be, and what tools say of the object as a whole.
type Want struct {
	Condition string
	// Status is True, False or Unknown; left out, it is False.
	Status metav1.ConditionStatus
	Reason string
	// Message lists parts of the message.
	Message []string
	// KStatus is what Flux, Argo CD and kubectl's kstatus make of it; left out, it is not asked.
	KStatus status.Status
}

// Ready is the wish for an object that does what it is for.
func Ready() Want {
	return Want{Condition: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, KStatus: status.CurrentStatus}
}

// Stalled is the wish for an object that only an edit helps.
func Stalled(condition, reason string, message ...string) Want {
	return Want{Condition: condition, Reason: reason, Message: message, KStatus: status.FailedStatus}
}

// Waiting is the wish for an object that waits for something else.
func Waiting(condition, reason string, message ...string) Want {
	return Want{Condition: condition, Reason: reason, Message: message, KStatus: status.InProgressStatus}
}

// Check says what of a wish is not true of an object, or nil.
func (w Want) Check(obj conditions.Object) error {
	if w.Status == "" {
		w.Status = metav1.ConditionFalse
	}
	c := conditions.Get(obj, w.Condition)
	switch {
	case c == nil:
		return fmt.Errorf("no condition %s", w.Condition)
	case c.Status != w.Status || c.Reason != w.Reason:
		return fmt.Errorf("condition %s is %s %s (%s), not %s %s", c.Type, c.Status, c.Reason, c.Message, w.Status, w.Reason)
	case c.ObservedGeneration != obj.GetGeneration():
		return fmt.Errorf("condition %s is of generation %d, the object of %d", c.Type, c.ObservedGeneration, obj.GetGeneration())
	}
	for _, part := range w.Message {
		if !strings.Contains(c.Message, part) {
			return fmt.Errorf("the message of %s is %q, without %q", c.Type, c.Message, part)
		}
	}
	if w.KStatus == "" {
		return nil
	}
	got, message, err := KStatus(obj)
	if err == nil && got != w.KStatus {
		err = fmt.Errorf("kstatus is %s (%s), not %s", got, message, w.KStatus)
	}
	return err
}

// KStatus is the status that generic tools compute.
func KStatus(obj client.Object) (status.Status, string, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return "", "", err
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: fields})
	if err != nil {
		return "", "", err
	}
	return result.Status, result.Message, nil
}

// AwaitWant waits until all wishes are true of an object at once.
func (s *Servers) AwaitWant(t testing.TB, limit time.Duration, obj conditions.Object, wants ...Want) {
	t.Helper()
	s.Await(t, limit, obj, func(gone bool) error {
		if gone {
			return fmt.Errorf("%T %s is not there", obj, client.ObjectKeyFromObject(obj))
		}
		for _, w := range wants {
			if err := w.Check(obj); err != nil {
				return err
			}
		}
		return nil
	})
}

// AwaitReady waits until all objects are Ready.
func (s *Servers) AwaitReady(t testing.TB, objs ...conditions.Object) {
	t.Helper()
	for _, obj := range objs {
		s.AwaitWant(t, Eventually, obj, Ready())
	}
}

// AwaitPass asks for a reconcile of a Tenant, and waits until one has come and all wishes are true: they may have been
// true before. A pass is known by the generation that it judged, so the spec changes where nothing comes of it: the
// switch of a login that only reads, which the class does not offer.
func (s *Servers) AwaitPass(t testing.TB, limit time.Duration, tenant *v1alpha1.Tenant, wants ...Want) {
	t.Helper()
	s.Nudge(t, tenant)
	Update(t, s, tenant, func(tn *v1alpha1.Tenant) {
		if tn.Spec.Reader == "" {
			tn.Spec.Reader = v1alpha1.SwitchDisabled
		} else {
			tn.Spec.Reader = ""
		}
	})
	s.AwaitWant(t, limit, tenant, wants...)
}

// AwaitGone waits until an object does not exist any more.
func (s *Servers) AwaitGone(t testing.TB, limit time.Duration, obj client.Object) {
	t.Helper()
	uid := obj.GetUID()
	s.Await(t, limit, obj, func(gone bool) error {
		if gone || uid != "" && obj.GetUID() != uid {
			return nil
		}
		return fmt.Errorf("%T %s is still there", obj, client.ObjectKeyFromObject(obj))
	})
}

// Expect reads an object and holds it against the wishes, at once.
func (s *Servers) Expect(t testing.TB, obj conditions.Object, wants ...Want) {
	t.Helper()
	s.Get(t, obj)
	for _, w := range wants {
		if err := w.Check(obj); err != nil {
			t.Errorf("%T %s: %v", obj, obj.GetName(), err)
		}
	}
}
