package probes

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/kubelet"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// pullCanary opens a private registry, wrongPullCanary is refused by it.
const (
	pullCanary      = "pull-Rk38/%+x'Q-canary"
	wrongPullCanary = "wrong-pull-Vb17/%+x-canary"
)

// house is a world with every kind of Secret that the operator reads or writes.
type house struct {
	*operator.World

	// canaries are the passwords in them, by what they are for.
	canaries     map[string]string
	acme, globex *v1alpha1.Tenant
	// shared is the class whose tenants share a login, jobs the one whose tenants are migrated by Jobs.
	shared, jobs *v1alpha1.TenantClass
	// packed is a MigrationSet that is read from a private registry, product the one with Jobs.
	packed, product *v1alpha1.MigrationSet
	gates           string
}

// furnish makes two tenants with a login and a reader each, one of a class with a shared login, and a
// MigrationSet with a pull Secret.
func furnish(t *testing.T, w *operator.World) *house {
	t.Helper()
	h := &house{World: w, canaries: map[string]string{"the operator's login": operatorsCanary, "a pull Secret": pullCanary}}
	w.Class.Spec.Logins = &v1alpha1.LoginPolicy{Mode: v1alpha1.LoginDedicated, Reader: &v1alpha1.ReaderPolicy{Default: v1alpha1.SwitchEnabled}}
	w.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{ExtraKeys: []v1alpha1.SecretKey{{Key: "DATABASE_URL", Template: "postgres://{{ .Username }}:{{ .Password | urlquery }}@db"}}}
	w.Make(t)
	h.shareLogin(t)
	h.acme, h.globex = w.Tenant("acme", w.Host("acme")), w.Tenant("globex", w.Host("globex"))
	h.acme.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	w.Create(t, h.acme, h.globex)
	w.AwaitReady(t, h.acme, h.globex)
	h.pull(t)
	return h
}

// classOf is the world's class with another name and another policy.
func (h *house) classOf(suffix string) *v1alpha1.TenantClass {
	class := h.Class.DeepCopy()
	class.ObjectMeta = metav1.ObjectMeta{Name: h.Namespace + suffix}
	return class
}

// shareLogin makes a tenant of a class whose tenants share a login.
func (h *house) shareLogin(t *testing.T) {
	t.Helper()
	h.shared = h.classOf("-sharing")
	h.shared.Spec.Logins = &v1alpha1.LoginPolicy{Mode: v1alpha1.LoginSetRole, SecretRef: &v1alpha1.LoginSecretReference{Namespace: h.Namespace, Name: "sharing"}}
	initech := h.Tenant("initech")
	initech.Spec.ClassName = h.shared.Name
	h.Create(t, h.shared, initech)
	h.AwaitReady(t, initech)
}

// pull makes a MigrationSet whose files are in a private registry.
func (h *house) pull(t *testing.T) {
	t.Helper()
	r := must(platform.StartRegistry(t.Context(), platform.RegistryTLS(), platform.RegistryLogin("reader", pullCanary)))(t)
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	push(t, r)
	login := base64.StdEncoding.EncodeToString([]byte("reader:" + pullCanary))
	h.packed = &v1alpha1.MigrationSet{ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: "packed"}, Spec: v1alpha1.MigrationSetSpec{
		Source: v1alpha1.MigrationSource{OCI: &v1alpha1.OCISource{
			Repository: r.Address + "/shop/migrations", Tag: "stable", PollIntervalSeconds: 60, PullSecretRef: &v1alpha1.LocalReference{Name: "registry"},
			CertificateAuthority: &v1alpha1.CertificateAuthority{ConfigMap: &v1alpha1.KeyReference{LocalReference: v1alpha1.LocalReference{Name: "trust"}}},
		}},
	}}
	h.Create(t, h.ConfigMap("trust", map[string]string{"ca.crt": string(r.CA)}), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: "registry"}, Type: corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.Address, login)},
	}, h.packed)
	h.AwaitReady(t, h.packed)
}

// push pushes one file, as `oras push` does.
func push(t *testing.T, r *platform.Registry) {
	t.Helper()
	store := memory.New()
	layer := must(oras.PushBytes(t.Context(), store, "application/vnd.oci.image.layer.v1.tar", []byte("CREATE TABLE packed (id int);")))(t)
	layer.Annotations = map[string]string{ocispec.AnnotationTitle: "0001_packed.sql"}
	manifest := must(oras.PackManifest(t.Context(), store, oras.PackManifestVersion1_1, "application/vnd.example", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}}))(t)
	if err := store.Tag(t.Context(), manifest, "stable"); err != nil {
		t.Fatal(err)
	}
	repo := must(remote.NewRepository(r.Address + "/shop/migrations"))(t)
	repo.Client = &auth.Client{Client: r.Client(), Credential: auth.StaticCredential(r.Address, auth.Credential{Username: "reader", Password: pullCanary})}
	must(oras.Copy(t.Context(), store, "stable", repo, "stable", oras.DefaultCopyOptions))(t)
}

