package manifests

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// badCase is a valid object of a kind, changed by a merge patch in YAML, and what the API server
// must say of it: words that tell the user what to mend.
type badCase struct{ kind, patch, want string }

// badObjects are refused when they are created.
var badObjects = map[string]badCase{
	"tenant without class":                {"Tenant", `spec: {className: null}`, "spec.className: Required value"},
	"tenant with empty class":             {"Tenant", `spec: {className: ""}`, "spec.className"},
	"tenant with class in capitals":       {"Tenant", `spec: {className: Standard}`, "should match"},
	"tenant with long class":              {"Tenant", `spec: {className: ` + strings.Repeat("c", 64) + `}`, "may not be more than 63"},
	"tenant with long name":               {"Tenant", `metadata: {name: ` + strings.Repeat("n", 64) + `}`, "a Tenant's name has at most 63 characters"},
	"tenant with unknown field":           {"Tenant", `spec: {domain: acme.example.com}`, `unknown field "spec.domain"`},
	"tenant without spec":                 {"Tenant", `spec: null`, "spec: Required value"},
	"empty list of domains":               {"Tenant", `spec: {domains: []}`, "should have at least 1 items"},
	"too many domains":                    {"Tenant", `spec: {domains: [` + hosts(65) + `]}`, "must have at most 64 items"},
	"empty domain":                        {"Tenant", `spec: {domains: [""]}`, "should be at least 1 chars long"},
	"domain with scheme":                  {"Tenant", `spec: {domains: ["https://acme.example.com"]}`, "a domain is a host name alone"},
	"domain with port":                    {"Tenant", `spec: {domains: ["acme.example.com:8080"]}`, "a domain is a host name alone"},
	"domain with path":                    {"Tenant", `spec: {domains: ["acme.example.com/login"]}`, "a domain is a host name alone"},
	"wildcard as primary domain":          {"Tenant", `spec: {domains: ["*.acme.example.com"]}`, "it cannot be a wildcard"},
	"wildcard inside a domain":            {"Tenant", `spec: {domains: ["acme.com", "a.*.acme.com"]}`, "no wildcard elsewhere"},
	"wildcard as part of a label":         {"Tenant", `spec: {domains: ["acme.com", "*a.acme.com"]}`, "no wildcard elsewhere"},
	"name of another's alias route":       {"Tenant", `metadata: {name: acme.alias}`, "cannot end with .alias, .shared, .http, .custom or .more"},
	"name of another's further route":     {"Tenant", `metadata: {name: acme.more-1}`, "cannot end with .alias, .shared, .http, .custom or .more"},
	"domain with space":                   {"Tenant", `spec: {domains: ["acme example.com"]}`, "a domain is a host name alone"},
	"domain with line break":              {"Tenant", `spec: {domains: ["acme.example.com\nx"]}`, "a domain is a host name alone"},
	"domain with user":                    {"Tenant", `spec: {domains: ["me@acme.example.com"]}`, "a domain is a host name alone"},
	"long domain":                         {"Tenant", `spec: {domains: [` + strings.Repeat("a", 255) + `]}`, "may not be more than 254"},
	"same domain twice":                   {"Tenant", `spec: {domains: [a.example.com, a.example.com]}`, "the same domain is listed twice"},
	"same domain twice but for case":      {"Tenant", `spec: {domains: [a.example.com, A.Example.com]}`, "the same domain is listed twice"},
	"schema public":                       {"Tenant", `spec: {schemaName: public}`, "this schema name is reserved"},
	"schema of PostgreSQL":                {"Tenant", `spec: {schemaName: pg_toast}`, "this schema name is reserved"},
	"schema information_schema":           {"Tenant", `spec: {schemaName: information_schema}`, "this schema name is reserved"},
	"schema of the registry":              {"Tenant", `spec: {schemaName: tenantry}`, "this schema name is reserved"},
	"schema shared":                       {"Tenant", `spec: {schemaName: shared}`, "this schema name is reserved"},
	"schema in capitals":                  {"Tenant", `spec: {schemaName: Acme}`, "should match"},
	"schema with quote":                   {"Tenant", `spec: {schemaName: 'a"; drop'}`, "should match"},
	"schema that starts with a digit":     {"Tenant", `spec: {schemaName: 1acme}`, "should match"},
	"schema that becomes too long a role": {"Tenant", `spec: {schemaName: ` + strings.Repeat("s", 51) + `}`, "spec.schemaName"},
	"unknown deletion policy":             {"Tenant", `spec: {deletionPolicy: Orphan}`, `supported values: "Retain", "Delete"`},
	"version that is no version":          {"Tenant", `spec: {migrations: {targetVersion: latest}}`, "should match"},

	"class without databases":             {"TenantClass", `spec: {databases: []}`, "should have at least 1 items"},
	"class with a database twice":         {"TenantClass", `spec: {databases: [{namespace: a, name: b}, {namespace: a, name: b}]}`, "Duplicate value"},
	"class with database without name":    {"TenantClass", `spec: {databases: [{namespace: a}]}`, "name: Required value"},
	"class with gateway and ingress":      {"TenantClass", `spec: {routing: {ingress: {className: nginx}}}`, "set exactly one of gateway and ingress"},
	"class with neither":                  {"TenantClass", `spec: {routing: {gateway: null}}`, "set exactly one of gateway and ingress"},
	"class for its own namespace":         {"TenantClass", `spec: {allowedNamespaces: {from: Same, selector: null}}`, "a TenantClass has no namespace"},
	"selector that is missing":            {"TenantClass", `spec: {allowedNamespaces: {selector: null}}`, "set selector if, and only if, from is Selector"},
	"selector that means nothing":         {"TenantClass", `spec: {allowedNamespaces: {from: All}}`, "set selector if, and only if, from is Selector"},
	"unknown source of namespaces":        {"TenantClass", `spec: {allowedNamespaces: {from: Some}}`, "Unsupported value"},
	"route without gateway":               {"TenantClass", `spec: {routing: {gateway: {parentRefs: []}}}`, "should have at least 1 items"},
	"route without backend":               {"TenantClass", `spec: {routing: {backend: null}}`, "backend: Required value"},
	"backend port 0":                      {"TenantClass", `spec: {routing: {backend: {port: 0}}}`, "greater than or equal to 1"},
	"backend port too high":               {"TenantClass", `spec: {routing: {backend: {port: 65536}}}`, "less than or equal to 65535"},
	"backend that is no Service's name":   {"TenantClass", `spec: {routing: {backend: {name: web.shop}}}`, "should match"},
	"tenant header with a space":          {"TenantClass", `spec: {routing: {tenantHeader: "X Tenant"}}`, "should match"},
	"tenant header with a line break":     {"TenantClass", `spec: {routing: {tenantHeader: "X-Tenant\r\nHost"}}`, "should match"},
	"ingress with empty annotations":      {"TenantClass", `spec: {routing: {gateway: null, ingress: {className: nginx, annotations: {}}}}`, "should have at least 1 properties"},
	"ingress with a long annotation":      {"TenantClass", `spec: {routing: {gateway: null, ingress: {className: nginx, annotations: {a: ` + strings.Repeat("x", 4097) + `}}}}`, "a value of at most 4096 characters"},
	"limit of no connection":              {"TenantClass", `spec: {limits: {connections: 0}}`, "greater than or equal to 1"},
	"class with unknown deletion policy":  {"TenantClass", `spec: {deletionPolicy: Snapshot}`, `supported values: "Retain", "Delete"`},
	"database without Secret":             {"TenantDatabase", `spec: {connectionSecretRef: null}`, "connectionSecretRef: Required value"},
	"database with fewer than no tenants": {"TenantDatabase", `spec: {maxTenants: -1}`, "greater than or equal to 0"},
	"endpoint that is a URL":              {"TenantDatabase", `spec: {endpoint: {host: "postgres://db"}}`, "should match"},
	"endpoint without host":               {"TenantDatabase", `spec: {endpoint: {host: null}}`, "host: Required value"},
	"shared schema of PostgreSQL":         {"TenantDatabase", `spec: {shared: {schemaName: pg_catalog}}`, "this schema name is reserved"},
	"shared schema of the registry":       {"TenantDatabase", `spec: {shared: {schemaName: tenantry}}`, "this schema name is reserved"},
	"adoption of public":                  {"TenantDatabase", `spec: {adoptions: [{schemaName: public, tenantRef: {namespace: a, name: b}}]}`, "only a schema that a Tenant could have can be adopted"},
	"adoption of the registry":            {"TenantDatabase", `spec: {adoptions: [{schemaName: tenantry, tenantRef: {namespace: a, name: b}}]}`, "only a schema that a Tenant could have can be adopted"},
	"adoption of a schema of PostgreSQL":  {"TenantDatabase", `spec: {adoptions: [{schemaName: pg_toast, tenantRef: {namespace: a, name: b}}]}`, "only a schema that a Tenant could have can be adopted"},
	"adoption of the shared schema":       {"TenantDatabase", `spec: {shared: {schemaName: common}, adoptions: [{schemaName: common, tenantRef: {namespace: a, name: b}}]}`, "the shared schema belongs to no Tenant"},
	"adoption of a schema in capitals":    {"TenantDatabase", `spec: {adoptions: [{schemaName: Acme, tenantRef: {namespace: a, name: b}}]}`, "should match"},
	"adoption of a schema for two":        {"TenantDatabase", `spec: {adoptions: [{schemaName: c, tenantRef: {namespace: a, name: b}}, {schemaName: c, tenantRef: {namespace: a, name: d}}]}`, "Duplicate value"},
	"adoption for nobody":                 {"TenantDatabase", `spec: {adoptions: [{schemaName: c, tenantRef: {namespace: a}}]}`, "name: Required value"},
	"adoption at no version":              {"TenantDatabase", `spec: {adoptions: [{schemaName: c, tenantRef: {namespace: a, name: b}, baselineVersion: latest}]}`, "should match"},
	"shared schema without migrations":    {"TenantDatabase", `spec: {shared: {migrationSetRef: null}}`, "migrationSetRef: Required value"},
	"grant of an unknown right":           {"TenantDatabase", `spec: {shared: {grants: [{table: plans, privileges: [TRUNCATE]}]}}`, "Unsupported value"},
	"grant of nothing":                    {"TenantDatabase", `spec: {shared: {grants: [{table: plans, privileges: []}]}}`, "should have at least 1 items"},
	"the same right twice":                {"TenantDatabase", `spec: {shared: {grants: [{table: plans, privileges: [SELECT, SELECT]}]}}`, "Duplicate value"},
	"grants on one table twice":           {"TenantDatabase", `spec: {shared: {grants: [{table: t, privileges: [SELECT]}, {table: t, privileges: [INSERT]}]}}`, "Duplicate value"},

	"platform domain without a dot":      {"TenantClass", `spec: {domains: {platform: [{domainSuffix: example}]}}`, "should match"},
	"platform domain in capitals":        {"TenantClass", `spec: {domains: {platform: [{domainSuffix: Example.com}]}}`, "should match"},
	"host pattern with another variable": {"TenantClass", `spec: {domains: {platform: [{domainSuffix: example.com, allowedHosts: ["{uid}"]}]}}`, "a pattern has labels of letters"},
	"host pattern with an empty label":   {"TenantClass", `spec: {domains: {platform: [{domainSuffix: example.com, allowedHosts: ["a..b"]}]}}`, "a pattern has labels of letters"},
	"unknown proof":                      {"TenantClass", `spec: {domains: {custom: {verification: Mail}}}`, `supported values: "DNS", "None"`},
	"shared host told apart by nothing":  {"TenantClass", `spec: {routing: {sharedHosts: [{host: api.example.com, fallback: {namespace: a, name: b, port: 1}}]}}`, "set exactly one of header and pathPrefix"},
	"shared host told apart by two":      {"TenantClass", `spec: {routing: {sharedHosts: [{host: api.example.com, header: {name: X}, pathPrefix: {}, fallback: {namespace: a, name: b, port: 1}}]}}`, "set exactly one of header and pathPrefix"},
	"shared host without fallback":       {"TenantClass", `spec: {routing: {sharedHosts: [{host: api.example.com, header: {name: X}}]}}`, "fallback: Required value"},
	"fallback without namespace":         {"TenantClass", `spec: {routing: {sharedHosts: [{host: api.example.com, header: {name: X}, fallback: {name: b, port: 1}}]}}`, "fallback.namespace is required"},
	"one value for all tenants":          {"TenantClass", `spec: {routing: {sharedHosts: [{host: api.example.com, header: {name: X, value: "{namespace}"}, fallback: {namespace: a, name: b, port: 1}}]}}`, "the value must contain {name}"},
	"path prefix with dots":              {"TenantClass", `spec: {routing: {sharedHosts: [{host: api.example.com, pathPrefix: {value: "/../{name}"}, fallback: {namespace: a, name: b, port: 1}}]}}`, "should match"},
	"host both shared and public":        {"TenantClass", `spec: {routing: {publicHosts: [{host: api.example.com, backend: {namespace: a, name: b, port: 1}}]}}`, "a host is either shared or public"},
	"public host without namespace":      {"TenantClass", `spec: {routing: {publicHosts: [{host: www.example.com, backend: {name: b, port: 1}}]}}`, "backend.namespace is required"},
	"public path with dots":              {"TenantClass", `spec: {routing: {publicPaths: [{path: /a/..}]}}`, "no segments . and .."},
	"public path that is everything":     {"TenantClass", `spec: {routing: {publicPaths: [{path: /}]}}`, "should be at least 2 chars long"},
	"header of a class by Ingress":       {"TenantClass", `spec: {routing: {gateway: null, ingress: {className: nginx}}}`, "cannot tell requests apart by a header"},
	"header with an unknown variable":    {"TenantClass", `spec: {routing: {headers: [{name: X, value: "{password}"}]}}`, "should match"},
	"header with a line break":           {"TenantClass", `spec: {routing: {headers: [{name: X, value: "a\r\nb"}]}}`, "should match"},
	"tls without a source":               {"TenantClass", `spec: {routing: {tls: {}}}`, "certificates: Required value"},
	"tls of an unknown source":           {"TenantClass", `spec: {routing: {tls: {certificates: SelfSigned}}}`, `supported values: "Shared", "CertManager", "External"`},
	"tls without an issuer":              {"TenantClass", `spec: {routing: {tls: {certificates: CertManager}}}`, "set issuerRef with certificates CertManager"},
	"tls with an issuer of no use":       {"TenantClass", `spec: {routing: {tls: {certificates: Shared, issuerRef: {name: ca}}}}`, "set issuerRef with certificates CertManager"},
	"tls Secret beside a Gateway":        {"TenantClass", `spec: {routing: {tls: {certificates: Shared, secretName: tls}}}`, "tls.secretName is for an ingress"},
	"tls Secret that nobody uses":        {"TenantClass", `spec: {routing: {gateway: null, sharedHosts: null, ingress: {className: nginx}, tls: {certificates: External, secretName: tls}}}`, "tls.secretName is for an ingress"},
	"redirect on the listener of https":  {"TenantClass", `spec: {routing: {gateway: {parentRefs: [{namespace: a, name: b, sectionName: web}]}, tls: {certificates: Shared, httpSectionName: web}}}`, "tls.httpSectionName needs a gateway"},
	"redirect without listener":          {"TenantClass", `spec: {routing: {gateway: {parentRefs: [{namespace: a, name: b}]}, tls: {certificates: Shared, httpSectionName: web}}}`, "tls.httpSectionName needs a gateway"},
	"redirect by Ingress":                {"TenantClass", `spec: {routing: {gateway: null, sharedHosts: null, ingress: {className: nginx}, tls: {certificates: Shared, httpSectionName: web}}}`, "tls.httpSectionName needs a gateway"},

	"shared login without a Secret":     {"TenantClass", `spec: {logins: {mode: Shared, secretRef: null}}`, "set secretRef if, and only if, mode is SetRole or Shared"},
	"Secret of no shared login":         {"TenantClass", `spec: {logins: {mode: Dedicated}}`, "set secretRef if, and only if, mode is SetRole or Shared"},
	"bound of no shared login":          {"TenantClass", `spec: {logins: {mode: Dedicated, secretRef: null}}`, "connections is the shared login's bound"},
	"unknown mode of logins":            {"TenantClass", `spec: {logins: {mode: Trust}}`, `supported values: "Dedicated", "SetRole", "Shared"`},
	"key of the Secret that is ours":    {"TenantClass", `spec: {credentials: {extraKeys: [{key: password, template: x}]}}`, "this key is Tenantry's own"},
	"key of the Secret with a slash":    {"TenantClass", `spec: {credentials: {extraKeys: [{key: a/b, template: x}]}}`, "should match"},
	"key of the Secret twice":           {"TenantClass", `spec: {credentials: {extraKeys: [{key: a, template: x}, {key: a, template: y}]}}`, "Duplicate value"},
	"template with an unknown field":    {"TenantClass", `spec: {credentials: {extraKeys: [{key: a, template: "{{ .Env }}"}]}}`, "write {{ .Field }} or {{ .Field | function }}"},
	"template with an unknown function": {"TenantClass", `spec: {credentials: {extraKeys: [{key: a, template: "{{ .Host | printf }}"}]}}`, "write {{ .Field }} or {{ .Field | function }}"},
	"template that is not closed":       {"TenantClass", `spec: {credentials: {extraKeys: [{key: a, template: "{{ .Host }"}]}}`, "write {{ .Field }} or {{ .Field | function }}"},
	"template with a statement":         {"TenantClass", `spec: {credentials: {extraKeys: [{key: a, template: "{{ if .Host }}x{{ end }}"}]}}`, "write {{ .Field }} or {{ .Field | function }}"},
	"quota of nothing":                  {"TenantClass", `spec: {limits: {schema: {size: "0"}}}`, "size is more than nothing"},
	"quota that is a word":              {"TenantClass", `spec: {limits: {schema: {size: big}}}`, "should match"},
	"quota with an unknown action":      {"TenantClass", `spec: {limits: {schema: {whenExceeded: Drop}}}`, `supported values: "Report", "RevokeInsert"`},
	"reader that is a word":             {"Tenant", `spec: {reader: "yes"}`, `supported values: "Enabled", "Disabled"`},

	"probe of no path":    {"TenantClass", `spec: {routing: {probe: {path: healthz}}}`, "should match"},
	"probe without pause": {"TenantClass", `spec: {routing: {probe: {intervalSeconds: 1}}}`, "greater than or equal to 5"},

	"set without source":                {"MigrationSet", `spec: {source: null}`, "a set has one of source"},
	"lint of no rule":                   {"MigrationSet", `spec: {lint: {rules: [{name: drop-tabel, action: Warn}]}}`, "Unsupported value: \"drop-tabel\""},
	"lint of a rule, without action":    {"MigrationSet", `spec: {lint: {rules: [{name: drop-table}]}}`, "action: Required value"},
	"lint of a rule, twice":             {"MigrationSet", `spec: {lint: {rules: [{name: Lock, action: Warn}, {name: Lock, action: Allow}]}}`, "Duplicate value"},
	"lint by no policy":                 {"MigrationSet", `spec: {lint: {policy: Refuse}}`, "Unsupported value: \"Refuse\""},
	"set without ConfigMap":             {"MigrationSet", `spec: {source: {configMaps: []}}`, "should have at least 1 items"},
	"set without a source":              {"MigrationSet", `spec: {source: {configMaps: null}}`, "name exactly one source: configMaps or oci"},
	"set with two sources":              {"MigrationSet", `spec: {source: {configMaps: [{name: a}], oci: {repository: r.example/a, tag: v1}}}`, "name exactly one source: configMaps or oci"},
	"artifact without tag and digest":   {"MigrationSet", `spec: {source: {oci: {repository: r.example/a}}}`, "name exactly one: tag"},
	"artifact with tag and digest":      {"MigrationSet", `spec: {source: {oci: {repository: r.example/a, tag: v1, digest: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}}`, "name exactly one: tag"},
	"artifact with a scheme":            {"MigrationSet", `spec: {source: {oci: {repository: "oci://r.example/a", tag: v1}}}`, "without a scheme, tag or digest"},
	"artifact with a tag in its name":   {"MigrationSet", `spec: {source: {oci: {repository: "r.example/a:v1", tag: v1}}}`, "without a scheme, tag or digest"},
	"artifact without a registry":       {"MigrationSet", `spec: {source: {oci: {repository: tasklane, tag: v1}}}`, "is registry/path"},
	"artifact with a path out of it":    {"MigrationSet", `spec: {source: {oci: {repository: r.example/a, tag: v1, path: a/../b}}}`, "path is a folder inside"},
	"artifact with two authorities":     {"MigrationSet", `spec: {source: {oci: {repository: r.example/a, tag: v1, certificateAuthority: {configMap: {name: a}, secret: {name: b}}}}}`, "name exactly one: configMap or secret"},
	"artifact that is polled too often": {"MigrationSet", `spec: {source: {oci: {repository: r.example/a, tag: v1, pollIntervalSeconds: 5}}}`, "greater than or equal to 10"},
	"set with a ConfigMap twice":        {"MigrationSet", `spec: {source: {configMaps: [{name: a}, {name: a}]}}`, "Duplicate value"},
	"set with a key twice":              {"MigrationSet", `spec: {source: {configMaps: [{name: a, keys: [k, k]}]}}`, "Duplicate value"},
	"set with no keys":                  {"MigrationSet", `spec: {source: {configMaps: [{name: a, keys: []}]}}`, "should have at least 1 items"},
	"format that nobody reads":          {"MigrationSet", `spec: {format: Liquibase}`, `supported values: "Auto", "Plain", "Goose", "GolangMigrate", "Flyway"`},
	"lock timeout that never succeeds":  {"MigrationSet", `spec: {lockTimeoutMilliseconds: 1}`, "greater than or equal to 10"},
	"no statement timeout":              {"MigrationSet", `spec: {statementTimeoutSeconds: 0}`, "greater than or equal to 1"},

	"ring called rest":               {"MigrationSet", `spec: {rollout: {rings: [{name: rest, selector: {matchLabels: {a: b}}}]}}`, "rest is the ring of the tenants that no other ring selects"},
	"ring twice":                     {"MigrationSet", `spec: {rollout: {rings: [{name: a, selector: {matchLabels: {a: b}}}, {name: a, selector: {matchLabels: {a: c}}}]}}`, "Duplicate value"},
	"ring without a selector":        {"MigrationSet", `spec: {rollout: {rings: [{name: a}]}}`, "selector: Required value"},
	"ring of everybody":              {"MigrationSet", `spec: {rollout: {rings: [{name: a, selector: {}}]}}`, "an empty selector selects every tenant"},
	"ring with a name in capitals":   {"MigrationSet", `spec: {rollout: {rings: [{name: Canary, selector: {matchLabels: {a: b}}}]}}`, "should match"},
	"ring that soaks for a year":     {"MigrationSet", `spec: {rollout: {rings: [{name: a, selector: {matchLabels: {a: b}}, soakSeconds: 31536000}]}}`, "less than or equal to 2592000"},
	"no rings":                       {"MigrationSet", `spec: {rollout: {rings: []}}`, "should have at least 1 items"},
	"nobody in flight":               {"MigrationSet", `spec: {rollout: {maxInFlight: 0}}`, "greater than or equal to 1"},
	"failure budget below zero":      {"MigrationSet", `spec: {rollout: {failureBudget: -1}}`, "failureBudget is a number of tenants"},
	"failure budget above everybody": {"MigrationSet", `spec: {rollout: {failureBudget: 101%}}`, "failureBudget is a number of tenants"},
	"failure budget that is a word":  {"MigrationSet", `spec: {rollout: {failureBudget: few}}`, "failureBudget is a number of tenants"},
	"deadline that nobody can keep":  {"MigrationSet", `spec: {rollout: {progressDeadlineSeconds: 0}}`, "greater than or equal to 1"},

	"claim of a host in capitals":       {"DomainClaim", `spec: {host: Acme.example.com}`, "should match"},
	"wildcard's claim by a host's name": {"DomainClaim", `spec: {host: "*.acme.example.com"}`, "a DomainClaim is named by its host"},
	"value's claim by a host's name":    {"DomainClaim", `spec: {value: acme}`, "a DomainClaim is named by its host"},
	"public host of a tenant":           {"DomainClaim", `spec: {role: Public}`, "a shared or public host by a TenantClass"},
	"tenant's host of a class":          {"DomainClaim", `spec: {holder: {kind: TenantClass}}`, "a tenant's host is held by a Tenant"},
	"claim by another name":             {"DomainClaim", `metadata: {name: b.example.com}`, "a DomainClaim is named by its host"},
	"claim of a host with a port":       {"DomainClaim", `spec: {host: "acme.example.com:80"}`, "should match"},
	"claim without the holder UID":      {"DomainClaim", `spec: {holder: {uid: null}}`, "uid: Required value"},
}

