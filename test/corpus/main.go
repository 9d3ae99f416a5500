// Command corpus writes the PostgreSQL migrations of a real product, as its authors published them,
// for tests to feed to Tenantry. Both products name their files as golang-migrate does:
//
//	mattermost  Mattermost 6.7.2: 81 migrations without transactions of their own
//	minder      Minder 0.3.1: 117 migrations, most with BEGIN and COMMIT, two that create an index
//	            CONCURRENTLY and so cannot run in any transaction
//
// The files are read from the products' modules when the command runs, after go has checked them
// against go.sum; none of them is in this repository. The module stands alone so that nothing of the
// products reaches Tenantry's own dependencies.
//
//	go run . [-product NAME] -out DIR                   the files themselves
//	go run . [-product NAME] -configmaps NAME -out DIR  NAME-1.yaml, NAME-2.yaml ...: ConfigMaps with all files
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxBytes is well below the megabyte that the API server takes for one object.
const maxBytes = 900 << 10

func main() {
	product := flag.String("product", "mattermost", "whose files: mattermost or minder")
	out := flag.String("out", "", "folder to write to; it is made if need be")
	name := flag.String("configmaps", "", "write ConfigMaps whose names begin with this instead of the files")
	limit := flag.Int("max-bytes", maxBytes, "most bytes of SQL in one ConfigMap")
	flag.Parse()
	if err := run(*product, *out, *name, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(product, out, name string, limit int) error {
	if out == "" {
		return errors.New("-out is required")
	}
	files, err := migrations(product)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if name == "" {
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(out, f.name), f.content, 0o644); err != nil {
				return err
			}
		}
		fmt.Printf("%d files in %s\n", len(files), out)
		return nil
	}
	for i, part := range split(files, limit) {
		path := filepath.Join(out, fmt.Sprintf("%s-%d.yaml", name, i+1))
		if err := os.WriteFile(path, configMap(fmt.Sprintf("%s-%d", name, i+1), part), 0o644); err != nil {
			return err
		}
		fmt.Printf("%d files in %s\n", len(part), path)
	}
	return nil
}

// split cuts the files into parts of at most limit bytes. A file is never cut.
func split(files []file, limit int) [][]file {
	var parts [][]file
	size := 0
	for _, f := range files {
		cost := len(f.name) + len(f.content)
		if len(parts) == 0 || size+cost > limit {
			parts, size = append(parts, nil), 0
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], f)
		size += cost
	}
	return parts
}

// configMap writes a ConfigMap. Strings are in JSON's notation, which YAML reads, so that every
// byte of the files comes back.
func configMap(name string, files []file) []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n", name)
	for _, f := range files {
		fmt.Fprintf(&text, "  %s: %s\n", quote(f.name), quote(string(f.content)))
	}
	return []byte(text.String())
}

func quote(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string has no value that JSON lacks
	}
	return string(quoted)
}
