package controllers_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/sources"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

const registryPassword = "s3cret-of-the-registry"

// shelf is a private registry with one repository.
type shelf struct {
	*platform.Registry
	repository string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	r, err := platform.StartRegistry(t.Context(), platform.RegistryTLS(), platform.RegistryLogin("reader", registryPassword))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	return &shelf{r, r.Address + "/tasklane/migrations"}
}

func (s *shelf) author(t *testing.T) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(s.repository)
	if err != nil {
		t.Fatal(err)
	}
	repo.Client = &auth.Client{Client: s.Client(), Credential: auth.StaticCredential(s.Address, auth.Credential{Username: "reader", Password: registryPassword})}
	return repo
}

// push pushes files as `oras push` does, and returns the manifest.
func (s *shelf) push(t *testing.T, tag string, files map[string]string) ocispec.Descriptor {
	t.Helper()
	store := memory.New()
	var layers []ocispec.Descriptor
	for _, name := range slices.Sorted(maps.Keys(files)) {
		layer, err := oras.PushBytes(t.Context(), store, "application/vnd.oci.image.layer.v1.tar", []byte(files[name]))
		if err != nil {
			t.Fatal(err)
		}
		layer.Annotations = map[string]string{ocispec.AnnotationTitle: name}
		layers = append(layers, layer)
	}
	manifest, err := oras.PackManifest(t.Context(), store, oras.PackManifestVersion1_1, "application/vnd.example", oras.PackManifestOptions{Layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(t.Context(), manifest, tag); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(t.Context(), store, tag, s.author(t), tag, oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	return manifest
}

// requests counts what the registry was asked for by the operator; its log is flushed as it is written.
func (s *shelf) requests(t *testing.T) int {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(s.Dir, "registry.log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), `"tenantry"`)
}

// source makes the bench's set one that is read from the shelf, with a login and the registry's CA.
func (b *bench) source(t *testing.T, s *shelf, tag string) {
	t.Helper()
	config := fmt.Sprintf(`{"auths": {%q: {"username": "reader", "password": %q}}}`, s.Address, registryPassword)
	b.Create(t, b.ConfigMap("trust", map[string]string{"ca.crt": string(s.CA)}), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "registry"}, Type: corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: config},
	})
	b.Set.Spec.Source = v1alpha1.MigrationSource{OCI: &v1alpha1.OCISource{
		Repository: s.repository, Tag: tag, PollIntervalSeconds: 300,
		PullSecretRef:        &v1alpha1.LocalReference{Name: "registry"},
		CertificateAuthority: &v1alpha1.CertificateAuthority{ConfigMap: &v1alpha1.KeyReference{LocalReference: v1alpha1.LocalReference{Name: "trust"}}},
	}}
}

// fetched makes the world Ready. A machine that is busy may take longer than a pass waits, with PostgreSQL's
// parser that is started.
func (b *bench) fetched(t *testing.T) {
	t.Helper()
	b.Make(t)
	operator.Poll(t, operator.Eventually, func() error {
		b.pass(t, b.Set)
		return operator.Want{Condition: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}.Check(b.Set)
	})
	b.pass(t, b.Database)
	b.pass(t, b.Class)
	for _, obj := range []conditions.Object{b.Set, b.Database, b.Class} {
		b.Expect(t, obj, operator.Ready())
	}
}

// look asks the registry at once, as a user does who does not want to wait for the poll interval.
func (b *bench) look(t *testing.T) {
	t.Helper()
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		metav1.SetMetaDataAnnotation(&ms.ObjectMeta, v1alpha1.AnnotationReconcile, fmt.Sprint(time.Now().UnixNano()))
	})
	operator.Poll(t, operator.Eventually, func() error {
		if b.pass(t, b.Set).RequeueAfter == sources.Patience {
			return errors.New("the registry has not answered yet")
		}
		return nil
	})
}

