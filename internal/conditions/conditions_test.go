package conditions_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
)

func newTenant() *v1alpha1.Tenant {
	t := &v1alpha1.Tenant{}
	t.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Tenant"))
	t.Namespace, t.Name, t.Generation = "tasklane", "acme", 3
	return t
}

func TestConcludeReadsAsKstatusWantsIt(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		err           error
		wantKstatus   status.Status
		wantReason    string
		wantAfter     time.Duration
		wantErr       bool
		wantCondition string // beside Ready; "" for none
	}{
		"done":             {nil, status.CurrentStatus, v1alpha1.ReasonReady, 0, false, ""},
		"only an edit":     {fault.NewInvalid("Bad", "bad"), status.FailedStatus, "Bad", fault.RecheckInvalid, false, v1alpha1.ConditionStalled},
		"waiting":          {fault.NewWaiting("Full", time.Second, "full"), status.InProgressStatus, "Full", time.Second, false, v1alpha1.ConditionReconciling},
		"waiting, no word": {fault.NewWaiting("Full", 0, "full"), status.InProgressStatus, "Full", 30 * time.Second, false, v1alpha1.ConditionReconciling},
		"transient":        {boom, status.InProgressStatus, v1alpha1.ReasonRetrying, 0, true, v1alpha1.ConditionReconciling},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			obj := newTenant()
			// Whatever the pass before said must not stay.
			conditions.True(obj, v1alpha1.ConditionStalled, "Old", "old")
			conditions.True(obj, v1alpha1.ConditionReconciling, "Old", "old")
			result, err := conditions.Conclude(obj, tt.err, "ok")
			if (err != nil) != tt.wantErr || result.RequeueAfter != tt.wantAfter {
				t.Errorf("Conclude() = %v, %v", result, err)
			}
			if err != nil && result.RequeueAfter != 0 {
				t.Error("an error with a delay: the delay would be ignored")
			}
			if c := conditions.Get(obj, v1alpha1.ConditionReady); c.Reason != tt.wantReason || c.ObservedGeneration != 3 {
				t.Errorf("Ready = %+v", c)
			}
			want := 1
			if tt.wantCondition != "" {
				want = 2
				if conditions.Get(obj, tt.wantCondition) == nil {
					t.Errorf("no condition %s", tt.wantCondition)
				}
			}
			if n := len(*obj.GetConditions()); n != want {
				t.Errorf("%d conditions, want %d: %+v", n, want, *obj.GetConditions())
			}
			if got := kstatus(t, obj); got != tt.wantKstatus {
				t.Errorf("kstatus says %s, want %s", got, tt.wantKstatus)
			}
		})
	}
}

func TestProgressKeepsReady(t *testing.T) {
	obj := newTenant()
	conditions.Progress(obj, "first")
	if c := conditions.Get(obj, v1alpha1.ConditionReady); c == nil || c.Status != metav1.ConditionUnknown {
		t.Errorf("Ready before the first verdict = %+v, want Unknown", c)
	}
	_, _ = conditions.Conclude(obj, nil, "ok")
	conditions.Progress(obj, "again")
	if !conditions.IsTrue(obj, v1alpha1.ConditionReady) || kstatus(t, obj) != status.InProgressStatus {
		t.Error("an upgrade under way must be in progress, and its customer still served")
	}
}

func TestMessagesAreBoundedAndWhole(t *testing.T) {
	obj := newTenant()
	conditions.False(obj, "Migrated", "Failed", strings.Repeat("ä", 5000))
	m := conditions.Get(obj, "Migrated").Message
	if len(m) > 4096 || !strings.HasSuffix(m, "ä...") {
		t.Errorf("%d bytes, ends in %q", len(m), m[len(m)-6:])
	}
}

// kstatus asks the library by which Flux, Argo CD's plug-ins and kubectl wait for.
func kstatus(t *testing.T, obj *v1alpha1.Tenant) status.Status {
	t.Helper()
	obj.Status.ObservedGeneration = obj.Generation
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		t.Fatal(err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		t.Fatal(err)
	}
	return result.Status
}
