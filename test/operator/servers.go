package operator

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/test/platform"
)

// startWithin bounds the start of the servers, building their programs at first use included.
const startWithin = 15 * time.Minute

// Servers are what all tests of one binary share.
type Servers struct {
	Plane    *platform.ControlPlane
	Postgres *platform.Postgres
	// Admin is a cluster administrator's client; it reads from the API server itself.
	Admin client.WithWatch
	// Unguarded is an administrator's client whose name is the operator's: what it writes is let
	// through by config/policy, as if that were not installed.
	Unguarded client.WithWatch
	// Operator logs in as the operator's service account.
	Operator *rest.Config

	// manifests is the kustomization by which the operator is installed.
	manifests string
	recorder  events.EventRecorder
}

// Default is what most tests install.
const Default = "config/default"

//go:embed gateway.yaml
var gatewayManifest []byte

// Start starts a control plane with controller manager and audit log, installs the CRDs, Gateway
// API, the operator's roles and the admission policies, and starts a PostgreSQL server that logs
// every log-in and every statement that writes. Its settings suit tests: autovacuum is off, so that
// whoever counts writes counts the operator's. More settings can be given.
func Start(ctx context.Context, settings ...platform.PostgresOption) (*Servers, error) {
	return StartWith(ctx, Default, settings...)
}

// StartWith is Start with an operator that is installed by another kustomization, named from the
// repository's root.
func StartWith(ctx context.Context, manifests string, settings ...platform.PostgresOption) (*Servers, error) {
	s := &Servers{manifests: manifests}
	if err := s.start(ctx, settings); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Servers) start(ctx context.Context, settings []platform.PostgresOption) (err error) {
	if s.Postgres, err = StartPostgres(ctx, settings...); err != nil {
		return err
	}
	if err := s.startPlane(ctx); err != nil {
		return err
	}
	if err := s.Plane.InstallGatewayAPI(ctx); err != nil {
		return err
	}
	if err := s.Plane.ApplyYAML(ctx, gatewayManifest); err != nil {
		return err
	}
	return s.install(ctx)
}

func (s *Servers) startPlane(ctx context.Context) (err error) {
	if s.Plane, err = platform.StartControlPlane(ctx, platform.WithControllerManager(), platform.WithAuditLog(OperatorUser)); err != nil {
		return err
	}
	s.Admin, err = client.NewWithWatch(s.Plane.Config, client.Options{Scheme: controllers.Scheme()})
	return err
}

// WithoutGatewayAPI starts a control plane that lacks Gateway API, beside the same PostgreSQL. It ends
// with the test.
func (s *Servers) WithoutGatewayAPI(t testing.TB) *Servers {
	t.Helper()
	bare := &Servers{Postgres: s.Postgres, manifests: Default}
	t.Cleanup(func() {
		if bare.Plane == nil {
			return
		}
		if err := bare.Plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := bare.startPlane(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := bare.install(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bare
}

// StartPostgres starts a server with the settings of Start, for tests that need one of their own.
func StartPostgres(ctx context.Context, settings ...platform.PostgresOption) (*platform.Postgres, error) {
	return platform.StartPostgres(ctx, append([]platform.PostgresOption{
		platform.PostgresSetting("fsync", "off"), platform.PostgresSetting("autovacuum", "off"),
		platform.PostgresSetting("max_connections", "500"),
		platform.PostgresSetting("log_connections", "on"), platform.PostgresSetting("log_statement", "mod"),
	}, settings...)...)
}

// Stop ends the servers.
func (s *Servers) Stop() error {
	var errs []error
	if s.Plane != nil {
		errs = append(errs, s.Plane.Stop())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop())
	}
	return errors.Join(errs...)
}

// install installs what config/default and config/policy do, and logs in as the operator. Its
// Deployment stays without Pods that run: there is no kubelet.
func (s *Servers) install(ctx context.Context) error {
	if err := s.Apply(ctx, s.manifests, "config/policy"); err != nil {
		return err
	}
	unguarded, err := s.Plane.User(OperatorUser, "system:masters")
	if err != nil {
		return err
	}
	if s.Unguarded, err = client.NewWithWatch(unguarded, client.Options{Scheme: controllers.Scheme()}); err != nil {
		return err
	}
	if s.Operator, err = s.Plane.ServiceAccount(ctx, operatorNamespace, operatorAccount); err != nil {
		return err
	}
	s.recorder, err = newRecorder(s.Operator)
	return err
}

// finalizerWithin bounds how long an API server takes to obey the policy of config/finalizer. It knows the schema of
// a kind that is new some five seconds late, and takes no Tenants in these.
const finalizerWithin = time.Minute

// HoldTenants installs the policy by which Tenants have the operator's finalizer from the start, and waits until it
// is obeyed. Most tests go without, as clusters do that are too old for it.
func (s *Servers) HoldTenants(ctx context.Context) error {
	if err := s.Apply(ctx, "config/finalizer"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, finalizerWithin)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		probe := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "probe"}}
		probe.Spec.ClassName = "probe"
		err := s.Admin.Create(ctx, probe, client.DryRunAll)
		if err == nil && controllerutil.ContainsFinalizer(probe, v1alpha1.Finalizer) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("config/finalizer is not obeyed: %w", errors.Join(err, ctx.Err()))
		case <-ticker.C:
		}
	}
}

