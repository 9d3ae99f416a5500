package tenant

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/internal/rollout"
)

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}}
}

// Who is called keeps a place until it comes: it comes before those that are looked at without a cause.
func TestWhoIsCalledComesBeforeTheSweep(t *testing.T) {
	q := priorityqueue.New[reconcile.Request]("called")
	t.Cleanup(q.ShutDown)
	r := &Reconciler{Permits: rollout.NewPermits()}
	if err := r.wake(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	ask := func(name string) rollout.Ask {
		return rollout.Ask{Set: "shop/app", Database: "main", Tenant: "shop/" + name, MaxInFlight: 1, Now: time.Now()}
	}
	if first, second := r.Permits.Start(ask("first")), r.Permits.Start(ask("second")); !first || second {
		t.Fatalf("of a single place the first got %t, the second %t", first, second)
	}
	behind(q, []reconcile.Request{request("swept-1"), request("swept-2")})
	r.Permits.End(ask("first"), true, false, time.Now())
	q.Add(request("new"))
	var order []string
	for range 4 {
		next, _ := q.Get()
		order = append(order, next.Name)
		q.Done(next)
	}
	if diff := cmp.Diff([]string{"new", "second", "swept-1", "swept-2"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
