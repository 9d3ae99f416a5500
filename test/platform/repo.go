package platform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// modulePath marks the repository's own go.mod: the tool modules below hack/tools have others.
const modulePath = "module github.com/tenantry/tenantry\n"

// RepoRoot returns the folder of this project's go.mod, found upwards from the working directory:
// tests run in their package's folder, commands anywhere below the root.
func RepoRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && len(data) >= len(modulePath) && string(data[:len(modulePath)]) == modulePath {
			return dir, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod of tenantry above the working directory")
		}
		dir = parent
	}
}
