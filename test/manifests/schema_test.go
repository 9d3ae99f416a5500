package manifests

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kinds are the kinds of the project by their plural names.
var kinds = map[string]string{
	"tenants": "Tenant", "tenantclasses": "TenantClass", "tenantdatabases": "TenantDatabase",
	"migrationsets": "MigrationSet", "domainclaims": "DomainClaim",
}

// crd returns a CRD as the API server serves it.
func crd(t *testing.T, plural string) map[string]any {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + ".tenantry.dev"},
	}}
	if err := plane.WaitForCondition(t.Context(), established, object, "Established"); err != nil {
		t.Fatal(err)
	}
	return object.Object
}

// schema returns the OpenAPI schema of a kind.
func schema(t *testing.T, plural string) map[string]any {
	t.Helper()
	versions := crd(t, plural)["spec"].(map[string]any)["versions"].([]any)
	if len(versions) != 1 {
		t.Fatalf("%d versions of %s", len(versions), plural)
	}
	return versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
}

// walk calls visit for a schema and all below it, with the path of each as kubectl explain takes it.
func walk(path string, node map[string]any, visit func(path string, node map[string]any)) {
	visit(path, node)
	if properties, ok := node["properties"].(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			walk(path+"."+name, properties[name].(map[string]any), visit)
		}
	}
	if items, ok := node["items"].(map[string]any); ok {
		walk(path+"[]", items, visit)
	}
}

// foreign says whether a field is of a type of Kubernetes' own, which has bounds of its own.
func foreign(path string) bool {
	return strings.Contains(path, ".selector") || strings.Contains(path, ".conditions[]") ||
		strings.HasSuffix(path, ".kind") || strings.HasSuffix(path, ".apiVersion") || strings.HasSuffix(path, ".metadata")
}

func TestEveryFieldIsBoundedAndExplained(t *testing.T) {
	for plural := range kinds {
		t.Run(plural, func(t *testing.T) {
			walk(plural, schema(t, plural), func(path string, node map[string]any) {
				if foreign(path) {
					return
				}
				if node["description"] == nil && !strings.HasSuffix(path, "[]") {
					t.Errorf("%s has no description", path)
				}
				for _, keyword := range missing(node, strings.Contains(path, ".spec")) {
					t.Errorf("%s has no %s", path, keyword)
				}
				if node["x-kubernetes-preserve-unknown-fields"] == true {
					t.Errorf("%s takes anything", path)
				}
			})
		})
	}
}

// missing returns the bounds that a schema lacks. Lower bounds are asked for where users write.
func missing(node map[string]any, written bool) (keywords []string) {
	has := func(keyword string) bool { return node[keyword] != nil }
	require := func(keyword string, exempt bool) {
		if !has(keyword) && !exempt {
			keywords = append(keywords, keyword)
		}
	}
	switch node["type"] {
	case "string":
		bounded := has("enum") || node["format"] == "date-time"
		require("maxLength", bounded)
		require("minLength", bounded || !written)
	case "array":
		require("maxItems", false)
		require("x-kubernetes-list-type", false)
	case "integer", "number":
		require("minimum", !written)
		require("maximum", !written)
	case "object":
		// The bounds of a map's keys and values are in its rules.
		require("maxProperties", !has("additionalProperties"))
		require("x-kubernetes-validations", !has("additionalProperties"))
	}
	return keywords
}

// Defaults are static and never inside list items: GitOps tools compare lists as a whole and would
// see a difference for ever.
func TestNoDefaultsInsideLists(t *testing.T) {
	for plural := range kinds {
		walk(plural, schema(t, plural), func(path string, node map[string]any) {
			if node["default"] != nil && strings.Contains(path, "[]") {
				t.Errorf("%s has a default", path)
			}
		})
	}
}

func TestExplainShowsEveryField(t *testing.T) {
	for plural := range kinds {
		t.Run(plural, func(t *testing.T) {
			text, err := plane.Kubectl(t.Context(), "explain", plural, "--recursive")
			if err != nil {
				t.Fatal(err)
			}
			walk(plural, schema(t, plural), func(path string, _ map[string]any) {
				name := path[strings.LastIndex(path, ".")+1:]
				if path != plural && !strings.HasSuffix(path, "[]") && !strings.Contains(text, name+"\t<") {
					t.Errorf("kubectl explain %s does not show %s", plural, path)
				}
			})
		})
	}
}

