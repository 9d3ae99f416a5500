package manifests

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// valid has one full object of each kind, with which cases of bad input differ in one thing.
var valid = map[string]string{
	"Tenant": `
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata: {name: acme, namespace: default}
spec:
  className: standard
  domains: [acme.example.com, www.acme.example.com, "*.acme.example.com"]
  schemaName: acme
  deletionPolicy: Retain
  migrations: {targetVersion: "7"}
  backend: {name: web, port: 80}
  reader: Enabled
  suspended: true
`,
	"TenantClass": `
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: standard}
spec:
  allowedNamespaces: {from: Selector, selector: {matchLabels: {team: shop}}}
  databases: [{namespace: shop, name: main}]
  migrationSetRef: {namespace: shop, name: shop}
  routing:
    gateway: {parentRefs: [{namespace: infra, name: edge, sectionName: web}]}
    backend: {namespace: shop, name: web, port: 80}
    tenantHeader: X-Tenant
    headers: [{name: X-Schema, value: "{schema}"}, {name: X-Id, value: "{namespace}/{name}/{uid}"}]
    holding: {namespace: shop, name: holding, port: 80}
    publicPaths: [{path: /healthz, match: Exact}, {path: /status, backend: {name: status, port: 80}}]
    publicHosts: [{host: www.example.com, backend: {namespace: shop, name: site, port: 80}}]
    sharedHosts:
    - {host: api.example.com, header: {name: X-Tenant, value: "{name}"}, fallback: {namespace: shop, name: api, port: 80}}
    - {host: app.example.com, pathPrefix: {strip: true}, fallback: {namespace: shop, name: api, port: 80}}
    probe: {path: /healthz, expectedStatus: 204, intervalSeconds: 30, timeoutSeconds: 2}
  domains:
    platform:
    - {domainSuffix: example.com, allowedHosts: ["*", "{name}-*.{namespace}"], allowedNamespaces: {from: All}}
    custom: {cnameTarget: "{name}.edge.example.com"}
  deletionPolicy: Delete
  credentials:
    rotateAfterDays: 90
    extraKeys:
    - {key: JDBC_URL, template: "jdbc:postgresql://{{ .Host }}:{{.Port}}/{{ .Database|urlquery }}?currentSchema={{ .Schema | urlquery }}"}
    - {key: note, template: "{ {x} {"}
  logins:
    mode: SetRole
    secretRef: {namespace: shop, name: shop-login}
    connections: 40
    reader: {default: Disabled, connections: 2, statementTimeoutSeconds: 600}
  limits:
    connections: 10
    statementTimeoutSeconds: 60
    lockTimeoutMilliseconds: 500
    idleInTransactionTimeoutSeconds: 60
    schema: {size: 2Gi, whenExceeded: RevokeInsert}
`,
	"TenantDatabase": `
apiVersion: tenantry.dev/v1alpha1
kind: TenantDatabase
metadata: {name: main, namespace: default}
spec:
  connectionSecretRef: {name: main-db}
  allowedNamespaces: {from: All}
  maxTenants: 0
  endpoint: {host: pooler.example.com, port: 6432}
  shared:
    schemaName: shared
    migrationSetRef: {name: shared}
    grants: [{table: plans, privileges: [SELECT, REFERENCES]}]
  adoptions:
  - {schemaName: globex, tenantRef: {namespace: default, name: globex}, baselineVersion: "0018"}
  - {schemaName: initech, tenantRef: {namespace: default, name: initech}}
`,
	"MigrationSet": `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: shop, namespace: default}
spec:
  source: {configMaps: [{name: sql, keys: [0001_a.sql]}, {name: more}]}
  format: Plain
  allowedNamespaces: {from: Same}
  lockTimeoutMilliseconds: 500
  statementTimeoutSeconds: 60
  rollout:
    rings:
    - {name: canary, selector: {matchLabels: {ring: canary}}, soakSeconds: 600}
    - {name: uat, selector: {matchExpressions: [{key: stage, operator: In, values: [uat]}]}}
    maxInFlight: 4
    failureBudget: 5%
    progressDeadlineSeconds: 300
    paused: true
`,
	"MigrationSet of an artifact": `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: artifact, namespace: default}
spec:
  source:
    oci:
      repository: registry.tools.svc:5000/tasklane/db-migrations
      tag: v1.4_rc.1
      path: db/migrations
      pullSecretRef: {name: registry}
      certificateAuthority: {configMap: {name: trust, key: bundle.pem}}
      plainHTTP: true
      pollIntervalSeconds: 10
  sharedGrants: [{table: plans, privileges: [SELECT, REFERENCES]}]
`,
	"MigrationSet of a digest": `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: digest, namespace: default}
spec:
  source:
    oci:
      repository: "[fd00::5]:5000/migrations"
      digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      certificateAuthority: {secret: {name: trust}}
`,
	"DomainClaim": `
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: acme.example.com}
spec:
  host: acme.example.com
  holder: {namespace: default, name: acme, uid: 7e2c1a52-7a8e-4b0e-9d0a-1d2f3c4b5a69}
`,
}

// minimal has the least that each kind accepts.
var minimal = map[string]string{
	"Tenant":         `{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, metadata: {name: least, namespace: default}, spec: {className: standard}}`,
	"TenantClass":    `{apiVersion: tenantry.dev/v1alpha1, kind: TenantClass, metadata: {name: least}, spec: {databases: [{namespace: a, name: b}]}}`,
	"TenantDatabase": `{apiVersion: tenantry.dev/v1alpha1, kind: TenantDatabase, metadata: {name: least, namespace: default}, spec: {connectionSecretRef: {name: a}}}`,
	"MigrationSet":   `{apiVersion: tenantry.dev/v1alpha1, kind: MigrationSet, metadata: {name: least, namespace: default}, spec: {source: {configMaps: [{name: a}]}}}`,
}

func TestValidObjectsAreAccepted(t *testing.T) {
	for _, set := range []map[string]string{valid, minimal} {
		for kind, text := range set {
			object := &unstructured.Unstructured{Object: fields(t, text)}
			t.Run(kind+" "+object.GetName(), func(t *testing.T) {
				if err := admin.Create(t.Context(), object, client.DryRunAll); err != nil {
					t.Fatal(err)
				}
				// A user who saves what the API server made of it gets the same again.
				object.SetResourceVersion("")
				object.SetUID("")
				before := object.DeepCopy()
				if err := admin.Create(t.Context(), object, client.DryRunAll); err != nil {
					t.Fatal(err)
				}
				if got, want := object.Object["spec"], before.Object["spec"]; !equal(got, want) {
					t.Errorf("defaults of defaults: got %v, want %v", got, want)
				}
			})
		}
	}
}

// Nobody may take an object that the operator has not seen yet for ready: kubectl wait and GitOps
// tools read the generation, of which the default says that none was observed.
func TestFreshObjectsAreInProgress(t *testing.T) {
	for kind, text := range valid {
		t.Run(kind, func(t *testing.T) {
			object := &unstructured.Unstructured{Object: fields(t, text)}
			rename(object, "fresh-"+object.GetName())
			create(t, object)
			generation, found, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
			if err != nil || !found || generation != -1 {
				t.Errorf("status.observedGeneration is %d (found: %t, %v), want -1", generation, found, err)
			}
			result, err := status.Compute(object)
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != status.InProgressStatus {
				t.Errorf("kstatus says %s, want %s", result.Status, status.InProgressStatus)
			}
		})
	}
}
