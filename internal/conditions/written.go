package conditions

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cacheLag is longer than a cache takes to hear of a write. It bounds what is remembered.
const cacheLag = time.Minute

// written remembers for a while which state of each object was the last that we wrote. Its zero value
// is ready for use.
type written struct {
	newest sync.Map // types.UID -> resource version
}

// note remembers an object as the API server answered it.
func (w *written) note(obj client.Object) {
	w.remember(obj.GetUID(), obj.GetResourceVersion(), cacheLag)
}

func (w *written) remember(uid types.UID, version string, during time.Duration) {
	w.newest.Store(uid, version)
	time.AfterFunc(during, func() { w.newest.CompareAndDelete(uid, version) })
}

// unseen says whether an object was read before our last write of it.
func (w *written) unseen(obj client.Object) bool {
	newest, known := w.newest.Load(obj.GetUID())
	if !known {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), newest.(string))
	return err == nil && order < 0
}