// refusePull has the registry refuse what a pull Secret says, and then gives it the right one again.
func (h *house) refusePull(t *testing.T) {
	t.Helper()
	h.canaries["a pull Secret that is refused"] = wrongPullCanary
	repository := h.packed.Spec.Source.OCI.Repository
	host, _, _ := strings.Cut(repository, "/")
	set := func(password string) {
		t.Helper()
		setSecret(t, h.World, "registry", map[string]string{
			corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths": {%q: {"username": "reader", "password": %q}}}`, host, password),
		})
		h.Nudge(t, h.packed)
	}
	set(wrongPullCanary)
	h.AwaitWant(t, operator.Eventually, h.packed, operator.Want{Condition: v1alpha1.ConditionSourceCurrent, Reason: v1alpha1.ReasonSourceUnauthorized})
	set(pullCanary)
	h.AwaitWant(t, operator.Eventually, h.packed, operator.Want{Condition: v1alpha1.ConditionSourceCurrent, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded})
}

// job makes a tenant that is migrated by Jobs, and a kubelet that runs them.
func (h *house) job(t *testing.T) *v1alpha1.Tenant {
	t.Helper()
	h.gates = t.TempDir()
	h.product = &v1alpha1.MigrationSet{ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: "product"}}
	h.product.Spec.Job = &v1alpha1.MigrationJob{Framework: v1alpha1.FrameworkRails, BackoffLimit: new(int32(0))}
	h.release(h.product, "7", "true")
	h.jobs = h.classOf("-by-jobs")
	h.jobs.Spec.Logins, h.jobs.Spec.MigrationSetRef.Name = nil, "product"
	umbrella := h.Tenant("umbrella")
	umbrella.Spec.ClassName = h.jobs.Name
	runner := kubelet.Run(h.Admin, h.Namespace, t.TempDir())
	t.Cleanup(runner.Stop)
	h.Create(t, h.product, h.jobs, umbrella)
	return umbrella
}

// release names a version of the product, whose program waits for a file before it does what it does.
func (h *house) release(ms *v1alpha1.MigrationSet, version, program string) {
	ms.Spec.Job.Version, ms.Spec.Job.Expect = "v"+version, []string{version}
	ms.Spec.Job.Template = v1alpha1.JobTemplate{
		Image: "registry.example/product:v" + version, Command: []string{"/bin/sh", "-c"},
		Args: []string{fmt.Sprintf("until [ -e %s ]; do sleep 0.1; done; %s", filepath.Join(h.gates, version), program)},
	}
}

// atWork waits for the login of a Job that was not seen before, notes its password and returns its URL.
func (h *house) atWork(t *testing.T) (uri string) {
	t.Helper()
	known := slices.Collect(maps.Values(h.canaries))
	operator.Poll(t, operator.Eventually, func() error {
		secrets := &corev1.SecretList{}
		if err := h.Admin.List(t.Context(), secrets, client.InNamespace(h.Namespace)); err != nil {
			return err
		}
		for _, s := range secrets.Items {
			if owner := metav1.GetControllerOf(&s); owner != nil && owner.Kind == "Job" && !slices.Contains(known, string(s.Data["PGPASSWORD"])) {
				uri, h.canaries["Secret of Job "+s.Name] = string(s.Data["DATABASE_URL"]), string(s.Data["PGPASSWORD"])
				return nil
			}
		}
		return errors.New("no Job has a login yet")
	})
	return uri
}

// open lets the program of a version go on.
func (h *house) open(t *testing.T, version string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.gates, version), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// jobsStory is a Job that does its work, and one that fails and prints its environment, with the password
// in it.
func (h *house) jobsStory(t *testing.T) {
	t.Helper()
	umbrella := h.job(t)
	exec(t, h.atWork(t), "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)", "INSERT INTO schema_migrations VALUES ('7')")
	h.open(t, "7")
	h.AwaitReady(t, umbrella)
	operator.Update(t, h.Servers, h.product, func(ms *v1alpha1.MigrationSet) {
		h.release(ms, "8", "env | grep -e PGPASSWORD -e DATABASE_URL; exit 1")
	})
	h.atWork(t)
	h.open(t, "8")
	h.AwaitWant(t, operator.Eventually, umbrella, operator.Want{Condition: v1alpha1.ConditionMigrated, Reason: v1alpha1.ReasonJobFailed, Message: []string{"PGPASSWORD=***", ":***@"}})
}
