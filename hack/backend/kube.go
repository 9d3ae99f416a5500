package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

var tenantResource = schema.GroupVersionResource{Group: "tenantry.dev", Version: "v1alpha1", Resource: "tenants"}

// maxRemembered bounds the cache. Only tenants that exist are remembered, so made-up headers
// cannot fill it.
const maxRemembered = 10_000

// kubeBindings reads bindings from the API server: the Tenant, then the Secret that its status
// names. Answers are kept for ttl. While the API server cannot be asked, the last answer goes
// on: it is the database that decides whether a login is still good.
type kubeBindings struct {
	tenants dynamic.NamespaceableResourceInterface
	secrets corev1.SecretsGetter
	ttl     time.Duration

	mu    sync.Mutex
	known map[string]remembered
}

type remembered struct {
	binding Binding
	until   time.Time
}

func newKubeBindings(cfg *rest.Config, ttl time.Duration) (*kubeBindings, error) {
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	core, err := corev1.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &kubeBindings{
		tenants: dyn.Resource(tenantResource), secrets: core, ttl: ttl,
		known: make(map[string]remembered),
	}, nil
}

// Binding implements Bindings.
func (k *kubeBindings) Binding(ctx context.Context, tenant string) (Binding, error) {
	last, found := k.recall(tenant)
	if found && time.Now().Before(last.until) {
		return last.binding, nil
	}
	b, err := k.read(ctx, tenant)
	switch {
	case err == nil:
		k.remember(b)
		return b, nil
	case found && !isVerdict(err):
		slog.WarnContext(ctx, "Serving with the last known binding", "tenant", tenant, "error", err)
		return last.binding, nil
	default:
		k.Forget(tenant)
		return Binding{}, err
	}
}

// isVerdict tells an API server that said no from one that could not be asked.
func isVerdict(err error) bool {
	return errors.Is(err, errUnknownTenant) || errors.Is(err, errNotBound) || errors.Is(err, errWrongSchema) ||
		apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

func (k *kubeBindings) read(ctx context.Context, tenant string) (Binding, error) {
	namespace, name, _ := strings.Cut(tenant, "/")
	obj, err := k.tenants.Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Binding{}, errUnknownTenant
	}
	if err != nil {
		return Binding{}, fmt.Errorf("get Tenant: %w", err)
	}
	secretName := statusString(obj, "binding", "name")
	if secretName == "" {
		return Binding{}, errNotBound
	}
	secret, err := k.secrets.Secrets(namespace).Get(ctx, secretName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Binding{}, errNotBound
	}
	if err != nil {
		return Binding{}, fmt.Errorf("get Secret: %w", err)
	}
	return newBinding(tenant, statusString(obj, "schema"), statusString(obj, "version"), secret.Data)
}

func statusString(obj *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, append([]string{"status"}, path...)...)
	return s
}

func (k *kubeBindings) recall(tenant string) (remembered, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, found := k.known[tenant]
	return r, found
}

func (k *kubeBindings) remember(b Binding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= maxRemembered {
		clear(k.known)
	}
	k.known[b.Tenant] = remembered{binding: b, until: time.Now().Add(k.ttl)}
}

// Forget implements Bindings.
func (k *kubeBindings) Forget(tenant string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, tenant)
}
