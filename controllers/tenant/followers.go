package tenant

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// onMigrationSet queues the Tenants to which a change of their MigrationSet matters, and no other: a new
// version is nothing to a thousand tenants whose ring is not open.
func (r *Reconciler) onMigrationSet() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			behind(q, r.followers(ctx, e.Object, everyone))
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			behind(q, r.followers(ctx, e.Object, everyone))
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, is := e.ObjectOld.(*v1alpha1.MigrationSet)
			after, too := e.ObjectNew.(*v1alpha1.MigrationSet)
			if !is || !too {
				return
			}
			if who := concerned(before, after); who != nil {
				behind(q, r.followers(ctx, after, who))
			}
		},
	}
}

// calledPriority is below what is urgent and above what is looked at without a cause: who was called keeps a
// place of the rollout until it comes. Behind the thousand tenants that an operator looks at when it was
// started, each place would serve one tenant in the time of all of those.
const calledPriority = handler.LowPriority + 1

// behind queues upgrades behind what is urgent, such as new tenants.
func behind(q queue, requests []reconcile.Request) { enqueue(q, handler.LowPriority, requests) }

func enqueue(q queue, priority int, requests []reconcile.Request) {
	if pq, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		pq.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, requests...)
		return
	}
	for _, request := range requests {
		q.Add(request)
	}
}

// wake queues tenants whose turn has come.
func (r *Reconciler) wake(_ context.Context, q queue) error {
	r.Permits.OnWake(func(tenant string) {
		namespace, name, _ := strings.Cut(tenant, "/")
		enqueue(q, calledPriority, []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}})
	})
	return nil
}

func (r *Reconciler) followers(ctx context.Context, ms client.Object, who func(*v1alpha1.Tenant) bool) []reconcile.Request {
	return r.ofClasses(ctx, who, func(c *v1alpha1.TenantClass) bool {
		ref := c.Spec.MigrationSetRef
		return ref != nil && ref.Namespace == ms.GetNamespace() && ref.Name == ms.GetName()
	})
}

// concerned says to whom a change of a set matters; nil for nobody.
func concerned(before, after *v1alpha1.MigrationSet) func(*v1alpha1.Tenant) bool {
	if readiness(before) != readiness(after) || !equality.Semantic.DeepEqual(before.Spec.AllowedNamespaces, after.Spec.AllowedNamespaces) {
		return everyone
	}
	if course(before) == course(after) {
		return nil
	}
	return func(t *v1alpha1.Tenant) bool {
		if pinned(t) {
			return before.Status.Digest != after.Status.Digest
		}
		if !conditions.IsTrue(t, v1alpha1.ConditionMigrated) {
			return true
		}
		there := t.Status.Version == after.Status.Version && t.Status.Digest == after.Status.Digest
		return !there && may(after, t)
	}
}

func readiness(ms *v1alpha1.MigrationSet) string {
	c := conditions.Get(ms, v1alpha1.ConditionReady)
	if c == nil {
		return ""
	}
	return string(c.Status) + c.Reason
}

// course is what tenants go by in a set, without the counts that change with every tenant.
func course(ms *v1alpha1.MigrationSet) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d %s %s ", ms.Generation, ms.Annotations[v1alpha1.AnnotationRetry], ms.Status.Digest)
	if st := ms.Status.Rollout; st != nil {
		fmt.Fprint(&text, st.Digest, st.CompletedAt != nil, st.Stopped != nil)
		for _, ring := range st.Rings {
			fmt.Fprintf(&text, " %s:%t", ring.Name, ring.State == v1alpha1.RingDone)
		}
	}
	return text.String()
}
