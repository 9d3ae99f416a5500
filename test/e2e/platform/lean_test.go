package platform_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/test/platform"
)

// What this build of Traefik leaves out is refused, whoever configures it.
func TestTraefikNamesWhatItLacks(t *testing.T) {
	cache, err := platform.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	program, err := cache.Tool(t.Context(), "traefik")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plugin := filepath.Join(dir, "plugins-local", "src", "example.com", "plugin")
	if err := os.MkdirAll(plugin, 0o755); err != nil {
		t.Fatal(err)
	}
	manifest := "displayName: Plugin\ntype: middleware\nimport: example.com/plugin\nsummary: A plugin\ntestData: {a: b}\n"
	if err := os.WriteFile(filepath.Join(plugin, ".traefik.yml"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--entryPoints.web.address=127.0.0.1:0", "--log.noColor=true",
		"--providers.ecs.region=eu-north-1",
		"--experimental.localPlugins.plugin.moduleName=example.com/plugin", "--experimental.abortOnPluginFailure=true")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("Traefik ended well, though it had to load a plugin")
	}
	for _, want := range []string{"holds no ECS provider", "holds no interpreter of plugins"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("Traefik does not say that it %s:\n%s", want, out)
		}
	}
}