// A set is read from a private registry; its tenants get the digest in its status, and a tag that moves
// means nothing to them until the set's controller has looked at what it means now.
func TestArtifact(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	first := s.push(t, "stable", operator.Migrations(3))
	b := newBench(t)
	b.source(t, s, "stable")
	b.fetched(t)
	status := b.Set.Status.Source
	if status == nil || status.Digest != string(first.Digest) || status.Reference != s.repository+":stable" {
		t.Fatalf("status.source is %+v, want %s", status, first.Digest)
	}
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionSourceCurrent, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, Message: []string{string(first.Digest)}})
	acme := b.tenant(t, "acme")

	files := operator.Migrations(4)
	files["checkpoint_0004.pgsql"] = "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, c2 integer, c3 integer, c4 integer);\n"
	second := s.push(t, "stable", files)
	b.pass(t, acme)
	b.pass(t, b.Set)
	late := b.tenant(t, "late")
	if late.Status.Version != "3" || b.Set.Status.Version != "3" {
		t.Errorf("before the next poll, a new tenant is at %s, the set at %s; want 3", late.Status.Version, b.Set.Status.Version)
	}
	b.look(t)
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady},
		operator.Want{Condition: v1alpha1.ConditionCheckpointsVerified, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, Message: []string{"checkpoint_0004.pgsql"}})
	if b.Set.Status.Source.Digest != string(second.Digest) || b.Set.Status.Version != "4" {
		t.Errorf("the set is at %s of %s, want 4 of %s", b.Set.Status.Version, b.Set.Status.Source.Digest, second.Digest)
	}
	b.pass(t, acme)
	if acme.Status.Version != "4" {
		t.Errorf("acme is at %s, want 4", acme.Status.Version)
	}

	// A tag that moves to what would change history: nothing of it reaches the status that tenants go by.
	changed := operator.Migrations(4)
	changed["0002_c2.sql"] = "ALTER TABLE note ADD COLUMN other integer;"
	s.push(t, "stable", changed)
	b.look(t)
	b.Expect(t, b.Set, operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonChecksumChanged, "0002_c2.sql"),
		operator.Stalled(v1alpha1.ConditionRolledOut, v1alpha1.ReasonChecksumChanged, "0002_c2.sql"))
	if b.Set.Status.Source.Digest != string(second.Digest) {
		t.Errorf("status.source moved to %s, whose version was refused", b.Set.Status.Source.Digest)
	}
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())

	// A digest is never asked for again.
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Source.OCI.Tag, ms.Spec.Source.OCI.Digest = "", string(second.Digest)
	})
	b.pass(t, b.Set)
	b.pass(t, late)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready())
	before := s.requests(t)
	b.pass(t, b.Set)
	b.look(t)
	if n := s.requests(t) - before; n != 0 {
		t.Errorf("%d requests for a set that is pinned to a digest", n)
	}

	// While another digest is fetched, its version has reached nobody.
	third := s.push(t, "next", operator.Migrations(5))
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Source.OCI.Digest = string(third.Digest) })
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Waiting(v1alpha1.ConditionRolledOut, v1alpha1.ReasonProgressing, string(third.Digest)))
	if b.Set.Status.Source.Digest != string(second.Digest) {
		t.Errorf("status.source moved to %s, whose version is not known", b.Set.Status.Source.Digest)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	operator.Poll(t, operator.Eventually, func() error {
		b.pass(t, b.Set)
		if got := b.Set.Status.Version; got != "5" {
			return fmt.Errorf("the set is at %s", got)
		}
		return nil
	})
	for _, tenant := range []*v1alpha1.Tenant{acme, late} {
		b.pass(t, tenant)
	}
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionRolledOut, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, Message: []string{"Version 5"}})
	b.noSecrets(t, b.Set)
}

// What is known goes on while the registry is away; a new operator knows nothing and says so, and its
// tenants that have the version work on.
func TestArtifactOutage(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	first := s.push(t, "stable", operator.Migrations(3))
	b := newBench(t)
	b.source(t, s, "stable")
	b.fetched(t)
	acme := b.tenant(t, "acme")
	if err := s.Halt(); err != nil {
		t.Fatal(err)
	}
	b.look(t)
	b.Expect(t, b.Set, operator.Ready(), operator.Want{
		Condition: v1alpha1.ConditionSourceCurrent, Reason: v1alpha1.ReasonSourceUnavailable, Message: []string{"the connection is refused", s.Address},
	})
	b.tenant(t, "known") // By what is in memory.

	b.restart(t)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSourceUnavailable, "the connection is refused"))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	born := b.Tenant("born", b.Host("born"))
	b.Create(t, born)
	b.pass(t, born)
	b.Expect(t, born, operator.Waiting(v1alpha1.ConditionMigrated, v1alpha1.ReasonMigrationSetNotReady, "SourceUnavailable", "the connection is refused"))

	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.look(t)
	b.Expect(t, b.Set, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionSourceCurrent, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded})
	b.pass(t, born)
	b.Expect(t, born, operator.Ready())

	// A registry that takes connections and says nothing holds no pass longer than patience.
	twenty := func() time.Duration {
		began := time.Now()
		for range 20 {
			b.pass(t, b.Set)
		}
		return time.Since(began)
	}
	usual := twenty()
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.look(t)
	if took := twenty(); took > 2*usual+10*sources.Patience {
		t.Errorf("20 passes with a registry that hangs took %s, with one that answers %s", took, usual)
	}
	b.Expect(t, b.Set, operator.Ready())
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}

	// The artifact is deleted: the tag is not found, and who has its files in memory works on.
	if err := s.author(t).Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	b.look(t)
	b.Expect(t, b.Set, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionSourceCurrent, Reason: v1alpha1.ReasonSourceNotFound, Message: []string{"push it"}})
	b.restart(t)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSourceNotFound, string(first.Digest)))
}

