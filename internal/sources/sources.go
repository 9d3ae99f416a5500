// Package sources turns a MigrationSet and what it names into loaded migrations. It is the only
// package that knows both Kubernetes and migration files. Files are read and parsed once for each
// state of their ConfigMaps: as long as the resource versions are the same, every caller gets the
// same set without a request, so that a thousand tenants cost what one costs. An artifact is fetched
// once for each digest and kept in memory; after a restart it is fetched again.
package sources

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

// Loader loads MigrationSets and keeps the last state of each.
type Loader struct {
	// Registries are patterns of the hosts (with their ports) from which artifacts are read; none
	// means any. It is set before the first use.
	Registries []string

	metadata, live client.Reader

	mu        sync.Mutex
	loaded    map[client.ObjectKey]*loaded
	artifacts map[client.ObjectKey]*artifact
}

// loaded is one state of a set. Its lock makes one caller parse while the others wait.
type loaded struct {
	mu    sync.Mutex
	state string
	set   *migrations.Set
	err   error
}

// NewLoader returns a Loader that sees by the metadata reader, which should be a cache, whether
// a ConfigMap changed, and reads content through the live one.
func NewLoader(metadata, live client.Reader) *Loader {
	return &Loader{
		metadata: metadata, live: live,
		loaded: map[client.ObjectKey]*loaded{}, artifacts: map[client.ObjectKey]*artifact{},
	}
}

// Load returns the set's migrations: of ConfigMaps as they are now, of an artifact by the digest in the
// set's status (see Resolve). Errors are faults: SourceNotFound names what is missing, InvalidMigration
// names file and line.
func (l *Loader) Load(ctx context.Context, ms *v1alpha1.MigrationSet) (*migrations.Set, error) {
	if ms.Spec.Job != nil {
		return nil, fault.NewInvalid(v1alpha1.ReasonInvalidMigration,
			"MigrationSet %s/%s has no files: its Jobs migrate tenants' schemas; a shared schema needs a set with spec.source", ms.Namespace, ms.Name)
	}
	if ms.Spec.Source.OCI != nil {
		return l.loadArtifact(ctx, ms)
	}
	state, err := l.state(ctx, ms)
	if err != nil {
		return nil, err
	}
	e := l.entry(client.ObjectKeyFromObject(ms))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state == state {
		return e.set, e.err
	}
	files, err := l.read(ctx, ms)
	if err != nil {
		return nil, err
	}
	set, err := migrations.Load(files, format(ms.Spec.Format))
	e.state, e.set, e.err = state, set, err
	return set, err
}

// Forget drops what is kept of a set that is gone.
func (l *Loader) Forget(name client.ObjectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.loaded, name)
	delete(l.artifacts, name)
}

func (l *Loader) entry(name client.ObjectKey) *loaded {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded[name] == nil {
		l.loaded[name] = &loaded{}
	}
	return l.loaded[name]
}

// state names what the result depends on: the set's own spec and each ConfigMap as it is.
func (l *Loader) state(ctx context.Context, ms *v1alpha1.MigrationSet) (string, error) {
	parts := []string{string(ms.UID), fmt.Sprint(ms.Generation)}
	for _, source := range ms.Spec.Source.ConfigMaps {
		cm := &metav1.PartialObjectMetadata{}
		cm.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
		if err := l.metadata.Get(ctx, key(ms, source), cm); err != nil {
			return "", missing(ms, source, err)
		}
		parts = append(parts, string(cm.UID)+"/"+cm.ResourceVersion)
	}
	return strings.Join(parts, ","), nil
}

func (l *Loader) read(ctx context.Context, ms *v1alpha1.MigrationSet) ([]migrations.File, error) {
	var files []migrations.File
	from := map[string]string{}
	for _, source := range ms.Spec.Source.ConfigMaps {
		var cm corev1.ConfigMap
		if err := l.live.Get(ctx, key(ms, source), &cm); err != nil {
			return nil, missing(ms, source, err)
		}
		names, err := wanted(source, &cm)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if other, twice := from[name]; twice {
				return nil, fault.NewInvalid(v1alpha1.ReasonInvalidMigration,
					"file %q is in ConfigMap %q and in %q; keep one", name, other, source.Name)
			}
			from[name] = source.Name
			files = append(files, migrations.File{Name: name, Content: content(&cm, name)})
		}
	}
	return files, nil
}

// wanted returns the names of the files to read, sorted.
func wanted(source v1alpha1.ConfigMapSource, cm *corev1.ConfigMap) ([]string, error) {
	all := make([]string, 0, len(cm.Data)+len(cm.BinaryData))
	for name := range cm.Data {
		all = append(all, name)
	}
	for name := range cm.BinaryData {
		all = append(all, name)
	}
	slices.Sort(all)
	if len(source.Keys) == 0 {
		return all, nil
	}
	for _, name := range source.Keys {
		if !slices.Contains(all, name) {
			return nil, fault.NewWaiting(v1alpha1.ReasonSourceNotFound, 0,
				"ConfigMap %q has no key %q, which spec.source.configMaps names; add the file or drop the key", source.Name, name)
		}
	}
	return slices.Sorted(slices.Values(source.Keys)), nil
}

func content(cm *corev1.ConfigMap, name string) []byte {
	if text, ok := cm.Data[name]; ok {
		return []byte(text)
	}
	return cm.BinaryData[name]
}

func key(ms *v1alpha1.MigrationSet, source v1alpha1.ConfigMapSource) client.ObjectKey {
	return client.ObjectKey{Namespace: ms.Namespace, Name: source.Name}
}

func missing(ms *v1alpha1.MigrationSet, source v1alpha1.ConfigMapSource, err error) error {
	if apierrors.IsNotFound(err) {
		return fault.NewWaiting(v1alpha1.ReasonSourceNotFound, 0,
			"ConfigMap %q does not exist in namespace %q; spec.source.configMaps names it", source.Name, ms.Namespace)
	}
	return fmt.Errorf("read ConfigMap %s/%s: %w", ms.Namespace, source.Name, err)
}

func format(f v1alpha1.MigrationFormat) migrations.Format {
	if f == v1alpha1.FormatAuto {
		return migrations.Auto
	}
	return migrations.Format(f)
}
