package operator

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"
)

// Deadlines of waiting. A busy machine needs far more time than the work takes.
const (
	// Eventually bounds what takes several steps.
	Eventually = 90 * time.Second
	// Bookkeeping bounds what a claim tells that can wait two minutes for others' tenants.
	Bookkeeping = 4 * time.Minute
	// Soon is less than the re-check of an object without cause: what comes about within it was
	// brought about by a watch.
	Soon = 20 * time.Second
)

// Await waits by a watch until the object is what the test wants, and leaves it in obj as it then
// is. The wish says what is missing; nil means that it has come true. It is told if the object is
// gone, or not there yet.
func (s *Servers) Await(t testing.TB, limit time.Duration, obj client.Object, wish func(gone bool) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var why error
	for ctx.Err() == nil {
		err := s.awaitOnce(ctx, obj, wish)
		if err == nil {
			return
		}
		if ctx.Err() == nil || why == nil {
			why = err
		}
	}
	text, err := yaml.Marshal(obj)
	t.Fatalf("not in %s: %v\n%s", limit, errors.Join(why, err), text)
}

// awaitOnce looks at the object and then at its changes, until the wish comes true or the watch ends.
func (s *Servers) awaitOnce(ctx context.Context, obj client.Object, wish func(gone bool) error) error {
	list, err := s.listOf(obj)
	if err != nil {
		return err
	}
	only := []client.ListOption{
		client.InNamespace(obj.GetNamespace()),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", obj.GetName())},
	}
	if err := s.Admin.List(ctx, list, only...); err != nil {
		return err
	}
	found, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		set(obj, found[0].(client.Object))
	}
	why := wish(len(found) == 0)
	if why == nil {
		return nil
	}
	options := &client.ListOptions{Raw: nil}
	options.ApplyOptions(only)
	options.Raw = options.AsListOptions()
	options.Raw.ResourceVersion = list.GetResourceVersion()
	w, err := s.Admin.Watch(ctx, list, options)
	if err != nil {
		return errors.Join(why, err)
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		is, ok := event.Object.(client.Object)
		if !ok {
			return errors.Join(why, fmt.Errorf("watch: %s %v", event.Type, event.Object))
		}
		set(obj, is)
		if why = wish(event.Type == watch.Deleted); why == nil {
			return nil
		}
	}
	return why
}

func (s *Servers) listOf(obj client.Object) (client.ObjectList, error) {
	gvk, err := apiutil.GVKForObject(obj, s.Admin.Scheme())
	if err != nil {
		return nil, err
	}
	gvk.Kind += "List"
	list, err := s.Admin.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	return list.(client.ObjectList), nil
}

// set fills the test's own variable, to which its wish refers.
func set(to, from client.Object) {
	reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem())
}

// Poll waits for what no watch can see, such as a row in PostgreSQL.
func Poll(t testing.TB, limit time.Duration, wish func() error) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(limit)
	for {
		err := wish()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("not in %s: %v", limit, err)
		}
	}
}