// Apply applies kustomizations, named from the repository's root.
func (s *Servers) Apply(ctx context.Context, folders ...string) error {
	root, err := platform.RepoRoot()
	if err != nil {
		return err
	}
	for _, folder := range folders {
		text, err := s.Plane.Kubectl(ctx, "kustomize", filepath.Join(root, folder))
		if err != nil {
			return err
		}
		if err := errors.Join(s.makeNamespaces(ctx, text), s.Plane.ApplyYAML(ctx, []byte(text))); err != nil {
			return err
		}
	}
	return nil
}

// makeNamespaces makes those in which manifests have roles, as whoever installs them has to.
func (s *Servers) makeNamespaces(ctx context.Context, manifests string) error {
	for _, m := range regexp.MustCompile(`(?m)^  namespace: ([a-z0-9-]+)$`).FindAllStringSubmatch(manifests, -1) {
		err := s.Admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m[1]}})
		if client.IgnoreAlreadyExists(err) != nil {
			return err
		}
	}
	return nil
}

// The operator's service account, as config/default names it.
const (
	operatorNamespace = "tenantry-system"
	operatorAccount   = "tenantry-controller-manager"
)

// OperatorUser is the operator's name in the audit log.
const OperatorUser = "system:serviceaccount:" + operatorNamespace + ":" + operatorAccount

// parallel is how many tests run at a time unless -parallel says otherwise: they wait more than they
// work.
const parallel = 8

// logTo names a file for the controllers' logs, for a look at a test that failed.
const logTo = "TENANTRY_TEST_LOG"

// Main is the body of a TestMain: it starts the servers into *s, calls before, runs the tests and
// stops the servers.
func Main(m *testing.M, s **Servers, before ...func() error) int {
	return mainOf(m, s, Default, nil, before)
}

// MainOf is Main with an operator that is installed by another kustomization. The namespaces in which
// that gives rights are made before.
func MainOf(m *testing.M, s **Servers, manifests string, before ...func() error) int {
	return mainOf(m, s, manifests, nil, before)
}

// MainThen is Main, with a last look at the servers when all tests of the package were run.
// Its error fails the package.
func MainThen(m *testing.M, s **Servers, then func() error, before ...func() error) int {
	return mainOf(m, s, Default, then, before)
}

func mainOf(m *testing.M, s **Servers, manifests string, then func() error, before []func() error) (code int) {
	if err := setLogger(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "log:", err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	servers, err := StartWith(ctx, manifests)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "start:", err)
		return 1
	}
	defer func() {
		if err := servers.Stop(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "stop:", err)
			code = max(code, 1)
		}
	}()
	*s = servers
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", strconv.Itoa(parallel))
	}
	for _, f := range before {
		if err := f(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "start:", err)
			return 1
		}
	}
	code = m.Run()
	if then == nil {
		return code
	}
	if chosen := selection(); chosen != "" {
		_, _ = fmt.Fprintln(os.Stderr, "the last look at the servers is left out: not all tests were run, because of", chosen)
		return code
	}
	if err := then(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// selection names the flag by which some tests of the package are chosen, or none.
func selection() string {
	for _, name := range []string{"run", "skip", "list"} {
		if flag.Lookup("test."+name).Value.String() != "" {
			return "-" + name
		}
	}
	return ""
}

func setLogger() error {
	out := io.Discard
	if path := os.Getenv(logTo); path != "" {
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		out = file
	}
	ctrl.SetLogger(zap.New(zap.UseDevMode(true), zap.WriteTo(out)))
	return nil
}
