// Package controllers puts Tenantry's controllers together: what they share is made once here.
package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
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

// Options tune the controllers. Zero values stand for the defaults.
type Options struct {
	// TenantWorkers is how many Tenants are worked on at a time. Default 8.
	TenantWorkers int
	// DatabaseConnections is how many connections each login of the operator opens to one database
	// at most. Default 8.
	DatabaseConnections int
}

// maxConnections keeps a slip of the finger from opening more than a server can take.
const maxConnections = 1000

// Scheme returns a scheme with every kind that the controllers read or write.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(gatewayv1.Install(scheme))
	return scheme
}

// Register adds all controllers to a manager whose scheme is Scheme's.
func Register(mgr ctrl.Manager, o Options) error {
	if o.TenantWorkers <= 0 {
		o.TenantWorkers = 8
	}
	live := mgr.GetAPIReader()
	status := &conditions.Writer{Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("tenantry")}
	// A claim's news is its Tenant's.
	silent := &conditions.Writer{Client: mgr.GetClient()}
	pools := databases.New(live, postgres.PoolOptions{MaxConns: int32(min(max(o.DatabaseConnections, 0), maxConnections))})
	loader := sources.NewLoader(mgr.GetClient(), live)
	tenants := &tenant.Reconciler{
		Client: mgr.GetClient(), Live: live, Status: status, Pools: pools, Placement: databases.NewPlacement(), Sources: loader,
	}
	for _, err := range []error{
		tenants.Register(mgr, o.TenantWorkers),
		(&tenantclass.Reconciler{Client: mgr.GetClient(), Status: status}).Register(mgr),
		(&tenantdatabase.Reconciler{Client: mgr.GetClient(), Status: status, Pools: pools, Sources: loader}).Register(mgr),
		(&migrationset.Reconciler{Client: mgr.GetClient(), Status: status, Pools: pools, Sources: loader}).Register(mgr),
		(&domainclaim.Reconciler{Client: mgr.GetClient(), Live: live, Status: silent}).Register(mgr),
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