// What kubectl get shows of an object in use. Each column has its value: a path that is misspelt
// would show nothing.
func TestPrintedColumns(t *testing.T) {
	tests := map[string]struct {
		status   string
		wantHead []string
		wantRow  []string
	}{
		"tenants": {
			status: `
database: {namespace: shop, name: main}
schema: acme
version: "7"
primaryDomain: acme.example.com
binding: {name: acme-binding}`,
			wantHead: []string{"NAME", "READY", "REASON", "DATABASE", "SCHEMA", "VERSION", "DOMAIN", "AGE", "CLASS", "SECRET", "ISOLATED", "MESSAGE"},
			wantRow:  []string{"shown", "False", "DatabaseFull", "main", "acme", "7", "acme.example.com", "<age>", "standard", "acme-binding", "why"},
		},
		"tenantclasses": {
			status:   `tenants: 3`,
			wantHead: []string{"NAME", "READY", "REASON", "TENANTS", "DELETION", "AGE", "MESSAGE"},
			wantRow:  []string{"shown", "False", "DatabaseFull", "3", "Delete", "<age>", "why"},
		},
		"tenantdatabases": {
			status:   `{tenants: 3, serverVersion: "18.4", sharedVersion: "5"}`,
			wantHead: []string{"NAME", "READY", "REASON", "TENANTS", "MAX", "SERVER", "SHARED", "AGE", "MESSAGE"},
			wantRow:  []string{"shown", "False", "DatabaseFull", "3", "0", "18.4", "5", "<age>", "why"},
		},
		"migrationsets": {
			status: `
version: "7"
format: Plain
failedTenants: 1
pinnedTenants: 4
progress: 2/3
previous: {version: "6"}
rollout: {position: uat, estimatedCompletion: "2026-03-01T10:00:00Z"}`,
			wantHead: []string{"NAME", "VERSION", "READY", "UPDATED", "FAILED", "RING", "AGE", "REASON", "PREVIOUS", "PINNED", "ESTIMATE", "FORMAT", "MESSAGE"},
			wantRow:  []string{"shown", "7", "False", "2/3", "1", "uat", "<age>", "DatabaseFull", "6", "4", "2026-03-01T10:00:00Z", "Plain", "why"},
		},
		"domainclaims": {
			status:   `{verification: {method: TXT}, serving: {state: Serving, schema: s, version: "7", database: {namespace: default, name: main}}}`,
			wantHead: []string{"NAME", "ROLE", "NAMESPACE", "HOLDER", "STATE", "SCHEMA", "READY", "REASON", "AGE", "DATABASE", "VERSION", "VERIFIED", "MESSAGE"},
			wantRow:  []string{"shown", "Tenant", "default", "acme", "Serving", "s", "False", "DatabaseFull", "<age>", "main", "7", "TXT", "why"},
		},
	}
	for plural, tt := range tests {
		t.Run(plural, func(t *testing.T) {
			object := &unstructured.Unstructured{Object: fields(t, valid[kinds[plural]])}
			rename(object, "shown")
			create(t, object)
			status := fields(t, tt.status)
			status["observedGeneration"] = int64(1)
			status["conditions"] = []any{map[string]any{
				"type": "Ready", "status": "False", "reason": "DatabaseFull", "message": "why",
				"lastTransitionTime": metav1.Now().UTC().Format("2006-01-02T15:04:05Z"),
			}}
			object.Object["status"] = status
			if err := admin.Status().Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			text, err := plane.Kubectl(t.Context(), "get", plural, "shown", "-o", "wide")
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(text), "\n")
			if diff := cmp.Diff(tt.wantHead, strings.Fields(lines[0])); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
			row := strings.Fields(lines[1])
			if age := slices.Index(tt.wantHead, "AGE"); len(row) > age {
				row[age] = "<age>"
			}
			if diff := cmp.Diff(tt.wantRow, row); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
}

// A user finds all kinds by one word, and each by its short name.
func TestNamesAndCategory(t *testing.T) {
	short := map[string]string{"tn": "tenants", "tc": "tenantclasses", "tdb": "tenantdatabases", "ms": "migrationsets", "dc": "domainclaims"}
	text, err := plane.Kubectl(t.Context(), "api-resources", "--categories=tenantry", "--no-headers")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(text) {
		columns := strings.Fields(line)
		got[columns[1]] = columns[0]
	}
	if diff := cmp.Diff(short, got); diff != "" {
		t.Errorf("short names of the category tenantry (-want +got):\n%s", diff)
	}
}
