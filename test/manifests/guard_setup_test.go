package manifests

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What the guard says, by its policies.
const (
	claimed  = "'tenantry-claimed-hosts-gateway' with binding 'tenantry-claimed-hosts-gateway' denied request: a host of this route"
	claimedI = "'tenantry-claimed-hosts-ingress' with binding 'tenantry-claimed-hosts-ingress' denied request: a host of this Ingress"
	forged   = "'tenantry-own-routes' with binding 'tenantry-own-routes' denied request: only Tenantry makes routes"
	owned    = "'tenantry-own-routes' with binding 'tenantry-own-routes' denied request: this route is Tenantry's"
	catchAll = "'tenantry-catch-all-gateway' with binding 'tenantry-catch-all-gateway' denied request: a route without hostnames"
	catchIng = "'tenantry-catch-all-ingress' with binding 'tenantry-catch-all-ingress' denied request: an Ingress without a host"
	allowed  = ""
)

// Users that the guard knows, and one that it does not.
const (
	administrator = "tenantry-admin"
	solver        = "system:serviceaccount:cert-manager:cert-manager"
	collector     = "system:serviceaccount:kube-system:generic-garbage-collector"
	gatewayd      = "system:serviceaccount:gateway-system:gatewayd"
)

// guarded are the claims and the class that the cases are about.
const guarded = `
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: acme.guard.example}
spec: {host: acme.guard.example, holder: {namespace: shop, name: acme, uid: u-1}}
---
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: xn--bcher-kva.example}
spec: {host: xn--bcher-kva.example, holder: {namespace: shop, name: acme, uid: u-1}}
---
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: xx--wildcard.wild.example}
spec: {host: "*.wild.example", holder: {namespace: shop, name: wild, uid: u-2}}
---
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: api.guard.example}
spec: {host: api.guard.example, role: Shared, holder: {kind: TenantClass, name: guarded, uid: u-3}}
---
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: unproven.guard.example}
spec: {host: unproven.guard.example, holder: {namespace: shop, name: acme, uid: u-1}}
status:
  conditions:
  - {type: Verified, status: "False", reason: DomainUnverified, message: x, lastTransitionTime: "2026-01-01T00:00:00Z"}
---
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: guarded}
spec:
  databases: [{namespace: shop, name: main}]
  routing:
    gateway: {parentRefs: [{namespace: infra, name: edge, sectionName: https}]}
    tls: {certificates: Shared, httpSectionName: plain}
    backend: {name: web, port: 80}
---
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: guarded-ingress}
spec:
  databases: [{namespace: shop, name: main}]
  routing:
    ingress: {className: edge}
    backend: {name: web, port: 80}
`

// strangers are routes that nobody minds, one of each kind; cases change them by a merge patch.
var strangers = map[string]string{
	"HTTPRoute": `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: stranger, namespace: default}
spec:
  hostnames: [free.guard.example]
  parentRefs: [{namespace: infra, name: edge}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
`,
	"GRPCRoute": `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: stranger, namespace: default}
spec:
  hostnames: [free.guard.example]
  parentRefs: [{namespace: infra, name: edge}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
`,
	"TLSRoute": `
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: stranger, namespace: default}
spec:
  hostnames: [free.guard.example]
  parentRefs: [{namespace: infra, name: edge}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
`,
	"ListenerSet": `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: stranger, namespace: default}
spec:
  parentRef: {namespace: infra, name: edge}
  listeners: [{name: free, protocol: HTTP, port: 80, hostname: free.guard.example}]
`,
	"Ingress": `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: stranger, namespace: default}
spec:
  ingressClassName: edge
  rules: [{host: free.guard.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
`,
}

// Parts of Ingresses.
const (
	toWeb     = `backend: {service: {name: web, port: {number: 80}}}`
	anyPath   = `http: {paths: [{path: /, pathType: Prefix, ` + toWeb + `}]}`
	somePath  = `http: {paths: [{path: /admin, pathType: Exact, ` + toWeb + `}]}`
	challenge = `http: {paths: [{path: /.well-known/acme-challenge/token, pathType: ImplementationSpecific, ` + toWeb + `}]}`
)

// stranger returns a route that nobody minds, changed by a patch.
func stranger(t *testing.T, kind, patch string) *unstructured.Unstructured {
	t.Helper()
	object := fields(t, strangers[kind])
	merge(object, fields(t, patch))
	return &unstructured.Unstructured{Object: object}
}

// as returns a client that may do all that RBAC is about, under another name: the guard goes by
// names.
func as(t *testing.T, user string) client.Client {
	t.Helper()
	config, err := plane.User(user, "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, "Strict")
}

// guard makes the claims and classes of the cases, as the operator, and puts the guard up.
func guard(t *testing.T) {
	t.Helper()
	for _, name := range []string{"shop", "infra"} {
		namespace := &unstructured.Unstructured{Object: fields(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+name+`}}`)}
		if err := admin.Create(t.Context(), namespace); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	found, err := objects(guarded)
	if err != nil {
		t.Fatal(err)
	}
	installPolicy(t)
	for _, object := range found {
		status := object.Object["status"]
		createAs(t, operator, object)
		if status != nil {
			object.Object["status"] = status
			if err := as(t, operator).Status().Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The API server takes in claims and classes a moment later.
	for _, probe := range []guardCase{
		{kind: "HTTPRoute", patch: `spec: {hostnames: [api.guard.example]}`, want: claimed},
		{kind: "HTTPRoute", patch: `spec: {hostnames: [unproven.guard.example]}`, want: allowed},
		{kind: "HTTPRoute", patch: `spec: {hostnames: null}`, want: catchAll},
		{kind: "Ingress", patch: `spec: {rules: [{` + anyPath + `}]}`, want: catchIng},
		{kind: "Ingress", patch: `spec: {rules: [{host: api.guard.example, ` + anyPath + `}]}`, want: claimedI},
		{kind: "HTTPRoute", patch: `metadata: {labels: {tenantry.dev/class: x}}`, want: forged},
	} {
		waitFor(t, func() bool {
			return says(admin.Create(t.Context(), stranger(t, probe.kind, probe.patch), client.DryRunAll), probe.want) == ""
		})
	}
}

// createAs creates an object as a user; it goes with the test.
func createAs(t *testing.T, user string, object *unstructured.Unstructured) {
	t.Helper()
	c := as(t, user)
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatalf("create %s %s: %v", object.GetKind(), object.GetName(), err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := c.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
}

// says returns what is wrong with an answer of the API server, or "".
func says(err error, want string) string {
	switch {
	case want == allowed && err == nil:
		return ""
	case err == nil:
		return "it was allowed"
	case want == allowed:
		return err.Error()
	case strings.HasPrefix(want, "'tenantry-") && !apierrors.IsForbidden(err):
		return "not forbidden: " + err.Error()
	case !strings.Contains(err.Error(), want):
		return "another reason: " + err.Error()
	}
	return ""
}
