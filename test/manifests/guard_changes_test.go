package manifests

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Routes that are there before the cases change them. Those of the operator are labelled and owned as
// it makes them; the others ask for hosts that are claimed later.
var before = map[string]struct{ user, kind, patch string }{
	"own": {operator, "HTTPRoute", `
metadata:
  name: own
  labels: {app.kubernetes.io/managed-by: tenantry, tenantry.dev/tenant: acme, tenantry.dev/tenant-uid: u-1}
  ownerReferences: [{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, name: acme, uid: UID, controller: true, blockOwnerDeletion: true}]
spec: {hostnames: [acme.guard.example]}`},
	"own of a class": {operator, "HTTPRoute", `
metadata: {name: own-of-class, labels: {app.kubernetes.io/managed-by: tenantry, tenantry.dev/class: guarded}}
spec: {hostnames: [api.guard.example]}`},
	"own Ingress": {operator, "Ingress", `
metadata:
  name: own
  labels: {app.kubernetes.io/managed-by: tenantry, tenantry.dev/tenant: acme, tenantry.dev/tenant-uid: u-1}
  annotations: {nginx.ingress.kubernetes.io/proxy-body-size: 1m}
spec: {rules: [{host: acme.guard.example, ` + anyPath + `}]}`},
	"free":         {administrator, "HTTPRoute", `{metadata: {name: free}}`},
	"free Ingress": {administrator, "Ingress", `{metadata: {name: free}}`},
	"early":        {administrator, "HTTPRoute", `{metadata: {name: early}, spec: {hostnames: [later.guard.example, free.guard.example]}}`},
	"early Ingress": {administrator, "Ingress", `
metadata: {name: early}
spec: {rules: [{host: later.guard.example, ` + anyPath + `}]}`},
	"early without a host": {administrator, "HTTPRoute", `{metadata: {name: early-catch-all}, spec: {hostnames: null}}`},
}

// later is claimed when routes for it exist.
const later = `
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: later.guard.example}
spec: {host: later.guard.example, holder: {namespace: shop, name: later, uid: u-4}}
`

// changed are routes as somebody wants to change them, and what the API server says.
var changed = map[string]guardCase{
	"the spec of the operator's":                 {administrator, "own", `spec: {hostnames: [free.guard.example]}`, owned},
	"the backend of the operator's":              {administrator, "own", `spec: {rules: [{backendRefs: [{name: evil, port: 80}]}]}`, owned},
	"the spec of the operator's, by a class":     {administrator, "own of a class", `spec: {rules: [{backendRefs: [{name: evil, port: 80}]}]}`, owned},
	"the spec of the operator's, by itself":      {operator, "own", `spec: {hostnames: [acme.guard.example, www.acme.guard.example]}`, allowed},
	"labels of the operator's":                   {administrator, "own", `metadata: {labels: {team: blue}}`, allowed},
	"annotations of the operator's":              {administrator, "own", `metadata: {annotations: {team: blue}}`, allowed},
	"a finalizer on the operator's":              {gatewayd, "own", `metadata: {finalizers: [example.com/gateway]}`, allowed},
	"our labels of the operator's":               {administrator, "own", `metadata: {labels: {tenantry.dev/tenant-uid: null}}`, owned},
	"our labels of the operator's, to another's": {administrator, "own", `metadata: {labels: {tenantry.dev/tenant-uid: u-2}}`, owned},
	"our labels and the host at once":            {administrator, "own", `{metadata: {labels: null, ownerReferences: null}, spec: {hostnames: [free.guard.example]}}`, owned},
	"owners of the operator's":                   {administrator, "own", `metadata: {ownerReferences: null}`, owned},
	"owners of the operator's, by collection":    {collector, "own", `metadata: {ownerReferences: null}`, allowed},
	"the spec, by collection":                    {collector, "own", `spec: {hostnames: [free.guard.example]}`, owned},
	"the spec of the operator's Ingress":         {administrator, "own Ingress", `spec: {rules: [{host: free.guard.example, ` + anyPath + `}]}`, owned},
	"orders to its controller":                   {administrator, "own Ingress", `metadata: {annotations: {nginx.ingress.kubernetes.io/permanent-redirect: "https://evil.example"}}`, owned},
	"orders that are changed":                    {administrator, "own Ingress", `metadata: {annotations: {nginx.ingress.kubernetes.io/proxy-body-size: 1g}}`, owned},
	"orders that are taken away":                 {administrator, "own Ingress", `metadata: {annotations: {nginx.ingress.kubernetes.io/proxy-body-size: null}}`, owned},
	"what a controller notes":                    {gatewayd, "own Ingress", `metadata: {annotations: {ingress.kubernetes.io/backends: "{}", field.cattle.io/publicEndpoints: "[]"}}`, allowed},

	"somebody's route to a claimed host":     {administrator, "free", `spec: {hostnames: [acme.guard.example]}`, claimed},
	"somebody's route to another free host":  {administrator, "free", `spec: {hostnames: [other.guard.example]}`, allowed},
	"somebody's route to no host":            {administrator, "free", `spec: {hostnames: null}`, catchAll},
	"labels of somebody's route":             {administrator, "free", `metadata: {labels: {team: blue}}`, allowed},
	"somebody's route into the operator's":   {administrator, "free", `metadata: {labels: {tenantry.dev/tenant-uid: u-1}}`, forged},
	"somebody's Ingress to a claimed host":   {administrator, "free Ingress", `spec: {rules: [{host: a.wild.example, ` + anyPath + `}]}`, claimedI},
	"somebody's Ingress to a claimed alias":  {administrator, "free Ingress", `metadata: {annotations: {nginx.ingress.kubernetes.io/server-alias: acme.guard.example}}`, claimedI},
	"somebody's Ingress to no host":          {administrator, "free Ingress", `spec: {rules: [{` + anyPath + `}]}`, catchIng},
	"labels of somebody's Ingress":           {administrator, "free Ingress", `metadata: {labels: {team: blue}}`, allowed},
	"labels of a route that was there early": {administrator, "early", `metadata: {labels: {team: blue}}`, allowed},
	"its finalizers":                         {gatewayd, "early", `metadata: {finalizers: [example.com/gateway]}`, allowed},
	"its backend":                            {administrator, "early", `spec: {rules: [{backendRefs: [{name: other, port: 80}]}]}`, claimed},
	"its other host":                         {administrator, "early", `spec: {hostnames: [later.guard.example]}`, claimed},
	"its claimed host, taken off":            {administrator, "early", `spec: {hostnames: [free.guard.example]}`, allowed},
	"labels of an early Ingress":             {administrator, "early Ingress", `metadata: {labels: {team: blue}}`, allowed},
	"a path of an early Ingress":             {administrator, "early Ingress", `spec: {rules: [{host: later.guard.example, ` + somePath + `}]}`, claimedI},
	"annotations of an early Ingress":        {administrator, "early Ingress", `metadata: {annotations: {nginx.ingress.kubernetes.io/rewrite-target: /}}`, claimedI},
	"the host of an early Ingress":           {administrator, "early Ingress", `spec: {rules: [{host: free.guard.example, ` + anyPath + `}]}`, allowed},
	"labels of an early catch-all":           {administrator, "early without a host", `metadata: {labels: {team: blue}}`, allowed},
	"the backend of an early catch-all":      {administrator, "early without a host", `spec: {rules: [{backendRefs: [{name: other, port: 80}]}]}`, catchAll},
	"the host of an early catch-all":         {administrator, "early without a host", `spec: {hostnames: [free.guard.example]}`, allowed},
}

