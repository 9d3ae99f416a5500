package scenarios

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/kubelet"
	"github.com/tenantry/tenantry/test/operator"
)

// productDir is where the program of these tests' product is, "" until somebody has asked for it.
var productDir string

// The product has its migrations in goose; its program is built once, by a module of its own.
var product = sync.OnceValues(func() (path string, err error) {
	if productDir, err = os.MkdirTemp("", "gooseproduct"); err != nil {
		return "", err
	}
	path = filepath.Join(productDir, "product")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join("..", "..", "hack", "tools", "gooseproduct")
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in hack/tools/gooseproduct: %w\n%s", err, output)
	}
	return path, nil
})

// jobFleet is a fleet whose tenants are migrated by Jobs.
type jobFleet struct {
	*fleet

	kubelet *kubelet.Kubelet
	program string
}

// newJobFleet makes tenants at the product's first version, each by a Job.
func newJobFleet(t *testing.T, names ...string) *jobFleet {
	t.Helper()
	program, err := product()
	if err != nil {
		t.Fatal(err)
	}
	f := &jobFleet{&fleet{servers.World(t), map[string]*v1alpha1.Tenant{}}, nil, program}
	f.kubelet = kubelet.Run(f.Admin, f.Namespace, t.TempDir())
	t.Cleanup(f.kubelet.Stop)
	f.Set.Spec.Source = v1alpha1.MigrationSource{}
	f.Set.Spec.Job = &v1alpha1.MigrationJob{Framework: v1alpha1.FrameworkGoose}
	f.release(f.Set, 1)
	f.Set.Spec.Job.BackoffLimit = new(int32(0))
	f.Make(t)
	for _, name := range names {
		f.add(t, name)
	}
	for _, tenant := range f.tenants {
		f.AwaitReady(t, tenant)
	}
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	return f
}

// release names a version of the product; more arguments are the program's.
func (f *jobFleet) release(ms *v1alpha1.MigrationSet, version int, args ...string) {
	job := ms.Spec.Job
	job.Version, job.Expect = fmt.Sprintf("1.%d", version), []string{fmt.Sprint(version)}
	job.Template = v1alpha1.JobTemplate{Image: fmt.Sprintf("registry.example/product:1.%d", version), Command: []string{f.program}}
	job.Template.Args = append([]string{"-to", fmt.Sprint(version)}, args...)
}

func (f *jobFleet) ship(t *testing.T, args ...string) {
	t.Helper()
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) { f.release(ms, 2, args...) })
}

// jobs lists the Jobs of the fleet, by the tenants they are for.
func (f *jobFleet) jobs(t *testing.T) map[string][]batchv1.Job {
	t.Helper()
	var list batchv1.JobList
	if err := f.Admin.List(t.Context(), &list, client.InNamespace(f.Namespace)); err != nil {
		t.Fatal(err)
	}
	of := map[string][]batchv1.Job{}
	for _, job := range list.Items {
		for tenant := range strings.SplitSeq(job.Annotations["tenantry.dev/tenants"], ",") {
			of[strings.TrimPrefix(tenant, f.Namespace+"/")] = append(of[strings.TrimPrefix(tenant, f.Namespace+"/")], job)
		}
	}
	return of
}

// awaitJob waits until a tenant has a Job whose program runs, and returns it.
func (f *jobFleet) awaitJob(t *testing.T, name string) *batchv1.Job {
	t.Helper()
	var found *batchv1.Job
	operator.Poll(t, operator.Eventually, func() error {
		for _, job := range f.jobs(t)[name] {
			if job.Status.Active > 0 && f.sessions(t, name) > 0 {
				found = &job
				return nil
			}
		}
		return fmt.Errorf("no Job of %s is at work", name)
	})
	return found
}

// sessions counts those of a tenant's Job.
func (f *jobFleet) sessions(t *testing.T, name string) int {
	t.Helper()
	return operator.Query[int](t, f.AdminDSN, "SELECT count(*)::int FROM pg_stat_activity WHERE usename LIKE $1", "%"+f.tenants[name].Status.Schema+"\\_job")
}

// noLogins fails if a Job's login or Secret is left.
func (f *jobFleet) noLogins(t *testing.T) {
	t.Helper()
	operator.Poll(t, operator.Soon, func() error {
		if roles := operator.Query[int](t, f.AdminDSN, "SELECT count(*)::int FROM pg_roles WHERE rolname LIKE $1", "tn\\_"+f.Name+"\\_\\_%\\_job"); roles != 0 {
			return fmt.Errorf("%d logins of Jobs are left", roles)
		}
		var secrets corev1.SecretList
		if err := f.Admin.List(t.Context(), &secrets, client.InNamespace(f.Namespace)); err != nil {
			return err
		}
		for _, s := range secrets.Items {
			if len(s.OwnerReferences) > 0 && s.OwnerReferences[0].Kind == "Job" {
				return fmt.Errorf("Secret %s of a Job is left", s.Name)
			}
		}
		return nil
	})
}

// columns are the columns of a tenant's table.
func (f *jobFleet) columns(t *testing.T, name string) []string {
	t.Helper()
	return operator.Columns(t, f.AdminDSN, f.tenants[name].Status.Schema, "note")
}
