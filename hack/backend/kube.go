package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/tenantry/tenantry/internal/domains"
)

var (
	apiVersion     = schema.GroupVersion{Group: "tenantry.dev", Version: "v1alpha1"}
	tenantResource = apiVersion.WithResource("tenants")
	claimResource  = apiVersion.WithResource("domainclaims")
)

// errNobody is the answer for a host that no tenant holds.
var errNobody = errors.New("no tenant holds the host")

// kubeBindings reads bindings from the API server: the Tenant, then the Secret that its status
// names; and holders of hosts from the DomainClaims. Answers are kept for a while. When the API
// server cannot be asked, the last answer goes on: whether a login is still good is decided by
// the database, not here.
type kubeBindings struct {
	tenants dynamic.NamespaceableResourceInterface
	claims  dynamic.ResourceInterface
	secrets corev1.SecretsGetter

	bindings cache[Binding]
	holders  cache[string]
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
		tenants: dyn.Resource(tenantResource), claims: dyn.Resource(claimResource), secrets: core,
		bindings: cache[Binding]{ttl: ttl}, holders: cache[string]{ttl: ttl},
	}, nil
}

// Binding implements Bindings.
func (k *kubeBindings) Binding(ctx context.Context, tenant string) (Binding, error) {
	return lookUp(ctx, &k.bindings, tenant, k.readBinding)
}

// Holder implements Bindings. That nobody holds a host is not remembered: while it was, the
// header alone would decide on the host of a new tenant.
func (k *kubeBindings) Holder(ctx context.Context, host string) (string, error) {
	holder, err := lookUp(ctx, &k.holders, host, k.readHolder)
	if errors.Is(err, errNobody) {
		return "", nil
	}
	return holder, err
}

// Forget implements Bindings.
func (k *kubeBindings) Forget(tenant string) { k.bindings.drop(tenant) }

// lookUp answers from the cache, or by read, or, where read gets no answer, by the last one.
func lookUp[V any](ctx context.Context, c *cache[V], key string, read func(context.Context, string) (V, error)) (V, error) {
	last, found, fresh := c.get(key)
	if fresh {
		return last, nil
	}
	value, err := read(ctx, key)
	switch {
	case err == nil:
		c.put(key, value)
		return value, nil
	case found && !isVerdict(err):
		slog.WarnContext(ctx, "Going on with the last answer of the API server", "about", key, "error", err)
		return last, nil
	default:
		c.drop(key)
		return value, err
	}
}

// isVerdict tells an API server that said no from one that could not be asked.
func isVerdict(err error) bool {
	return errors.Is(err, errUnknownTenant) || errors.Is(err, errNotBound) || errors.Is(err, errWrongSchema) ||
		errors.Is(err, errNobody) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

func (k *kubeBindings) readBinding(ctx context.Context, tenant string) (Binding, error) {
	namespace, name, _ := strings.Cut(tenant, "/")
	obj, err := k.tenants.Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Binding{}, errUnknownTenant
	}
	if err != nil {
		return Binding{}, fmt.Errorf("get Tenant: %w", err)
	}
	secretName := text(obj, "status", "binding", "name")
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
	return newBinding(tenant, text(obj, "status", "schema"), text(obj, "status", "version"), secret.Data)
}

// maxAbove bounds how many wildcards above a host are asked for: a request must not cost a hundred
// more, because its host has a hundred labels.
const maxAbove = 8

// readHolder finds the claim on a host, or on a wildcard over it. On a host of a class, shared or
// public, no tenant is at home: there the header that the data plane sets decides.
func (k *kubeBindings) readHolder(ctx context.Context, host string) (string, error) {
	canonical, err := domains.Canonical(host)
	if err != nil {
		// No name that a Tenant can claim, such as the address of a Service.
		return "", errNobody
	}
	above := domains.Above(canonical)
	if len(above) > maxAbove {
		return "", fmt.Errorf("host with %d labels more than are looked up", len(above)-maxAbove)
	}
	for _, asked := range append([]string{canonical}, above...) {
		claim, err := k.claims.Get(ctx, domains.ClaimName(asked), metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && text(claim, "spec", "host") != asked {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("get DomainClaim: %w", err)
		}
		if text(claim, "spec", "role") != "Tenant" {
			return "", errNobody
		}
		return text(claim, "spec", "holder", "namespace") + "/" + text(claim, "spec", "holder", "name"), nil
	}
	return "", errNobody
}

func text(obj *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, path...)
	return s
}
