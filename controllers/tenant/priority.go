package tenant

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// begunFirst is the priority of Tenants of which all is done but to say so. Behind five hundred that are yet to be
// made the first one would be Ready when the last one is.
const begunFirst = 10

// rests is how long a Tenant is left alone at least whose pass ended with a word on it, good or bad: what is to be
// tried again at once comes sooner.
const rests = 5 * time.Second

// nextPriority is that of the next pass over the Tenant: as any other's if it rests now, and as it was otherwise.
func nextPriority(result ctrl.Result) *int {
	if result.RequeueAfter >= rests {
		return new(0)
	}
	return nil
}

// urgent gives the Tenants whom an update concerns that priority, if it is what they wait for.
type urgent[object client.Object] struct {
	handler.TypedEventHandler[object, reconcile.Request]
	awaited func(ctx context.Context, before, after object) bool
}

// Update queues in front.
func (u urgent[object]) Update(ctx context.Context, e event.TypedUpdateEvent[object], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	if byPriority, is := q.(priorityqueue.PriorityQueue[reconcile.Request]); is && u.awaited(ctx, e.ObjectOld, e.ObjectNew) {
		q = inFront{byPriority}
	}
	u.TypedEventHandler.Update(ctx, e, q)
}

// inFront is a queue that adds at that priority what comes without one.
type inFront struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

// Add queues one request in front.
func (q inFront) Add(item reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, item) }

// AddWithOpts queues in front unless the options say otherwise.
func (q inFront) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	if o.Priority == nil {
		o.Priority = new(begunFirst)
	}
	q.PriorityQueue.AddWithOpts(o, items...)
}
