// Package late watches kinds that a cluster may get only after the operator was installed: it asks from time
// to time whether the kind is there.
package late

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// poll is how often a cluster without the kind is asked whether it has it now.
const poll = 30 * time.Second

// Watch begins a watch as soon as the cluster has the kind. It is a Runnable of a manager.
type Watch struct {
	Kind   schema.GroupVersionKind
	Mapper meta.RESTMapper
	// Begin adds the watch to its controller.
	Begin func() error
}

// Start returns when the watch has begun, or with the context.
func (w *Watch) Start(ctx context.Context) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		_, err := w.Mapper.RESTMapping(w.Kind.GroupKind(), w.Kind.Version)
		if err == nil {
			err = w.Begin()
		}
		if err == nil {
			return nil
		}
		if !meta.IsNoMatchError(err) {
			log.FromContext(ctx).Error(err, "Cannot watch yet", "kind", w.Kind.Kind)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// NeedLeaderElection keeps the watch with the controller that it belongs to.
func (w *Watch) NeedLeaderElection() bool { return true }
