package sources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/artifacts"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

// How long a registry may take to say what a tag means, and for all files of an artifact.
const (
	resolveWithin = 30 * time.Second
	fetchWithin   = 2 * time.Minute
)

// keptContents is how many artifacts of one set are kept: the published one, the next, and one that
// whoever reads an older status may still ask for.
const keptContents = 3

// ErrPending is in the chain of errors that end by themselves soon: the work on the registry goes on.
var ErrPending = errors.New("the work goes on")

// artifact is what is known of one set's artifacts.
type artifact struct {
	uid types.UID
	tag errand[v1alpha1.SourceStatus]

	mu       sync.Mutex
	contents []*fetched // the one that was asked for last is first
}

// fetched are the migrations of one digest. They never change.
type fetched struct {
	name string
	errand[*migrations.Set]
}

// Resolve says which artifact the set's source means now. It asks the registry at most once in a poll
// interval; between, and beside an error, it returns what it knows. Only the set's own controller may
// follow a tag: everybody else loads what the set's status says.
func (l *Loader) Resolve(ctx context.Context, ms *v1alpha1.MigrationSet) (source *v1alpha1.SourceStatus, err error) {
	oci, reference := ms.Spec.Source.OCI, Reference(ms)
	if oci.Digest != "" {
		return &v1alpha1.SourceStatus{Reference: reference, Digest: oci.Digest}, l.mayAsk(oci)
	}
	a := l.artifact(ms)
	state, err := l.accessState(ctx, ms)
	if err != nil {
		return lastOf(&a.tag, reference), err
	}
	every := time.Duration(oci.PollIntervalSeconds) * time.Second
	got := a.tag.ask(ctx, reference+" "+state, every,
		func(ctx context.Context) (v1alpha1.SourceStatus, error) {
			r, err := l.open(ctx, ms)
			if err != nil {
				return v1alpha1.SourceStatus{}, err
			}
			defer r.Close()
			digest, err := r.Resolve(ctx, oci.Tag)
			return v1alpha1.SourceStatus{Reference: reference, Digest: digest}, err
		})
	source = lastOf(&a.tag, reference)
	if got.pending && source != nil {
		return source, nil // The next look will tell.
	}
	return source, explain(got.err, got.pending, got.next, oci)
}

// Next is when the registry is asked again what the set's tag means; zero if it is not.
func (l *Loader) Next(ms *v1alpha1.MigrationSet) time.Time {
	if ms.Spec.Source.OCI == nil || ms.Spec.Source.OCI.Digest != "" {
		return time.Time{}
	}
	return l.artifact(ms).tag.due()
}

// lastOf is what a tag meant, if it was this tag.
func lastOf(tag *errand[v1alpha1.SourceStatus], reference string) *v1alpha1.SourceStatus {
	if last, known := tag.last(); known && last.Reference == reference {
		return &last
	}
	return nil
}

// explain makes an answer that is none into a fault that says when there is news.
func explain(err error, pending bool, next time.Time, oci *v1alpha1.OCISource) error {
	if pending {
		return fault.NewWaiting(v1alpha1.ReasonSourceUnavailable, Patience,
			"the registry of %s has not answered yet; its files are not in the operator's memory", oci.Repository).Because(ErrPending)
	}
	f := fault.Of(err, v1alpha1.ReasonSourceUnavailable)
	if f == nil || f.Kind != fault.Waiting {
		return err
	}
	later := *f
	later.After = max(time.Until(next), time.Second)
	return &later
}

// loadArtifact returns the migrations of the digest in the set's status. The spec may name another tag
// by now, whose version waits: what was published is fetched from the same repository.
func (l *Loader) loadArtifact(ctx context.Context, ms *v1alpha1.MigrationSet) (*migrations.Set, error) {
	oci, source := ms.Spec.Source.OCI, ms.Status.Source
	if source == nil {
		return nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, Patience,
			"The artifact of MigrationSet %s/%s is being looked at", ms.Namespace, ms.Name)
	}
	c := l.artifact(ms).content(strings.Join([]string{source.Digest, oci.Path, string(ms.Spec.Format)}, " "))
	if set, known := c.last(); known {
		return set, nil
	}
	state, err := l.accessState(ctx, ms)
	if err != nil {
		return nil, err
	}
	ms = ms.DeepCopy() // The work may outlive the caller's object.
	got := c.ask(ctx, state, 0, func(ctx context.Context) (*migrations.Set, error) { return l.fetch(ctx, ms) })
	if got.known {
		return got.value, nil
	}
	return nil, explain(got.err, got.pending, got.next, oci)
}

func (l *Loader) fetch(ctx context.Context, ms *v1alpha1.MigrationSet) (*migrations.Set, error) {
	r, err := l.open(ctx, ms)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	limits := artifacts.Limits{Files: migrations.MaxFiles, Bytes: migrations.MaxSetBytes}
	got, err := r.Fetch(ctx, ms.Status.Source.Digest, ms.Spec.Source.OCI.Path, limits)
	if err != nil {
		return nil, err
	}
	files := make([]migrations.File, 0, len(got))
	for _, f := range got {
		files = append(files, migrations.File{Name: f.Name, Content: f.Content})
	}
	return migrations.Load(files, format(ms.Spec.Format))
}

// artifact returns what is known of a set; one that was made anew under the name of another begins
// with nothing.
func (l *Loader) artifact(ms *v1alpha1.MigrationSet) *artifact {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := client.ObjectKeyFromObject(ms)
	if a := l.artifacts[name]; a != nil && a.uid == ms.UID {
		return a
	}
	a := &artifact{uid: ms.UID}
	a.tag.within = resolveWithin
	l.artifacts[name] = a
	return a
}

func (a *artifact) content(name string) *fetched {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.IndexFunc(a.contents, func(c *fetched) bool { return c.name == name })
	if at < 0 {
		c := &fetched{name: name}
		c.within = fetchWithin
		a.contents = append(a.contents, c)
		at = len(a.contents) - 1
	}
	c := a.contents[at]
	a.contents = slices.Insert(slices.Delete(a.contents, at, at+1), 0, c)
	a.contents = a.contents[:min(len(a.contents), keptContents)]
	return c
}

// Reference is the artifact of a set's spec as people write it.
func Reference(ms *v1alpha1.MigrationSet) string {
	oci := ms.Spec.Source.OCI
	if oci.Digest != "" {
		return fmt.Sprintf("%s@%s", oci.Repository, oci.Digest)
	}
	return fmt.Sprintf("%s:%s", oci.Repository, oci.Tag)
}
