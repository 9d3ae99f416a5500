// Package plugins stands in for Traefik's package of that name: the interpreters of plugins, one of
// Go and one of WebAssembly, and the download of what they run. It reads the options of plugins, and
// refuses each that is configured.
package plugins

import (
	"context"
	"errors"
	"net/http"

	"github.com/traefik/traefik/v3/pkg/provider"
)

var errLeftOut = errors.New("this build of Traefik holds no interpreter of plugins")

// Settings are what a plugin may use of its surroundings.
type Settings struct {
	Envs, Mounts []string
	UseUnsafe    bool
}

// Descriptor is the configuration of a plugin that would be downloaded.
type Descriptor struct {
	ModuleName, Version, Hash string
	Settings                  Settings
}

// LocalDescriptor is the configuration of a plugin that lies on the disk.
type LocalDescriptor struct {
	ModuleName string
	Settings   Settings
}

// SetupRemotePlugins would download plugins.
func SetupRemotePlugins(*Manager, map[string]Descriptor) error { return errLeftOut }

// SetupLocalPlugins would check plugins on the disk.
func SetupLocalPlugins(map[string]LocalDescriptor) error { return errLeftOut }

// RegistryDownloaderOptions and RegistryDownloader would be of the catalog of plugins.
type (
	RegistryDownloaderOptions struct {
		HTTPClient   *http.Client
		ArchivesPath string
	}
	RegistryDownloader struct{}
)

// NewRegistryDownloader refuses.
func NewRegistryDownloader(RegistryDownloaderOptions) (*RegistryDownloader, error) {
	return nil, errLeftOut
}

// ManagerOptions and Manager would be of the folder of plugins.
type (
	ManagerOptions struct{ Output string }
	Manager        struct{}
)

// NewManager refuses.
func NewManager(*RegistryDownloader, ManagerOptions) (*Manager, error) { return nil, errLeftOut }

// Constructor makes a plugin's handler.
type Constructor func(context.Context, http.Handler) (http.Handler, error)

// Builder is there also where no plugins are configured, and refuses those that a route asks for.
type Builder struct{}

// NewBuilder returns the Builder. It is called with plugins only after they were set up.
func NewBuilder(*Manager, map[string]Descriptor, map[string]LocalDescriptor) (*Builder, error) {
	return &Builder{}, nil
}

// Build refuses a middleware.
func (Builder) Build(string, map[string]any, string) (Constructor, error) { return nil, errLeftOut }

// BuildProvider refuses a provider.
func (Builder) BuildProvider(string, map[string]any) (provider.Provider, error) {
	return nil, errLeftOut
}
