package stored

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// informers have one informer, or none and an error.
type informers struct {
	cache.Informers

	informer cache.Informer
	err      error
}

func (i informers) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return i.informer, i.err
}

// apart is an informer of a cache that keeps namespaces apart.
type apart struct{ cache.Informer }

var byWord = Index[*corev1.ConfigMap]{Kind: &corev1.ConfigMap{}, Name: "word", Keys: func(m *corev1.ConfigMap) []string {
	return strings.Fields(m.Data["words"])
}}

func words(name, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Data: map[string]string{"words": text}}
}

func TestBy(t *testing.T) {
	informer := toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &corev1.ConfigMap{}, 0, toolscache.Indexers{})
	r := New(informers{informer: informer})
	put := func(m *corev1.ConfigMap) {
		t.Helper()
		if err := informer.GetIndexer().Update(m); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(key string, want ...string) {
		t.Helper()
		items, ok, err := byWord.By(t.Context(), r, key)
		var got []string
		for _, m := range items {
			got = append(got, m.Name)
		}
		slices.Sort(got)
		if err != nil || !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, %v, want %q", key, got, ok, err, want)
		}
	}
	put(words("a", "one two")) // before there is an index
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() { _, _, _ = byWord.By(t.Context(), r, "one") })
	}
	readers.Wait()
	expect("one", "a")
	put(words("b", "two three"))
	expect("two", "a", "b")
	put(words("a", "three"))
	expect("one")
	expect("three", "a", "b")
}

// Where a cache cannot be read so, a client has to list, or meets the same error.
func TestNothingStored(t *testing.T) {
	missing := errors.New("no such kind")
	for name, tt := range map[string]struct {
		r    *Reader
		want error
	}{
		"no reader":          {nil, nil},
		"apart by namespace": {New(informers{informer: apart{}}), nil},
		"no kind":            {New(informers{err: missing}), missing},
	} {
		if items, ok, err := byWord.By(t.Context(), tt.r, "one"); ok || len(items) > 0 || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, %v", name, items, ok, err)
		}
	}
}
