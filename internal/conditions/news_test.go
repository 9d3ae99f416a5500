package conditions

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/reference"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// heard is a recorder that keeps what an event would say, and when it was sent.
type heard struct {
	scheme *runtime.Scheme
	begun  time.Time
	events []string
	after  []time.Duration
}

func (h *heard) Eventf(about, _ runtime.Object, kind, reason, action, note string, args ...any) {
	ref, err := reference.GetReference(h.scheme, about)
	if err != nil {
		panic(err)
	}
	h.events = append(h.events, fmt.Sprintf("%s %s %s/%s %s %s: ", ref.APIVersion, ref.Kind, ref.Namespace, ref.Name, ref.UID, ref.ResourceVersion)+
		fmt.Sprintf("%s %s %s ", kind, reason, action)+fmt.Sprintf(note, args...))
	h.after = append(h.after, time.Since(h.begun))
}

// knowing is a client that knows the kinds, and no server.
type knowing struct {
	client.Client
	scheme *runtime.Scheme
}

func (k knowing) Scheme() *runtime.Scheme { return k.scheme }

func listen(t *testing.T, busy func() bool) (*Writer, *heard) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	h := &heard{scheme: scheme, begun: time.Now()}
	return &Writer{Client: knowing{scheme: scheme}, Recorder: h, Busy: busy}, h
}

func TestGoodNewsWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		kind     string
		busyFor  time.Duration
		from, to time.Duration // when it is told
	}{
		"nothing else to do": {corev1.EventTypeNormal, 0, 0, 0},
		"bad news":           {corev1.EventTypeWarning, time.Hour, 0, 0},
		"busy for a moment":  {corev1.EventTypeNormal, time.Millisecond, newsLook, newsLook + newsTick},
		"busy for a while":   {corev1.EventTypeNormal, 10*time.Second + time.Millisecond, 11 * time.Second, 11*time.Second + newsTick},
		"always busy":        {corev1.EventTypeNormal, time.Hour, longestNewsWait - newsTick, longestNewsWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				w, h := listen(t, func() bool { return time.Since(begun) < tt.busyFor })
				tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: "tasklane", Name: "acme", UID: "uid", ResourceVersion: "7"}}
				w.tell(tenant, tt.kind, "Why", "What", "100 % done")
				*tenant = v1alpha1.Tenant{} // It does what it wants meanwhile.
				<-time.After(2 * longestNewsWait)
				if diff := cmp.Diff([]string{"tenantry.dev/v1alpha1 Tenant tasklane/acme uid 7: " + tt.kind + " Why What 100 % done"}, h.events); diff != "" {
					t.Fatalf("events (-want +got):\n%s", diff)
				}
				if got := h.after[0]; got < tt.from || got > tt.to {
					t.Errorf("told after %s, want %s to %s", got, tt.from, tt.to)
				}
			})
		})
	}
}

// What a fleet has to tell is told by one timer, but not in one moment, and then nothing is kept.
func TestNewsOfAFleet(t *testing.T) {
	const tenants = 100
	synctest.Test(t, func(t *testing.T) {
		busy := true
		w, h := listen(t, func() bool { return busy })
		for i := range tenants {
			w.tell(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}}, corev1.EventTypeNormal, "Ready", "Ready", "")
			<-time.After(newsLook / 20)
		}
		busy, h.begun = false, time.Now()
		<-time.After(newsLook + newsTick)
		synctest.Wait()
		if len(h.events) != tenants || w.waiting.news != nil {
			t.Fatalf("%d of %d events were sent, and %d wait", len(h.events), tenants, len(w.waiting.news))
		}
		moments, seen := map[time.Duration]int{}, map[string]bool{}
		for i, at := range h.after {
			moments[at]++
			seen[h.events[i]] = true
		}
		if len(seen) != tenants {
			t.Errorf("%d events of %d tenants", len(seen), tenants)
		}
		for at, n := range moments {
			if n > tenants/5 {
				t.Errorf("%d events were sent at once, after %s", n, at)
			}
		}
		// Nor does the first wait keep a second one from being looked at.
		busy = true
		w.tell(&v1alpha1.Tenant{}, corev1.EventTypeNormal, "Ready", "Ready", "")
		busy = false
		<-time.After(newsLook + newsTick)
		synctest.Wait()
		if len(h.events) != tenants+1 {
			t.Error("later news was not told")
		}
	})
}
