// Command registry is the reference registry of OCI artifacts with as little as its tests need: files or
// memory as storage; passwords of a file, or tokens of another server, for those who ask. The storage of
// three clouds, which its own main package links, would take most of the build.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}
