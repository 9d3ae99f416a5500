// Command manager runs Tenantry's controllers.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers/domainclaim"
	"github.com/tenantry/tenantry/controllers/migrationset"
	"github.com/tenantry/tenantry/controllers/tenant"
	"github.com/tenantry/tenantry/controllers/tenantclass"
	"github.com/tenantry/tenantry/controllers/tenantdatabase"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/sources"
)

type options struct {
	metricsAddress, probeAddress string
	metricsSecure, leaderElect   bool
	leaderElectNamespace         string
	tenantWorkers                int
	maxConns                     int
}

func main() {
	var o options
	flag.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "address of the metrics endpoint; 0 switches it off")
	flag.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics over HTTPS, to those whom the API server authorises")
	flag.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flag.BoolVar(&o.leaderElect, "leader-elect", false, "let one of several replicas work at a time")
	flag.StringVar(&o.leaderElectNamespace, "leader-elect-namespace", "", "namespace of the lease; the pod's own if empty")
	flag.IntVar(&o.tenantWorkers, "tenant-workers", 8, "how many Tenants are worked on at a time")
	flag.IntVar(&o.maxConns, "database-connections", 8, "how many connections the operator opens to one database at most")
	zapOptions := zap.Options{}
	zapOptions.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&zapOptions)))
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(gatewayv1.Install(scheme))

	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, -1 // The API server's own priority and fairness bounds us.
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsOptions(o),
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "tenantry.dev",
		LeaderElectionNamespace:       o.leaderElectNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(30 * time.Second),
	})
	if err != nil {
		return err
	}
	if err := register(mgr, o); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func metricsOptions(o options) metricsserver.Options {
	m := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		m.FilterProvider = filters.WithAuthenticationAndAuthorization
		m.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }} // no HTTP/2: CVE-2023-44487
	}
	return m
}

// register makes what the controllers share and adds them to the manager.
func register(mgr ctrl.Manager, o options) error {
	live := mgr.GetAPIReader()
	status := &conditions.Writer{Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("tenantry")}
	pools := databases.New(live, postgres.PoolOptions{MaxConns: int32(min(max(o.maxConns, 2), 1000))}) //nolint:gosec // bounded
	loader := sources.NewLoader(mgr.GetClient(), live)
	tenants := &tenant.Reconciler{
		Client: mgr.GetClient(), Live: live, Status: status, Pools: pools, Placement: databases.NewPlacement(), Sources: loader,
	}
	for _, err := range []error{
		tenants.Register(mgr, o.tenantWorkers),
		(&tenantclass.Reconciler{Client: mgr.GetClient(), Status: status}).Register(mgr),
		(&tenantdatabase.Reconciler{Client: mgr.GetClient(), Status: status, Pools: pools, Sources: loader}).Register(mgr),
		(&migrationset.Reconciler{Client: mgr.GetClient(), Status: status, Pools: pools, Sources: loader}).Register(mgr),
		(&domainclaim.Reconciler{Client: mgr.GetClient(), Live: live, Status: status}).Register(mgr),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
