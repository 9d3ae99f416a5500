package operator

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Reconcilers are the controllers of one operator without a manager: a new value has forgotten all
// that an operator forgets when it is restarted.
type Reconcilers struct{ *controllers.Reconcilers }

// Reconcilers returns controllers whose connections end with the test.
func (s *Servers) Reconcilers(t testing.TB) *Reconcilers {
	t.Helper()
	c, err := client.New(s.Operator, client.Options{Scheme: controllers.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	pools := databases.New(c, postgres.PoolOptions{MaxConns: 4})
	t.Cleanup(pools.Close)
	return &Reconcilers{controllers.New(c, c, s.recorder, pools)}
}

// newRecorder writes events as a manager's recorder does, until the process ends.
func newRecorder(config *rest.Config) (events.EventRecorder, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: clients.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(context.Background()); err != nil {
		return nil, err
	}
	return broadcaster.NewRecorder(controllers.Scheme(), "tenantry"), nil
}

// Reconcile runs one pass over an object, by the controller of its kind.
func (r *Reconcilers) Reconcile(ctx context.Context, o client.Object) (ctrl.Result, error) {
	var by reconcile.Reconciler
	switch o.(type) {
	case *v1alpha1.Tenant:
		by = r.Tenant
	case *v1alpha1.TenantClass:
		by = r.TenantClass
	case *v1alpha1.TenantDatabase:
		by = r.TenantDatabase
	case *v1alpha1.MigrationSet:
		by = r.MigrationSet
	case *v1alpha1.DomainClaim:
		by = r.DomainClaim
	default:
		return ctrl.Result{}, fmt.Errorf("nobody reconciles a %T", o)
	}
	return by.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)})
}
