// Package namespaces keeps an operator that was installed for some namespaces within them. What it may
// read is decided by RBAC; here it is said: whatever refers to an object elsewhere gets a reason that
// names the cause, instead of an error of a cache or a Forbidden. Objects of the cluster are read as ever.
package namespaces

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// Set are the namespaces that an operator looks into; an empty one stands for all.
type Set []string

// Parse reads a list with commas between, as a flag has it.
func Parse(list string) (s Set) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(s, name) {
			s = append(s, name)
		}
	}
	return s
}

// Has says whether objects of a namespace are the operator's business.
func (s Set) Has(namespace string) bool { return len(s) == 0 || slices.Contains(s, namespace) }

// Refuse says that objects are in a namespace of others, nil if they are not. They are named as for a user's
// eyes, with their kind. Only a restart with another flag, or an edit of what refers to them, ends that.
func (s Set) Refuse(namespace, what string) error {
	if namespace == "" || s.Has(namespace) {
		return nil
	}
	return fault.NewInvalid(v1alpha1.ReasonNamespaceNotWatched,
		"%s is in a namespace into which this operator does not look; it was started for %s (--namespaces)", what, strings.Join(s, ", "))
}

// Cache is what a manager's cache holds; nil stands for all namespaces.
func (s Set) Cache() map[string]cache.Config {
	if len(s) == 0 {
		return nil
	}
	namespaces := map[string]cache.Config{}
	for _, name := range s {
		namespaces[name] = cache.Config{}
	}
	return namespaces
}

// Client returns a client whose reads stay within the set.
func (s Set) Client(c client.Client) client.Client {
	if len(s) == 0 {
		return c
	}
	return within{Client: c, reader: reader{c, s, c}}
}

// Reader returns a reader that stays within the set. A list over all namespaces is one over those of
// the set; kinds says which objects belong to a namespace.
func (s Set) Reader(r client.Reader, kinds client.Client) client.Reader {
	if len(s) == 0 {
		return r
	}
	return reader{r, s, kinds}
}

type within struct {
	client.Client
	reader reader
}

func (w within) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return w.reader.Get(ctx, key, obj, opts...)
}

// List : the cache itself puts the lists of its namespaces together.
func (w within) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := w.reader.check(client.ObjectKey{Namespace: namespaceOf(opts)}, list); err != nil {
		return err
	}
	return w.Client.List(ctx, list, opts...)
}

type reader struct {
	client.Reader
	set   Set
	kinds client.Client
}

func (r reader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := r.check(key, obj); err != nil {
		return err
	}
	return r.Reader.Get(ctx, key, obj, opts...)
}

func (r reader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	namespace := namespaceOf(opts)
	if err := r.check(client.ObjectKey{Namespace: namespace}, list); err != nil {
		return err
	}
	if namespaced, err := r.isNamespaced(list); err != nil || namespace != "" || !namespaced {
		if err != nil {
			return err
		}
		return r.Reader.List(ctx, list, opts...)
	}
	var all []runtime.Object
	for _, name := range r.set {
		part := list.DeepCopyObject().(client.ObjectList)
		if err := r.Reader.List(ctx, part, append(slices.Clone(opts), client.InNamespace(name))...); err != nil {
			return err
		}
		items, err := meta.ExtractList(part)
		if err != nil {
			return err
		}
		all = append(all, items...)
	}
	return meta.SetList(list, all)
}

// check refuses what is in a namespace of others.
func (r reader) check(key client.ObjectKey, what runtime.Object) error {
	kind := "object"
	if gvk, err := apiutil.GVKForObject(what, r.kinds.Scheme()); err == nil {
		kind = strings.TrimSuffix(gvk.Kind, "List")
	}
	return r.set.Refuse(key.Namespace, kind+" "+strings.TrimSuffix(key.String(), "/"))
}

func (r reader) isNamespaced(list client.ObjectList) (bool, error) {
	gvk, err := apiutil.GVKForObject(list, r.kinds.Scheme())
	if err != nil {
		return false, fmt.Errorf("kind of %T: %w", list, err)
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	mapping, err := r.kinds.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return false, err
	}
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

func namespaceOf(opts []client.ListOption) string {
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	return o.Namespace
}
