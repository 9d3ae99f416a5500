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
	for _, name := range []string{"a", "b", "touched", "made", "c"} {
		q.Add(requestFor(name))
	}
	u := urgent[*gatewayv1.HTTPRoute]{TypedEventHandler: handler.TypedFuncs[*gatewayv1.HTTPRoute, reconcile.Request]{
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*gatewayv1.HTTPRoute], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			q.Add(requestFor(e.ObjectNew.Name))
		},
	}, awaited: func(_ context.Context, _, after *gatewayv1.HTTPRoute) bool { return after.Name == "made" }}
	for _, name := range []string{"touched", "made"} {
		u.Update(t.Context(), event.TypedUpdateEvent[*gatewayv1.HTTPRoute]{ObjectNew: &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Name: name}}}, q)
	}
	for _, want := range []string{"made", "a", "b", "touched", "c"} {
		if got, _ := q.Get(); got != requestFor(want) {
			t.Errorf("%s comes, want %s", got.Name, want)
		}
	}
}

// A Tenant keeps its place until it rests.
func TestPriorityOfTheNextPass(t *testing.T) {
	t.Parallel()
	for after, kept := range map[time.Duration]bool{0: true, 2 * time.Second: true, 30 * time.Second: false, 10 * time.Minute: false} {
		if got := nextPriority(ctrl.Result{RequeueAfter: after}); (got == nil) != kept || got != nil && *got != 0 {
			t.Errorf("again in %s: priority %v", after, got)
		}
	}
}
