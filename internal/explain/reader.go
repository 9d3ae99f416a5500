package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reader reads as far as the caller may, and remembers what was refused.
type reader struct {
	client.Reader

	refused []string
}

// outcome of reading an object. A refusal is no error: the answer gets smaller.
type outcome int

const (
	found outcome = iota
	absent
	refused
)

// get reads an object; what names it for those who may not, with what they do not learn.
func (r *reader) get(ctx context.Context, key client.ObjectKey, obj client.Object, what string) (outcome, error) {
	err := r.Get(ctx, key, obj)
	switch {
	case err == nil:
		return found, nil
	case apierrors.IsForbidden(err):
		r.refuse(what)
		return refused, nil
	case apierrors.IsNotFound(err):
		return absent, nil
	}
	return absent, fmt.Errorf("read %s: %w", nameOf(what), err)
}

// extent says how much of a list could be read.
type extent struct {
	// everything, or only what is in some namespaces.
	everything bool
	namespaces []string
}

// covers says whether what is in a namespace was read.
func (e extent) covers(namespace string) bool {
	return e.everything || slices.Contains(e.namespaces, namespace)
}

// list reads all objects of a kind or, where the caller may not, those of the given namespaces. A kind that
// the cluster does not know has no objects.
func (r *reader) list(ctx context.Context, list client.ObjectList, what string, namespaces ...string) (read extent, err error) {
	err = r.List(ctx, list)
	if err == nil || meta.IsNoMatchError(err) {
		return extent{everything: true}, nil
	}
	if !apierrors.IsForbidden(err) {
		return read, fmt.Errorf("list %s: %w", nameOf(what), err)
	}
	r.refuse(what)
	var items []runtime.Object
	slices.Sort(namespaces)
	for _, namespace := range slices.Compact(namespaces) {
		if namespace == "" {
			continue
		}
		part, ok := list.DeepCopyObject().(client.ObjectList)
		if !ok {
			continue
		}
		err := r.List(ctx, part, client.InNamespace(namespace))
		if apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return read, fmt.Errorf("list %s: %w", nameOf(what), err)
		}
		objs, err := meta.ExtractList(part)
		if err != nil {
			return read, err
		}
		items, read.namespaces = append(items, objs...), append(read.namespaces, namespace)
	}
	return read, meta.SetList(list, items)
}

// nameOf is what was to be read, without what is to be learned from it.
func nameOf(what string) string {
	name, _, _ := strings.Cut(what, ":")
	return name
}

func (r *reader) refuse(what string) {
	if !slices.Contains(r.refused, what) {
		r.refused = append(r.refused, what)
	}
}

func (r *reader) refusals() []string { return r.refused }