// badChanges are refused for an object that exists.
var badChanges = map[string]badCase{
	"another class":                {"Tenant", `spec: {className: premium}`, "className is immutable"},
	"another schema":               {"Tenant", `spec: {schemaName: globex}`, "schemaName is immutable"},
	"schema removed":               {"Tenant", `spec: {schemaName: null}`, "schemaName is immutable: it can be neither added nor removed"},
	"another shared schema":        {"TenantDatabase", `spec: {shared: {schemaName: common}}`, "schemaName of the shared schema is immutable"},
	"claim for another tenant":     {"DomainClaim", `spec: {holder: {name: globex}}`, "a DomainClaim is immutable"},
	"claim of another host":        {"DomainClaim", `spec: {host: b.example.com}`, "a DomainClaim is immutable"},
	"claim for another UID":        {"DomainClaim", `spec: {holder: {uid: other}}`, "a DomainClaim is immutable"},
	"another Secret's name":        {"TenantClass", `spec: {logins: {secretRef: {name: other}}}`, "secretRef is immutable while the mode has a shared login"},
	"both ways of routing at once": {"TenantClass", `spec: {routing: {ingress: {className: nginx}}}`, "set exactly one of gateway and ingress"},
}

func TestBadObjectsAreRefused(t *testing.T) {
	for name, tt := range badObjects {
		t.Run(name, func(t *testing.T) {
			object := fields(t, valid[tt.kind])
			merge(object, fields(t, tt.patch))
			err := admin.Create(t.Context(), &unstructured.Unstructured{Object: object}, client.DryRunAll)
			wantRefused(t, err, tt.want)
		})
	}
}

func TestBadChangesAreRefused(t *testing.T) {
	for name, tt := range badChanges {
		t.Run(name, func(t *testing.T) {
			object := &unstructured.Unstructured{Object: fields(t, valid[tt.kind])}
			rename(object, "changed")
			create(t, object)
			merge(object.Object, fields(t, tt.patch))
			wantRefused(t, admin.Update(t.Context(), object), tt.want)
		})
	}
}

// A schema name cannot be given later either: the tenant's data are in the schema it got.
func TestSchemaNameCannotBeAdded(t *testing.T) {
	object := &unstructured.Unstructured{Object: fields(t, minimal["Tenant"])}
	create(t, object)
	merge(object.Object, fields(t, `spec: {schemaName: acme}`))
	wantRefused(t, admin.Update(t.Context(), object), "schemaName is immutable: it can be neither added nor removed")
}

func wantRefused(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("accepted, want an error with %q", want)
	case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err):
		t.Errorf("refused for another cause: %v", err)
	case !strings.Contains(err.Error(), want):
		t.Errorf("error %q lacks %q", err, want)
	}
}

// hosts returns n host names, separated by commas.
func hosts(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("t%d.example.com", i)
	}
	return strings.Join(names, ", ")
}
