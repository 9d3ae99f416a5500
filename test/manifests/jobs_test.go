package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// jobSet is a full MigrationSet with a Job.
const jobSet = `
apiVersion: tenantry.dev/v1alpha1
kind: MigrationSet
metadata: {name: shop, namespace: default}
spec:
  job:
    framework: Django
    version: "2024.11"
    expect: [billing.0007_invoice, auth.0012_alter_user_first_name_max_length]
    batchSize: 20
    activeDeadlineSeconds: 600
    backoffLimit: 0
    ttlSecondsAfterFinished: 3600
    template:
      image: registry.example/shop:2024.11
      imagePullPolicy: IfNotPresent
      command: [python, manage.py]
      args: [migrate, --noinput]
      env:
      - {name: DJANGO_SETTINGS_MODULE, value: shop.settings}
      - {name: SECRET_KEY, secretKeyRef: {name: django, key: secret}}
      - {name: REGION, configMapKeyRef: {name: shop, key: region}}
      - {name: JDBC_URL, value: "jdbc:postgresql://$(PGHOST):$(PGPORT)/$(PGDATABASE)"}
      resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 512Mi}}
      runAsUser: 1000
      serviceAccountName: migrations
      imagePullSecrets: [{name: registry}]
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{key: batch, operator: Exists, effect: NoSchedule}]
`

// badJobs change the spec of jobSet in one thing.
var badJobs = map[string]struct{ patch, want string }{
	"files beside it":              {`{source: {configMaps: [{name: files}]}}`, "a set has one of source"},
	"unknown framework":            {`{job: {framework: Hibernate}}`, "supported values"},
	"nothing expected":             {`{job: {expect: []}}`, "should have at least 1 items"},
	"Django by names alone":        {`{job: {expect: [0007_invoice]}}`, "expect names Django's migrations as app.name"},
	"Rails by names":               {`{job: {framework: Rails}}`, "expect names versions of this framework by their digits"},
	"golang-migrate by more":       {`{job: {framework: GolangMigrate, expect: ["1", "2"]}}`, "expect names just that one"},
	"another database":             {`{job: {template: {env: [{name: PGHOST, value: b}]}}}`, "the operator sets PGHOST"},
	"another tenant":               {`{job: {template: {env: [{name: TENANTRY_SCHEMA, value: b}]}}}`, "the operator sets PGHOST"},
	"variable twice":               {`{job: {template: {env: [{name: A, value: b}, {name: A, value: c}]}}}`, "Duplicate value"},
	"variable without a value":     {`{job: {template: {env: [{name: A}]}}}`, "a variable has one of value"},
	"variable with two values":     {`{job: {template: {env: [{name: A, value: b, secretKeyRef: {name: c, key: d}}]}}}`, "a variable has one of value"},
	"variable of another cluster":  {`{job: {template: {env: [{name: A, secretKeyRef: {name: c}}]}}}`, "key: Required value"},
	"root":                         {`{job: {template: {runAsUser: 0}}}`, "greater than or equal to 1"},
	"no image":                     {`{job: {template: {image: null}}}`, "image: Required value"},
	"no template":                  {`{job: {template: null}}`, "template: Required value"},
	"batch of a thousand":          {`{job: {batchSize: 1000}}`, "less than or equal to 100"},
	"retries for ever":             {`{job: {backoffLimit: 1000}}`, "less than or equal to 10"},
	"version with a space":         {`{job: {version: "1 2"}}`, "should match"},
	"Job that goes before a look":  {`{job: {ttlSecondsAfterFinished: 0}}`, "greater than or equal to 60"},
	"resources that are no number": {`{job: {template: {resources: {limits: {cpu: much}}}}}`, "should match"},
}

func TestBadJobsAreRefused(t *testing.T) {
	for name, tt := range badJobs {
		t.Run(name, func(t *testing.T) {
			object := fields(t, jobSet)
			merge(object, map[string]any{"spec": fields(t, tt.patch)})
			err := admin.Create(t.Context(), &unstructured.Unstructured{Object: object}, client.DryRunAll)
			wantRefused(t, err, tt.want)
		})
	}
}

// The sets of the documentation are taken as they stand.
func TestDocumentedJobsAreAccepted(t *testing.T) {
	found := 0
	for _, page := range []string{"jobs.md", "migrations.md", "migrationset.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ := strings.Cut(part, "```")
			if !strings.Contains(block, "\n  job:\n") {
				continue
			}
			found++
			object := fields(t, block)
			if _, err := plane.Kubectl(t.Context(), "create", "namespace", "docs-"+object["metadata"].(map[string]any)["namespace"].(string)); err != nil && !strings.Contains(err.Error(), "already exists") {
				t.Fatal(err)
			}
			merge(object, fields(t, `metadata: {namespace: docs-`+object["metadata"].(map[string]any)["namespace"].(string)+`}`))
			if err := admin.Create(t.Context(), &unstructured.Unstructured{Object: object}, client.DryRunAll); err != nil {
				t.Errorf("docs/%s: %v", page, err)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d sets with a Job found, want 3", found)
	}
}

func TestJobsAreAccepted(t *testing.T) {
	for name, patch := range map[string]string{
		"full": `{}`,
		"minimal": `{job: {batchSize: null, activeDeadlineSeconds: null, backoffLimit: null, ttlSecondsAfterFinished: null,
			template: {command: null, args: null, env: null, resources: null, tolerations: null, nodeSelector: null}}}`,
		"Rails":         `{job: {framework: Rails, expect: ["20241103120000"]}}`,
		"golangMigrate": `{job: {framework: GolangMigrate, expect: ["7"]}}`,
		"Flyway":        `{job: {framework: Flyway, expect: ["1.2", "2"]}}`,
		"Prisma":        `{job: {framework: Prisma, expect: [20241103120000_init]}}`,
		"Alembic":       `{job: {framework: Alembic, expect: [ae1027a6acf]}}`,
		"rollout":       `{rollout: {maxInFlight: 5, rings: [{name: canary, selector: {matchLabels: {ring: canary}}}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			object := fields(t, jobSet)
			merge(object, map[string]any{"spec": fields(t, patch)})
			if err := admin.Create(t.Context(), &unstructured.Unstructured{Object: object}, client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}
