package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/hack/local/stack"
	"github.com/tenantry/tenantry/test/platform"
)

// Names of config/samples.
const (
	namespace = "tasklane"
	// dataNamespace is where its DBAs keep the operator's login.
	dataNamespace = "tasklane-data"
	database      = "main"
	backend       = "tasklane-web"
)

// demo is a demo that is being started.
type demo struct {
	dir string
	out *console

	// servers is set by startServers, admin with it.
	servers *stack.Stack
	admin   client.Client
	// operator is set by startOperator.
	operator *setup.Operator
}

// parts are what up does, in order. Whoever looks from another terminal sees Tenants from the third
// on, also while the data plane is still being built.
var parts = []struct {
	title string
	do    func(*demo, context.Context) error
}{
	{"Servers", (*demo).startServers},
	{"Installation", (*demo).install},
	{"Operator and sample backend", (*demo).startPrograms},
	{"Data plane", (*demo).startDataPlane},
	{"Tenants", (*demo).waitForTenants},
	{"What a user gets", (*demo).tour},
}

func up(ctx context.Context, dir string, out *console) error {
	if _, err := exec.LookPath("curl"); err != nil {
		return fmt.Errorf("the demo sends its requests with curl: %w", err)
	}
	began := time.Now()
	d := &demo{dir: dir, out: out}
	out.printf("Tenantry's demo, in %s\n", dir)
	for i, part := range parts {
		out.heading("%d/%d %s", i+1, len(parts), part.title)
		if err := part.do(d, ctx); err != nil {
			return fmt.Errorf("%w\n\nWhat was started still runs. `make demo` tries again, `make demo-down` ends it", err)
		}
	}
	return d.goOn(time.Since(began))
}

func down(ctx context.Context, dir string, out *console) error {
	servers, err := platform.Detached(dir)
	if err != nil {
		return err
	}
	if err := stack.Down(ctx, dir); err != nil {
		return err
	}
	for _, server := range servers {
		out.printf("Ended %s (pid %d)\n", server.Name, server.PID)
	}
	out.printf("Nothing of the demo is left in %s\n", dir)
	return nil
}

// lock keeps two demos, or a demo and its end, from working on one folder at the same time.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	cache, err := platform.DefaultCache()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(dir))
	return cache.Lock(ctx, "demo-"+hex.EncodeToString(sum[:])[:12])
}

// readableLog is for people; the default is for machines.
var readableLog = []string{"--zap-encoder=console", "--zap-stacktrace-level=panic"}

func (d *demo) startServers(ctx context.Context) (err error) {
	if cache, err := platform.DefaultCache(); err == nil {
		// The largest download, while the servers in front of it are being compiled.
		go cache.Prefetch(ctx, "traefik")
	}
	if d.servers, err = stack.Up(ctx, d.dir, stack.Options{Out: d.out}); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	d.admin, err = client.New(d.servers.Plane.Config, client.Options{Scheme: scheme})
	return err
}

func (d *demo) startPrograms(ctx context.Context) error {
	manager, web := filepath.Join(d.servers.State.Bin, "manager"), filepath.Join(d.servers.State.Bin, "backend")
	began := time.Now()
	for program, output := range map[string]string{"./cmd/manager": manager, "./hack/backend": web} {
		if err := setup.Build(ctx, program, output); err != nil {
			return err
		}
	}
	d.out.say("Built both from this tree in %s", time.Since(began).Round(100*time.Millisecond))
	host := setup.Host{Plane: d.servers.Plane, Dir: d.dir, Detached: true}
	var err error
	if d.operator, err = host.Operator(ctx, manager, readableLog...); err != nil {
		return err
	}
	d.out.say("The operator runs as system:serviceaccount:%s:%s (pid %d)", setup.Namespace, setup.ServiceAccount, d.operator.PID())
	served, err := host.Backend(ctx, web, namespace, backend)
	if err != nil {
		return err
	}
	d.out.say("The backend listens on %s, the cluster IP of Service %s (pid %d)", served.Address, backend, served.PID())
	d.out.say("To look on from another terminal:")
	d.out.say("  export KUBECONFIG=%s PATH=%s:\"$PATH\"", quote(d.servers.State.Kubeconfig), quote(d.servers.State.Bin))
	return d.waitForSchemas(ctx)
}

// startDataPlane takes minutes where Traefik has to be built first; Tenants wait for it meanwhile.
func (d *demo) startDataPlane(ctx context.Context) (err error) {
	if d.servers, err = stack.Up(ctx, d.dir, stack.Options{Traefik: true}); err != nil {
		return err
	}
	d.out.say("Traefik serves http on 127.0.0.1:%d and https on 127.0.0.1:%d", d.servers.State.HTTPPort, d.servers.State.HTTPSPort)
	objects, err := setup.Render(ctx, "config/samples/platform")
	if err != nil {
		return err
	}
	if err := setup.Listen(objects, d.servers.Traefik.HTTPPort); err != nil {
		return err
	}
	if err := d.servers.Plane.ApplyObjects(ctx, objects...); err != nil {
		return err
	}
	d.out.say("Gateway edge and IngressClass traefik lead to it")
	return d.probeByIngress(ctx)
}

// probeByIngress tells the classes that route by Ingress at which port to ask hosts: the status of an
// Ingress has none. It is a change of its own, so that applying the samples again leaves it alone.
func (d *demo) probeByIngress(ctx context.Context) error {
	var classes v1alpha1.TenantClassList
	if err := d.admin.List(ctx, &classes); err != nil {
		return err
	}
	for i := range classes.Items {
		class := &classes.Items[i]
		before := class.DeepCopy()
		if class.Spec.Routing == nil || class.Spec.Routing.Ingress == nil {
			continue
		}
		class.Spec.Routing.Ingress.Port = int32(d.servers.Traefik.HTTPPort)
		if err := d.admin.Patch(ctx, class, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	return nil
}
