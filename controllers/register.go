// Package controllers puts Tenantry's controllers together: what they share is made once here.
package controllers

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers/domainclaim"
	"github.com/tenantry/tenantry/controllers/migrationset"
	"github.com/tenantry/tenantry/controllers/tenant"
	"github.com/tenantry/tenantry/controllers/tenantclass"
	"github.com/tenantry/tenantry/controllers/tenantdatabase"
	"github.com/tenantry/tenantry/internal/approval"
	"github.com/tenantry/tenantry/internal/certificates"
	"github.com/tenantry/tenantry/internal/claims"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/dns"
	"github.com/tenantry/tenantry/internal/dryrun"
	"github.com/tenantry/tenantry/internal/jobs"
	"github.com/tenantry/tenantry/internal/listeners"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/namespaces"
	"github.com/tenantry/tenantry/internal/policies"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/probing"
	"github.com/tenantry/tenantry/internal/publish"
	"github.com/tenantry/tenantry/internal/quotas"
	"github.com/tenantry/tenantry/internal/rollout"
	"github.com/tenantry/tenantry/internal/sources"
	"github.com/tenantry/tenantry/internal/stored"
)

// Options tune the controllers. Zero values stand for the defaults.
type Options struct {
	// TenantWorkers is how many Tenants are worked on at a time. Default 8.
	TenantWorkers int
	// DatabaseConnections is how many connections each login of the operator opens to one database
	// at most. Default 8.
	DatabaseConnections int
	// Namespaces are those into which the operator looks. Default: all.
	Namespaces namespaces.Set
	// DNSServers, host:port each, say whether tenants control their domains. Default: the system's.
	DNSServers []string
	// OCIRegistries are patterns of the registries (host, or host:port) from which MigrationSets may be
	// read. Default: any.
	OCIRegistries []string
}

// recallWithin is how old a look at a tenant's database may be in a pass that nothing there calls for. Such
// passes come every ten minutes, or in hundreds when something changed in Kubernetes that concerns all: an upgrade of
// thousands takes minutes, and all of them would be looked at again for those that are left.
const recallWithin = 2 * time.Minute

// maxConnections keeps a slip of the finger from opening more than a server can take.
const maxConnections = 1000

// Scheme returns a scheme with every kind that the controllers read or write.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(gatewayv1.Install(scheme))
	utilruntime.Must(certificates.AddToScheme(scheme))
	return scheme
}

// CacheOptions keep in memory what is in the namespaces into which the operator looks, and of Jobs only those
// that it made: a cluster may have many others. Who manages which field, nearly half of a Tenant, is left out:
// whoever asks reads from the API server.
func CacheOptions(watched namespaces.Set) cache.Options {
	return cache.Options{
		DefaultNamespaces: watched.Cache(),
		DefaultTransform:  cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&batchv1.Job{}: {Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})},
		},
	}
}

// Reconcilers are all controllers, with what they share made once.
type Reconcilers struct {
	Tenant         *tenant.Reconciler
	TenantClass    *tenantclass.Reconciler
	TenantDatabase *tenantdatabase.Reconciler
	MigrationSet   *migrationset.Reconciler
	DomainClaim    *domainclaim.Reconciler
}

// New returns controllers that read by c, or by live where a cache's word is not enough, and reach
// databases by pools. They send events to the recorder.
func New(c client.Client, live client.Reader, recorder events.EventRecorder, pools *databases.Pools) *Reconcilers {
	status := &conditions.Writer{Client: c, Recorder: recorder}
	// A Tenant's good news may wait, see Busy.
	tenants := &conditions.Writer{Client: c, Recorder: recorder}
	// A claim's news is its Tenant's.
	silent := &conditions.Writer{Client: c}
	loader := sources.NewLoader(c, live)
	keeper := &claims.Keeper{Client: c, Live: live}
	judge := policies.Judge{Reader: c}
	publisher := &publish.Publisher{Client: c, Live: live}
	permits := rollout.NewPermits()
	secrets := &logins.Keeper{Client: c, Live: live}
	certs, edge := &certificates.Keeper{Client: c, Live: live}, &listeners.Keeper{Client: c, Live: live}
	return &Reconcilers{
		Tenant: &tenant.Reconciler{
			Client: c, Live: live, Status: tenants, Pools: pools, Placement: databases.NewPlacement(), Sources: loader, Prober: probing.New(),
			Claims: keeper, Policies: judge, Publisher: publisher, Permits: permits, Logins: secrets, Quotas: quotas.New(),
			Certificates: certs, Listeners: edge, Jobs: &jobs.Keeper{Client: c, Live: live}, Batches: &jobs.Gatherer{},
		},
		TenantClass: &tenantclass.Reconciler{
			Client: c, Status: status, Claims: keeper, Publisher: publisher, Certificates: certs, Listeners: edge,
			Pools: pools, Logins: secrets,
		},
		TenantDatabase: &tenantdatabase.Reconciler{Client: c, Status: status, Pools: pools, Sources: loader},
		MigrationSet: &migrationset.Reconciler{
			Client: c, Status: status, Pools: pools, Sources: loader, Permits: permits, Approvals: &approval.Keeper{Live: live},
			DryRun: &dryrun.Runner{Pools: pools},
		},
		DomainClaim: &domainclaim.Reconciler{
			Client: c, Live: live, Status: silent, Claims: keeper, Policies: judge, DNS: &dns.Resolver{},
		},
	}
}

// Register adds all controllers to a manager whose scheme is Scheme's.
func Register(mgr ctrl.Manager, o Options) error {
	if o.TenantWorkers <= 0 {
		o.TenantWorkers = 8
	}
	c, live := o.Namespaces.Client(mgr.GetClient()), o.Namespaces.Reader(mgr.GetAPIReader(), mgr.GetClient())
	pools := databases.New(live, postgres.PoolOptions{MaxConns: int32(min(max(o.DatabaseConnections, 0), maxConnections))})
	resolver, err := dns.New(o.DNSServers...)
	if err != nil {
		return err
	}
	r := New(c, live, mgr.GetEventRecorder("tenantry"), pools)
	r.DomainClaim.DNS, r.DomainClaim.Namespaces, r.TenantClass.Namespaces = resolver, o.Namespaces, o.Namespaces
	r.MigrationSet.Sources.Registries = o.OCIRegistries // the loader that all share
	r.MigrationSet.Patience = time.Minute
	r.Tenant.RecallWithin = recallWithin
	if len(o.Namespaces) == 0 {
		cached := stored.New(mgr.GetCache())
		r.Tenant.Publisher.Stored, r.Tenant.Claims.Stored = cached, cached
	}
	r.Tenant.Status.Busy = r.Tenant.Busy
	r.Tenant.Patience, r.DomainClaim.Patience, r.DomainClaim.Busy = 3*time.Second, 5*time.Second, r.Tenant.Busy
	r.TenantDatabase.Busy, r.MigrationSet.Busy = r.Tenant.Busy, r.Tenant.Busy
	for _, err := range []error{
		r.Tenant.Register(mgr, o.TenantWorkers), r.TenantClass.Register(mgr), r.TenantDatabase.Register(mgr),
		r.MigrationSet.Register(mgr), r.DomainClaim.Register(mgr),
	} {
		if err != nil {
			return err
		}
	}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		pools.Close()
		return nil
	}))
}
