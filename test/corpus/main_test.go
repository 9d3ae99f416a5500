package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreTheProducts(t *testing.T) {
	for product, want := range map[string]struct{ up, down, outside int }{
		"mattermost": {up: 81, down: 81},
		"minder":     {up: 117, down: 117, outside: 2},
	} {
		files, err := migrations(product)
		if err != nil {
			t.Fatal(err)
		}
		got := want
		got.up, got.down, got.outside = 0, 0, 0
		for _, f := range files {
			switch {
			case strings.HasSuffix(f.name, ".down.sql"):
				got.down++
			case strings.HasSuffix(f.name, ".up.sql"):
				got.up++
				if strings.Contains(string(f.content), "CONCURRENTLY") {
					got.outside++
				}
			}
		}
		if got != want || got.up+got.down != len(files) {
			t.Errorf("%s: %d files, %+v; want %+v", product, len(files), got, want)
		}
	}
}

func TestConfigMapsHoldEveryByteOnce(t *testing.T) {
	dir := t.TempDir()
	const limit = 32 << 10
	if err := run("mattermost", dir, "product", limit); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "product-*.yaml"))
	if err != nil || len(paths) < 2 {
		t.Fatalf("%d ConfigMaps, %v; want several", len(paths), err)
	}
	got := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, data, ok := strings.Cut(string(text), "\ndata:\n")
		if !ok {
			t.Fatalf("%s holds no data", path)
		}
		size := 0
		for _, line := range strings.Split(strings.TrimSpace(data), "\n") {
			var name, content string
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if json.Unmarshal([]byte(key), &name) != nil || json.Unmarshal([]byte(value), &content) != nil {
				t.Fatalf("%s: line %.80q cannot be read", path, line)
			}
			if _, twice := got[name]; twice {
				t.Errorf("%s is there twice", name)
			}
			got[name], size = content, size+len(name)+len(content)
		}
		if size > limit {
			t.Errorf("%s holds %d bytes", path, size)
		}
	}
	files, err := migrations("mattermost")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(files) {
		t.Errorf("%d files, want %d", len(got), len(files))
	}
	for _, f := range files {
		if got[f.name] != string(f.content) {
			t.Errorf("%s came back changed", f.name)
		}
	}
}
