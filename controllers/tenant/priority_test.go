package tenant

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}}
}

// A Tenant whose route was accepted comes before those that wait to be made, also if it waits already.
func TestAcceptedRoutesComeFirst(t *testing.T) {
	t.Parallel()
	q := priorityqueue.New[reconcile.Request]("test")
	defer q.ShutDown()
	for _, name := range []string{"a", "b", "made", "c"} {
		q.Add(requestFor(name))
	}
	u := urgent[*gatewayv1.HTTPRoute]{handler.TypedFuncs[*gatewayv1.HTTPRoute, reconcile.Request]{
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*gatewayv1.HTTPRoute], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			q.Add(requestFor(e.ObjectNew.Name))
		},
	}}
	u.Update(t.Context(), event.TypedUpdateEvent[*gatewayv1.HTTPRoute]{ObjectNew: &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Name: "made"}}}, q)
	for _, want := range []string{"made", "a", "b", "c"} {
		if got, _ := q.Get(); got != requestFor(want) {
			t.Errorf("%s comes, want %s", got.Name, want)
		}
	}
}

// What was made comes again in front until it rests; what waits for others keeps its place.
func TestPriorityOfTheNextPass(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		works bool
		after time.Duration
		want  int // -1: as it was
	}{
		"made":         {works: true, after: time.Second, want: begunFirst},
		"made, failed": {works: true, want: begunFirst},
		"waits":        {after: 2 * time.Second, want: -1},
		"failed":       {want: -1},
		"rests":        {after: 10 * time.Minute},
	} {
		got := (&scope{works: tt.works}).priority(ctrl.Result{RequeueAfter: tt.after})
		if got == nil && tt.want >= 0 || got != nil && *got != tt.want {
			t.Errorf("%s: priority %v, want %d", name, got, tt.want)
		}
	}
}
