package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

var (
	provisioned = flag.Int("tenants", 500, "how many tenants are provisioned")
	upgraded    = flag.Int("fleet", 2000, "how many tenants are upgraded")
	workers     = flag.Int("workers", 0, "how many Tenants the operator works on at a time; 0 for one for each of its connections")
	connections = flag.Int("connections", 0, "how many connections each login of the operator opens to a database, as --database-connections; 0 for what is best for the bare program")
	rounds      = flag.Int("rounds", 1, "how often each is measured, in turns with its bound")
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	debug.SetGCPercent(200) // as config/manager has it, and for the bare program too
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop:", err)
		}
	}
	os.Exit(code)
}

var started *operator.Servers

// servers with durable settings, and those of a usual server otherwise: autovacuum on, nothing logged.
var servers = sync.OnceValues(func() (*operator.Servers, error) {
	settings := map[string]string{
		"fsync": "on", "autovacuum": "on", "log_statement": "none", "log_connections": "off",
		"shared_buffers": "512MB", "max_wal_size": "4GB",
	}
	var options []platform.PostgresOption
	for name, value := range settings {
		options = append(options, platform.PostgresSetting(name, value))
	}
	var err error
	if started, err = operator.Start(context.Background(), options...); err == nil {
		err = started.HoldTenants(context.Background())
	}
	return started, err
})

// stage is a world with routes, and somebody who accepts them.
type stage struct {
	*operator.World
	names []string
	// bare writes to the API with the operator's own login and rights.
	bare client.Client
	// made are the Tenants as the API server had them last, for the bare client, which reads nothing.
	made map[string]*v1alpha1.Tenant
}

// newStage makes a world for so many tenants of a product with so many files. Its objects are not made.
func newStage(b *testing.B, tenants, files int) *stage {
	b.Helper()
	s, err := servers()
	if err != nil {
		b.Fatal(err)
	}
	w := &stage{World: s.World(b)}
	if w.bare, err = client.New(s.Operator, client.Options{Scheme: controllers.Scheme()}); err != nil {
		b.Fatal(err)
	}
	w.Files = w.ConfigMap("migrations", product(files))
	w.Class.Spec.Routing = &v1alpha1.Routing{
		Gateway: &v1alpha1.GatewayRouting{ParentRefs: []v1alpha1.GatewayReference{{
			NamespacedReference: v1alpha1.NamespacedReference{Namespace: "gateways", Name: "edge"},
		}}},
		Backend: v1alpha1.ServiceBackend{Name: "web", Port: 8080}, TenantHeader: "X-Tenantry-Tenant",
	}
	for i := range tenants {
		w.names = append(w.names, fmt.Sprintf("tenant-%04d", i))
	}
	w.Create(b, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "web"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	})
	w.accept(b)
	return w
}

// accept accepts every HTTPRoute of the world until the benchmark ends.
func (s *stage) accept(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	w, err := s.Admin.Watch(ctx, &gatewayv1.HTTPRouteList{}, client.InNamespace(s.Namespace))
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	b.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		for event := range w.ResultChan() {
			if route, is := event.Object.(*gatewayv1.HTTPRoute); is && event.Type == watch.Added {
				if err := s.acceptRoute(ctx, route); err != nil && ctx.Err() == nil {
					b.Errorf("accept route %s: %v", route.Name, err)
				}
			}
		}
	}()
}

func (s *stage) acceptRoute(ctx context.Context, route *gatewayv1.HTTPRoute) error {
	before := route.DeepCopy()
	parent := gatewayv1.RouteParentStatus{ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.com/edge"}
	for _, kind := range []string{"Accepted", "ResolvedRefs"} {
		meta.SetStatusCondition(&parent.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: kind, ObservedGeneration: route.Generation})
	}
	route.Status.Parents = []gatewayv1.RouteParentStatus{parent}
	return s.Admin.Status().Patch(ctx, route, client.MergeFrom(before))
}

// writeTenants writes the manifests.
func (s *stage) writeTenants() {
	s.made = map[string]*v1alpha1.Tenant{}
	for _, name := range s.names {
		s.made[name] = s.Tenant(name, s.Host(name))
	}
}

// createTenants makes all Tenants at once, as a user does who applies one file.
func (s *stage) createTenants(b *testing.B) {
	b.Helper()
	s.writeTenants()
	inParallel(b, 8, s.names, func(name string) error { return s.Admin.Create(b.Context(), s.made[name]) })
}

// reread brings made up to date.
func (s *stage) reread(b *testing.B) {
	b.Helper()
	var list v1alpha1.TenantList
	if err := s.Admin.List(b.Context(), &list, client.InNamespace(s.Namespace)); err != nil {
		b.Fatal(err)
	}
	for i := range list.Items {
		s.made[list.Items[i].Name] = &list.Items[i]
	}
}

// awaitTenants waits by a watch until every tenant is as it should be.
func (s *stage) awaitTenants(b *testing.B, is func(*v1alpha1.Tenant) bool) {
	b.Helper()
	var list v1alpha1.TenantList
	if err := s.Admin.List(b.Context(), &list, client.InNamespace(s.Namespace)); err != nil {
		b.Fatal(err)
	}
	ready := map[string]bool{}
	note := func(t *v1alpha1.Tenant) {
		if is(t) {
			ready[t.Name] = true
		} else {
			delete(ready, t.Name)
		}
	}
	for i := range list.Items {
		note(&list.Items[i])
	}
	from := list.ResourceVersion
	for len(ready) < len(s.names) {
		w, err := s.Admin.Watch(b.Context(), &v1alpha1.TenantList{}, client.InNamespace(s.Namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: from}})
		if err != nil {
			b.Fatal(err)
		}
		for event := range w.ResultChan() {
			t, ok := event.Object.(*v1alpha1.Tenant)
			if !ok {
				b.Fatalf("watch: %v", event.Object)
			}
			from = t.ResourceVersion
			if note(t); len(ready) == len(s.names) {
				break
			}
		}
		w.Stop()
	}
}

// inParallel calls for each name, so many at a time.
func inParallel(b *testing.B, workers int, names []string, call func(name string) error) {
	b.Helper()
	work := make(chan string)
	errs := make(chan error, workers)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for name := range work {
				if err := call(name); err != nil {
					select {
					case errs <- fmt.Errorf("%s: %w", name, err):
					default:
					}
				}
			}
		})
	}
	for _, name := range names {
		work <- name
	}
	close(work)
	wait.Wait()
	select {
	case err := <-errs:
		b.Fatal(err)
	default:
	}
}
