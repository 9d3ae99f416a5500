// Command manager runs Tenantry's controllers.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/namespaces"
)

// version is set by the linker in released builds.
var version = "development"

type options struct {
	metricsAddress, probeAddress string
	metricsSecure, leaderElect   bool
	leaderElectNamespace         string
	tenantWorkers                int
	maxConns                     int
	dnsServers                   string
	ociRegistries                string
	namespaces                   string
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
	flag.StringVar(&o.dnsServers, "dns-servers", "", "name servers that say whether tenants control their domains, host:port with commas between; those of /etc/resolv.conf if empty")
	flag.StringVar(&o.ociRegistries, "oci-registries", "", "registries from which MigrationSets may be read, host or host:port with * as a wildcard and commas between; any if empty")
	flag.StringVar(&o.namespaces, "namespaces", "", "namespaces into which the operator looks, with commas between; all if empty")
	zapOptions := zap.Options{}
	zapOptions.BindFlags(flag.CommandLine)
	flag.Parse()
	withoutBodies(&zapOptions)
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&zapOptions)))
	ctrl.Log.Info("Starting Tenantry", "version", version)
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	watched := namespaces.Parse(o.namespaces)
	config.QPS, config.Burst = -1, -1 // The API server's own priority and fairness bounds us.
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        controllers.Scheme(),
		Metrics:                       metricsOptions(o),
		Cache:                         controllers.CacheOptions(watched),
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
	if err := controllers.Register(mgr, controllers.Options{
		TenantWorkers: o.tenantWorkers, DatabaseConnections: o.maxConns, DNSServers: split(o.dnsServers), OCIRegistries: split(o.ociRegistries), Namespaces: watched,
	}); err != nil {
		return err
	}
	if err := ctrlmetrics.Registry.Register(&metrics.Collector{Reader: mgr.GetClient()}); err != nil {
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

// split parts a list at its commas; an empty one has no entries.
func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func metricsOptions(o options) metricsserver.Options {
	m := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		m.FilterProvider = filters.WithAuthenticationAndAuthorization
		m.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }} // no HTTP/2: CVE-2023-44487
	}
	return m
}
