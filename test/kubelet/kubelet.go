// Package kubelet stands in for a kubelet, the one part of a cluster that a machine without containers
// cannot have: it watches the Pods of a namespace and runs the command of each one's container as a local
// process with the Pod's environment, and says in the Pod's status what became of it. Images, volumes,
// limits and security contexts are nothing to it. Jobs, their Pods, retries, deadlines and clean-up are
// the real controllers'.
package kubelet

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Kubelet runs the Pods of one namespace.
type Kubelet struct {
	client    client.WithWatch
	namespace string
	dir       string
	cancel    context.CancelFunc
	done      sync.WaitGroup

	mu      sync.Mutex
	running map[types.UID]context.CancelFunc
	started []string
}

// Run starts it; programs' output goes to files in dir. Stop ends it and every program that it started.
func Run(c client.WithWatch, namespace, dir string) *Kubelet {
	ctx, cancel := context.WithCancel(context.Background())
	k := &Kubelet{client: c, namespace: namespace, dir: dir, cancel: cancel, running: map[types.UID]context.CancelFunc{}}
	k.done.Go(func() {
		for ctx.Err() == nil {
			k.watch(ctx)
		}
	})
	return k
}

// Stop kills what runs and waits for its end.
func (k *Kubelet) Stop() {
	k.cancel()
	k.done.Wait()
}

// Started returns the names of the Pods whose program was started, in that order.
func (k *Kubelet) Started() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.started...)
}

// watch looks at the Pods that are there, and at their changes until the watch ends.
func (k *Kubelet) watch(ctx context.Context) {
	var list corev1.PodList
	if err := k.client.List(ctx, &list, client.InNamespace(k.namespace)); err != nil {
		return
	}
	for i := range list.Items {
		k.see(ctx, &list.Items[i], false)
	}
	options := &client.ListOptions{Namespace: k.namespace}
	options.Raw = options.AsListOptions()
	options.Raw.ResourceVersion = list.ResourceVersion
	w, err := k.client.Watch(ctx, &corev1.PodList{}, options)
	if err != nil {
		return
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok {
			k.see(ctx, pod, event.Type == "DELETED")
		}
	}
}

// see starts a Pod that is new, and ends one that is being deleted.
func (k *Kubelet) see(ctx context.Context, pod *corev1.Pod, gone bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	end, known := k.running[pod.UID]
	switch {
	case known && (gone || !pod.DeletionTimestamp.IsZero()):
		end()
	case !known && !gone && pod.DeletionTimestamp.IsZero() && pod.Status.Phase == corev1.PodPending:
		podCtx, cancel := context.WithCancel(ctx)
		k.running[pod.UID] = cancel
		k.done.Go(func() { k.pod(podCtx, pod.DeepCopy()) })
	}
}
