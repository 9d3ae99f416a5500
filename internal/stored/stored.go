// Package stored reads what a manager's cache holds as it is, by indexes of its own. A list by a client is a
// copy of every object in it, though a shallow one: 2,000 routes take some milliseconds, which each pass over
// each of 2,000 tenants would spend.
package stored

import (
	"context"
	"sync"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reader reads from informers that hold all namespaces. A nil Reader has nothing: then a client has to list.
type Reader struct {
	informers cache.Informers

	mu sync.Mutex
	// indexed are the informers that have an index.
	indexed map[indexKey]bool
}

type indexKey struct {
	informer cache.Informer
	name     string
}

// New returns a Reader of these informers.
func New(informers cache.Informers) *Reader {
	return &Reader{informers: informers, indexed: map[indexKey]bool{}}
}

// Index says by which texts objects of a kind are found. Its name is unique for the kind.
type Index[T client.Object] struct {
	Kind T
	Name string
	Keys func(T) []string
}

// By returns the objects that an index has under a key, in no order. They are the cache's own, and nobody may
// change them. ok is false where the cache cannot be read this way. The error is that of a cluster without the
// kind, as of a list.
func (i Index[T]) By(ctx context.Context, r *Reader, key string) (items []T, ok bool, err error) {
	if r == nil {
		return nil, false, nil
	}
	informer, err := r.informers.GetInformer(ctx, i.Kind)
	if err != nil {
		return nil, false, err
	}
	shared, is := informer.(toolscache.SharedIndexInformer)
	if !is {
		return nil, false, nil
	}
	if err := r.add(shared, i.Name, func(o any) ([]string, error) { return i.Keys(o.(T)), nil }); err != nil {
		return nil, false, err
	}
	objects, err := shared.GetIndexer().ByIndex(i.Name, key)
	if err != nil {
		return nil, false, err
	}
	for _, o := range objects {
		items = append(items, o.(T))
	}
	return items, true, nil
}

// add gives an informer an index, which it builds of what it holds already.
func (r *Reader) add(informer toolscache.SharedIndexInformer, name string, keys toolscache.IndexFunc) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := indexKey{informer, name}
	if r.indexed[key] {
		return nil
	}
	if err := informer.AddIndexers(toolscache.Indexers{name: keys}); err != nil {
		return err
	}
	r.indexed[key] = true
	return nil
}
