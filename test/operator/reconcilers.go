package operator

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
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
	return s.reconcilers(t, -1)
}

// ErrCrash is the answer to every write after an operator's death.
var ErrCrash = errors.New("the operator is dead")

// DyingReconcilers are an operator that dies after so many writes to the API: it writes nothing more.
func (s *Servers) DyingReconcilers(t testing.TB, writes int) *Reconcilers {
	t.Helper()
	return s.reconcilers(t, writes)
}

func (s *Servers) reconcilers(t testing.TB, writes int) *Reconcilers {
	t.Helper()
	live, err := client.NewWithWatch(s.Operator, client.Options{Scheme: controllers.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	c := client.Client(live)
	if writes >= 0 {
		c = interceptor.NewClient(live, dying(writes))
	}
	pools := databases.New(c, postgres.PoolOptions{MaxConns: 4})
	t.Cleanup(pools.Close)
	return &Reconcilers{controllers.New(c, c, s.recorder, pools)}
}

// dying lets so many writes through, and no more.
func dying(writes int) interceptor.Funcs {
	var done atomic.Int32
	try := func(write func() error) error {
		if int(done.Add(1)) > writes {
			return ErrCrash
		}
		return write()
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return try(func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return try(func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return try(func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return try(func() error { return c.Delete(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return try(func() error { return c.SubResource(name).Patch(ctx, o, p, opts...) })
		},
	}
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