// What is wrong with the Secret or the CA is said, and mended at the next pass after they are.
func TestArtifactAccess(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.push(t, "v1", operator.Migrations(3))
	secret := func(typ corev1.SecretType, data map[string]string) func(*testing.T, *bench) {
		return func(t *testing.T, b *bench) {
			t.Helper()
			old := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "registry"}}
			b.Delete(t, old)
			b.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "registry"}, Type: typ, StringData: data})
		}
	}
	good := secret(corev1.SecretTypeBasicAuth, map[string]string{"username": "reader", "password": registryPassword})
	for name, tt := range map[string]struct {
		spoil func(*testing.T, *bench)
		want  operator.Want
	}{
		"wrong password": {
			secret(corev1.SecretTypeBasicAuth, map[string]string{"username": "reader", "password": "guess"}),
			operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSourceUnauthorized, "pullSecretRef"),
		},
		"other registry": {
			secret(corev1.SecretTypeDockerConfigJson, map[string]string{corev1.DockerConfigJsonKey: `{"auths": {"ghcr.io": {"auth": "YTpi"}}}`}),
			operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSourceUnauthorized, `Secret "registry"`, "no login for the registry "+s.Address),
		},
		"other type": {
			secret(corev1.SecretTypeOpaque, map[string]string{"token": registryPassword}),
			operator.Stalled(v1alpha1.ConditionReady, v1alpha1.ReasonSourceInvalid, "kubectl create secret docker-registry"),
		},
		"no Secret": {
			func(t *testing.T, b *bench) {
				t.Helper()
				b.Delete(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "registry"}})
			},
			operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonSourceNotFound, `Secret "registry" does not exist`, "pullSecretRef"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.source(t, s, "v1")
			tt.spoil(t, b)
			b.Make(t)
			b.pass(t, b.Set)
			b.Expect(t, b.Set, tt.want)
			b.noSecrets(t, b.Set)
			if strings.Contains(fmt.Sprint(b.Set.Status), registryPassword) {
				t.Error("the status has the password")
			}
			if name == "no Secret" {
				b.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "registry"}})
			}
			good(t, b)
			b.pass(t, b.Set)
			b.Expect(t, b.Set, operator.Ready())
		})
	}
}

// A steady set with an artifact writes nothing and asks its registry no more than once in a poll interval,
// a new operator twice: for the tag, and for the files.
func TestSteadyArtifact(t *testing.T) {
	s := newShelf(t)
	s.push(t, "stable", operator.Migrations(3))
	b := newBench(t)
	b.source(t, s, "stable")
	b.fetched(t)
	acme := b.tenant(t, "acme")
	all := []conditions.Object{b.Set, b.Database, b.Class, acme}
	for _, obj := range all {
		b.pass(t, obj)
	}
	before := s.requests(t)
	b.steady(t, "passes", all)
	if n := s.requests(t) - before; n != 0 {
		t.Errorf("%d requests to the registry within a poll interval", n)
	}
	b.restart(t)
	writes := b.Writes(t)
	for _, obj := range all {
		b.pass(t, obj)
	}
	if got := writes.API(t); len(got) > 0 {
		t.Errorf("the first passes after a restart write to the API: %q", got)
	}
	// The tag, the manifest, three files; each the second time with the login that was asked for at first.
	if n := s.requests(t) - before; n == 0 || n > 12 {
		t.Errorf("%d requests to the registry after a restart, want about 7", n)
	}
	if result := b.pass(t, b.Set); result.RequeueAfter > 301*time.Second {
		t.Errorf("the set comes back after %s; the poll interval is 5 minutes", result.RequeueAfter)
	}
}