// What is there already: the operator's routes stay as they are; a route whose host was claimed after
// it may give the host up, and change nothing else that a data plane would see.
func TestGuardOfChanges(t *testing.T) {
	// Garbage collection takes routes whose owner does not live.
	owner := &unstructured.Unstructured{Object: fields(t, valid["Tenant"])}
	createAs(t, administrator, owner)
	early := map[string]*unstructured.Unstructured{}
	makeAs := func(by string) {
		for name, b := range before {
			if b.user == by {
				early[name] = stranger(t, b.kind, strings.ReplaceAll(b.patch, "UID", string(owner.GetUID())))
				createAs(t, by, early[name])
			}
		}
	}
	makeAs(administrator)
	guard(t)
	makeAs(operator)
	createAs(t, operator, &unstructured.Unstructured{Object: fields(t, later)})
	waitFor(t, func() bool {
		return admin.Create(t.Context(), stranger(t, "HTTPRoute", `spec: {hostnames: [later.guard.example]}`), client.DryRunAll) != nil
	})
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		t.Run(name, func(t *testing.T) {
			tt := changed[name]
			object := early[tt.kind].DeepCopy()
			merge(object.Object, fields(t, tt.patch))
			err := as(t, tt.user).Update(t.Context(), object, client.DryRunAll)
			if wrong := says(err, tt.want); wrong != "" {
				t.Errorf("%s by %s: %s; want %q", tt.kind, tt.user, wrong, tt.want)
			}
		})
	}
	for _, name := range []string{"own", "early", "own Ingress", "early Ingress"} {
		t.Run("delete "+name, func(t *testing.T) {
			if err := admin.Delete(t.Context(), early[name].DeepCopy(), client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
		t.Run("status of "+name, func(t *testing.T) {
			object := early[name].DeepCopy()
			object.Object["status"] = map[string]any{"parents": []any{}}
			if object.GetKind() == "Ingress" {
				object.Object["status"] = fields(t, `{loadBalancer: {ingress: [{ip: 192.0.2.1}]}}`)
			}
			if err := as(t, gatewayd).Status().Update(t.Context(), object, client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("apply of an unchanged route", func(t *testing.T) {
		object := stranger(t, "HTTPRoute", before["early"].patch)
		err := admin.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership, client.DryRunAll)
		if err != nil {
			t.Error(err)
		}
	})
}

// Without claims and classes the guard lets everything be, catch-all routes as well.
func TestGuardWithoutClaims(t *testing.T) {
	installPolicy(t)
	for _, kind := range slices.Sorted(maps.Keys(strangers)) {
		if err := admin.Create(t.Context(), stranger(t, kind, ``), client.DryRunAll); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for kind, patch := range map[string]string{"HTTPRoute": `spec: {hostnames: null}`, "Ingress": `spec: {rules: [{` + anyPath + `}]}`} {
		if err := admin.Create(t.Context(), stranger(t, kind, patch), client.DryRunAll); err != nil {
			t.Errorf("%s without a host: %v", kind, err)
		}
	}
}
