package migrationset

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/sources"
)

// load reads the files as the source says now. Of an artifact it first asks what the tag means, and puts
// that into the status; settle keeps it there only if the version is published.
func (r *Reconciler) load(ctx context.Context, ms *v1alpha1.MigrationSet) (*migrations.Set, error) {
	if ms.Spec.Source.OCI == nil {
		ms.Status.Source = nil
		conditions.Remove(ms, v1alpha1.ConditionSourceCurrent)
		return r.Sources.Load(ctx, ms)
	}
	found, err := r.Sources.Resolve(ctx, ms)
	if err == nil {
		conditions.True(ms, v1alpha1.ConditionSourceCurrent, v1alpha1.ReasonSucceeded, fmt.Sprintf("%s is %s", found.Reference, found.Digest))
	} else {
		f := fault.Of(err, v1alpha1.ReasonSourceUnavailable)
		conditions.False(ms, v1alpha1.ConditionSourceCurrent, f.Reason, f.Message)
	}
	switch published := ms.Status.Source; {
	case found != nil:
		ms.Status.Source = found
	case published != nil && published.Reference == sources.Reference(ms):
		// Whether the tag moved is unknown. What was published is still good.
	default:
		return nil, err
	}
	return r.Sources.Load(ctx, ms)
}

// settle takes an artifact out of the status again whose version was not published: tenants load what
// stands there.
func settle(base, ms *v1alpha1.MigrationSet, set *migrations.Set) {
	if ms.Spec.Source.OCI != nil && (set == nil || set.Digest != ms.Status.Digest) {
		ms.Status.Source = base.Status.Source
	}
}

// fetching lets stand what was said until there is news. But an artifact that is not the published one is
// rolled out to nobody.
func (r *Reconciler) fetching(ctx context.Context, base, ms *v1alpha1.MigrationSet) (ctrl.Result, error) {
	again := ctrl.Result{RequeueAfter: sources.Patience}
	found, published := ms.Status.Source, base.Status.Source
	if found == nil || published == nil || found.Digest == published.Digest {
		return again, nil
	}
	told, message := base.DeepCopy(), fmt.Sprintf("%s is %s, which is being fetched", found.Reference, found.Digest)
	conditions.Progress(told, message)
	conditions.False(told, v1alpha1.ConditionRolledOut, v1alpha1.ReasonProgressing, message)
	return r.Status.Finish(ctx, base, told, again, nil, recheck)
}

// ofSource queues the sets whose files are in a ConfigMap, or whose artifact is fetched with the help of
// a ConfigMap or Secret.
func (r *Reconciler) ofSource(kind string) func(ctx context.Context, o client.Object) []reconcile.Request {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		var list v1alpha1.MigrationSetList
		if err := r.List(ctx, &list, client.InNamespace(o.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
			log.FromContext(ctx).Error(err, "Cannot list MigrationSets")
			return nil
		}
		var requests []reconcile.Request
		for i := range list.Items {
			if sources.Names(&list.Items[i], kind, o.GetName()) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return requests
	}
}
