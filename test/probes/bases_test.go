package probes

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

type cause = metav1.StatusCause

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return object
}

const selector = `{from: Selector, selector: {matchLabels: {team: shop}, matchExpressions: [{key: tier, operator: In, values: [gold]}]}}`

// bases are valid objects that together have every string field of the kinds.
var bases = map[string][]string{
	"tenants": {`
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata: {name: acme, namespace: default}
spec:
  className: standard
  domains: [acme.example.com]
  schemaName: acme
  deletionPolicy: Retain
  reader: Enabled
  migrations: {targetVersion: "7"}
  backend: {name: web, namespace: shop, port: 80}
`},
	"tenantclasses": {`
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: standard}
spec:
  allowedNamespaces: ` + selector + `
  databases: [{namespace: shop, name: main}]
  migrationSetRef: {namespace: shop, name: shop}
  deletionPolicy: Delete
  domains:
    custom: {verification: DNS, cnameTarget: "{name}.edge.example"}
    platform: [{domainSuffix: shop.example, allowedHosts: ["*"], allowedNamespaces: ` + selector + `}]
  routing:
    gateway: {parentRefs: [{namespace: infra, name: edge, sectionName: web}]}
    backend: {namespace: shop, name: web, port: 80}
    holding: {namespace: shop, name: holding, port: 80}
    tenantHeader: X-Tenant
    headers: [{name: X-Schema, value: "{schema}"}]
    publicPaths: [{path: /healthz, match: Exact, backend: {namespace: shop, name: web, port: 80}}]
    publicHosts: [{host: www.shop.example, backend: {namespace: shop, name: web, port: 80}}]
    sharedHosts: [{host: api.shop.example, header: {name: X-Customer, value: "{name}"}, fallback: {namespace: shop, name: web, port: 80}}]
    probe: {path: /}
`, `
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: ingress}
spec:
  databases: [{namespace: shop, name: main}]
  routing:
    ingress: {className: traefik, annotations: {example.com/a: b}}
    backend: {namespace: shop, name: web, port: 80}
    sharedHosts: [{host: api.shop.example, pathPrefix: {value: "/{name}"}, fallback: {namespace: shop, name: web, port: 80}}]
`, `
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: secure}
spec:
  databases: [{namespace: shop, name: main}]
  routing:
    gateway: {parentRefs: [{namespace: infra, name: edge, sectionName: web}]}
    backend: {namespace: shop, name: web, port: 80}
    tls: {certificates: CertManager, httpSectionName: web, issuerRef: {group: cert-manager.io, kind: ClusterIssuer, name: main}}
`, `
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: secured}
spec:
  databases: [{namespace: shop, name: main}]
  routing:
    gateway: {parentRefs: [{namespace: infra, name: edge, sectionName: web}]}
    backend: {namespace: shop, name: web, port: 80}
    tls: {certificates: External, secretName: "tls"}
`, `
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: logins}
spec:
  databases: [{namespace: shop, name: main}]
  logins: {mode: SetRole, secretRef: {namespace: shop, name: login}, reader: {default: Enabled}}
  credentials: {extraKeys: [{key: DATABASE_URL, template: "{{ .URI }}"}]}
  limits: {schema: {size: 1Gi, whenExceeded: Report}}
`},
	"tenantdatabases": {`
apiVersion: tenantry.dev/v1alpha1
kind: TenantDatabase
metadata: {name: main, namespace: default}
spec:
  connectionSecretRef: {name: main-db}
  allowedNamespaces: ` + selector + `
  endpoint: {host: pooler.example.com, port: 6432}
  shared: {schemaName: shared, migrationSetRef: {name: shared}, grants: [{table: plans, privileges: [SELECT]}]}
`, `
apiVersion: tenantry.dev/v1alpha1
kind: TenantDatabase
metadata: {name: grown, namespace: default}
spec:
  connectionSecretRef: {name: grown-db}
  adoptions: [{schemaName: acme, tenantRef: {namespace: default, name: acme}, baselineVersion: "0018"}]
`},
	"migrationsets": {`
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: shop, namespace: default}
spec:
  source: {configMaps: [{name: sql, keys: [0001_a.sql]}]}
  format: Plain
  allowedNamespaces: ` + selector + `
  rollout: {failureBudget: 10%, rings: [{name: canary, selector: {matchLabels: {ring: canary}, matchExpressions: [{key: tier, operator: In, values: [gold]}]}}]}
  lint: {policy: RequireApproval, suppressions: Ignore, rules: [{name: drop-table, action: Allow}]}
  dryRun: Enabled
`, `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: tagged, namespace: default}
spec:
  source:
    oci:
      repository: registry.example.com/shop/migrations
      tag: stable
      path: db/migrations
      pullSecretRef: {name: registry}
      certificateAuthority: {configMap: {name: trust, key: bundle.pem}}
  sharedGrants: [{table: plans, privileges: [SELECT]}]
`, `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: pinned, namespace: default}
spec:
  source:
    oci:
      repository: registry.example.com/shop/migrations
      digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      certificateAuthority: {secret: {name: trust, key: bundle.pem}}
`, `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: django, namespace: default}
spec:
  job:
    framework: Django
    version: v41
    expect: [billing.0031_invoice_due]
    template:
      image: registry.example.com/shop:v41
      imagePullPolicy: Always
      command: [python]
      args: [migrate]
      env:
      - {name: MODE, value: production}
      resources: {requests: {cpu: 100m}, limits: {memory: 512Mi}}
      serviceAccountName: shop
      imagePullSecrets: [{name: registry}]
      nodeSelector: {disk: fast}
      tolerations: [{key: batch, operator: Equal, value: only, effect: NoSchedule}]
`, `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: rails, namespace: default}
spec:
  job:
    framework: Rails
    version: v41
    expect: ["20261103120000"]
    template: {image: registry.example.com/desk, env: [{name: KEY, secretKeyRef: {name: rails, key: secret-key}}]}
`, `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: goose, namespace: default}
spec:
  job:
    framework: Goose
    version: v41
    expect: ["41"]
    template: {image: registry.example.com/shop, env: [{name: REGION, configMapKeyRef: {name: goose, key: region}}]}
`},
	"domainclaims": {`
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: acme.example.com}
spec:
  host: acme.example.com
  role: Tenant
  holder: {kind: Tenant, namespace: default, name: acme, uid: 7e2c1a52-7a8e-4b0e-9d0a-1d2f3c4b5a69}
  claimedAt: "2026-01-02T03:04:05.000000Z"
`, `
apiVersion: tenantry.dev/v1alpha1
kind: DomainClaim
metadata: {name: xx--value-a.api.example.com}
spec:
  host: api.example.com
  value: acme
  holder: {namespace: default, name: acme, uid: 7e2c1a52-7a8e-4b0e-9d0a-1d2f3c4b5a69}
`},
}
