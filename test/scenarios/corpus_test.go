package scenarios

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// Real products' published migrations, given as ConfigMaps and unchanged, take three tenants each to
// their last version. Two of Minder's files create an index CONCURRENTLY, alone in their file: no
// marker tells that they cannot run in a transaction.
func TestRealProductsMigrations(t *testing.T) {
	t.Parallel()
	t.Run("mattermost", func(t *testing.T) {
		t.Parallel()
		takeProduct(t, servers.World(t), "mattermost")
	})
	t.Run("minder", func(t *testing.T) {
		t.Parallel()
		w := servers.World(t)
		// One file makes a temporary table: what docs/migrations.md tells the DBA to do.
		operator.Exec(t, w.AdminDSN, "GRANT TEMPORARY ON DATABASE "+w.Name+" TO PUBLIC")
		for _, tenant := range takeProduct(t, w, "minder") {
			schema := tenant.Status.Schema
			// The table of the other index is dropped by a later file.
			if !operator.Query[bool](t, w.AdminDSN, `SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = $1::regclass`, `"`+schema+`".entity_profiles_unique`) {
				t.Errorf("%s: the index that was created CONCURRENTLY is not valid", tenant.Name)
			}
		}
	})
}

// takeProduct gives a product's files to the world's set and waits for three tenants.
func takeProduct(t *testing.T, w *operator.World, product string) []*v1alpha1.Tenant {
	t.Helper()
	files := publishedMigrations(t, product)
	if len(files) < 2 {
		t.Fatalf("%d ConfigMaps: the set must be spread over several", len(files))
	}
	w.Set.Spec.Source.ConfigMaps = nil
	total := 0
	for _, cm := range files {
		cm.Namespace = w.Namespace
		total += len(cm.Data)
		w.Create(t, cm)
		w.Set.Spec.Source.ConfigMaps = append(w.Set.Spec.Source.ConfigMaps,
			v1alpha1.ConfigMapSource{LocalReference: v1alpha1.LocalReference{Name: cm.Name}})
	}
	w.Make(t)
	tenants := []*v1alpha1.Tenant{w.Tenant("acme"), w.Tenant("globex"), w.Tenant("initech")}
	for _, tenant := range tenants {
		w.Create(t, tenant)
	}
	for _, tenant := range tenants {
		w.AwaitReady(t, tenant)
		if tenant.Status.Version != w.Set.Status.Version {
			w.Get(t, w.Set)
		}
		if tenant.Status.Version == "" || tenant.Status.Version != w.Set.Status.Version {
			t.Errorf("%s is at version %q, the set at %q", tenant.Name, tenant.Status.Version, w.Set.Status.Version)
		}
		applied := operator.Query[int32](t, w.AdminDSN, `SELECT count(*)::int FROM "`+tenant.Status.Schema+`".tenantry_migrations WHERE state = 'done'`)
		if applied != w.Set.Status.Migrations {
			t.Errorf("%s has %d migrations of %d", tenant.Name, applied, w.Set.Status.Migrations)
		}
	}
	if w.Set.Status.Format != string(v1alpha1.FormatGolangMigrate) || total < 100 {
		t.Errorf("%d files of format %s", total, w.Set.Status.Format)
	}
	t.Logf("%d files in %d ConfigMaps, %d migrations, version %s", total, len(files), w.Set.Status.Migrations, w.Set.Status.Version)
	return tenants
}

// publishedMigrations has a product's files written as ConfigMaps by a module of its own, which reads
// them from the product's module.
func publishedMigrations(t *testing.T, product string) []*corev1.ConfigMap {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", "-product", product, "-configmaps", "product", "-max-bytes", "20000", "-out", dir)
	cmd.Dir = filepath.Join("..", "corpus")
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run in test/corpus: %v\n%s", err, output)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []*corev1.ConfigMap
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".yaml") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		cm := &corev1.ConfigMap{}
		if err := yaml.UnmarshalStrict(text, cm); err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		files = append(files, cm)
	}
	return files
}
