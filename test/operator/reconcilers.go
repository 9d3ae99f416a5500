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
type Reconcilers struct {
	*controllers.Reconcilers
	// killed is closed when they are to do nothing more, nil for never.
	killed <-chan struct{}
}

// Reconcilers returns controllers whose connections end with the test.
func (s *Servers) Reconcilers(t testing.TB) *Reconcilers {
	t.Helper()
	return s.reconcilers(t, nil)
}

// ErrCrash is the answer to every write after an operator's death.
var ErrCrash = errors.New("the operator is dead")

// DyingReconcilers are an operator that dies after so many writes to the API: it writes nothing more.
func (s *Servers) DyingReconcilers(t testing.TB, writes int) *Reconcilers {
	t.Helper()
	return s.reconcilers(t, &death{writes: int32(writes), then: func() {}})
}

// KilledReconcilers are an operator that is killed right behind its so manieth write to the API, at 0 before the
// first one: it does nothing more anywhere.
func (s *Servers) KilledReconcilers(t testing.TB, writes int) *Reconcilers {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	t.Cleanup(kill)
	r := s.reconcilers(t, &death{writes: int32(writes), then: kill})
	r.killed = ctx.Done()
	return r
}

func (s *Servers) reconcilers(t testing.TB, d *death) *Reconcilers {
	t.Helper()
	live, err := client.NewWithWatch(s.Operator, client.Options{Scheme: controllers.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	c := client.Client(live)
	if d != nil {
		c = interceptor.NewClient(live, d.funcs())
	}
	pools := databases.New(c, postgres.PoolOptions{MaxConns: 4})
	t.Cleanup(pools.Close)
	return &Reconcilers{Reconcilers: controllers.New(c, c, s.recorder, pools)}
}

// death lets so many writes through, and no more; then comes behind the last one.
type death struct {
	writes int32
	then   func()
	done   atomic.Int32
}

func (d *death) try(write func() error) error {
	n := d.done.Add(1)
	if n > d.writes {
		d.then()
		return ErrCrash
	}
	err := write()
	if n == d.writes {
		d.then()
	}
	return err
}

func (d *death) funcs() interceptor.Funcs {
	try := d.try
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-r.killed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return by.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)})
}
