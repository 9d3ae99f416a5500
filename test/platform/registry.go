package platform

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// registryReady bounds the start.
const registryReady = 30 * time.Second

// Registry is a private registry of OCI artifacts: the reference implementation, with its storage in a
// temporary folder.
type Registry struct {
	// Address is host:port; a repository is Address + "/" + path.
	Address string
	// CA is the certificate that signed the server's, in PEM, and those that RegistryTokens adds; nil without TLS.
	CA []byte
	// Dir holds config.yml, registry.log and the storage below data.
	Dir string

	user, password string
	realm          string
	keys           []byte
	secure         bool
	command        command
	proc           *process
}

// RegistryOption changes how StartRegistry starts the registry.
type RegistryOption func(*Registry)

// RegistryLogin makes the registry ask for a user's name and password, for reading too.
func RegistryLogin(user, password string) RegistryOption {
	return func(r *Registry) { r.user, r.password = user, password }
}

// A registry that asks for tokens takes those of this issuer for this service.
const (
	RegistryTokenIssuer  = "tokens"
	RegistryTokenService = "registry"
)

// RegistryTokens makes the registry ask for a token, for reading too, and name a token server's URL. It takes
// those that are signed by one of the keys, a JSON Web Key Set. ca is added to the registry's own.
func RegistryTokens(realm string, keys, ca []byte) RegistryOption {
	return func(r *Registry) { r.realm, r.keys, r.CA = realm, keys, ca }
}

// RegistryTLS makes the registry speak TLS with a certificate for 127.0.0.1 of a CA of its own.
func RegistryTLS() RegistryOption { return func(r *Registry) { r.secure = true } }

// StartRegistry starts a registry that ends with this process. Building it at first use takes a minute
// of processor time.
func StartRegistry(ctx context.Context, opts ...RegistryOption) (*Registry, error) {
	r := &Registry{}
	for _, opt := range opts {
		opt(r)
	}
	cache, err := DefaultCache()
	if err != nil {
		return nil, err
	}
	program, err := cache.Tool(ctx, "registry")
	if err != nil {
		return nil, err
	}
	if r.Dir, err = newFolder("registry", nil); err != nil {
		return nil, err
	}
	r.command = command{
		name: "registry", path: program, args: []string{"serve", filepath.Join(r.Dir, "config.yml")}, dir: r.Dir,
		// Metrics and traces go nowhere unless they are told to.
		env:   append(cleanEnvironment(), "OTEL_TRACES_EXPORTER=none"),
		death: syscall.SIGKILL, ending: endings[""],
	}
	if err := r.listen(ctx); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// listen draws ports until one is free.
func (r *Registry) listen(ctx context.Context) error {
	for try := 1; ; try++ {
		ports, err := freePorts(1)
		if err != nil {
			return err
		}
		r.Address = net.JoinHostPort(loopback, strconv.Itoa(ports[0]))
		if err := r.configure(); err != nil {
			return err
		}
		err = r.Start(ctx)
		if err == nil || try == portTries || !portClash(r.command.log()) {
			return err
		}
		if err := os.Truncate(r.command.log(), 0); err != nil {
			return err
		}
	}
}

// configure writes the registry's files.
func (r *Registry) configure() error {
	text := fmt.Sprintf(`version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: %q
`, filepath.Join(r.Dir, "data"), r.Address)
	if r.secure {
		ca, err := loadAuthority(r.Dir)
		if err != nil {
			return err
		}
		pair, err := ca.server("registry", nil)
		if err != nil {
			return err
		}
		if err := pair.write(r.Dir, "server"); err != nil {
			return err
		}
		if !bytes.Contains(r.CA, ca.certPEM) { // else another port is tried
			r.CA = append(r.CA, ca.certPEM...)
		}
		text += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", filepath.Join(r.Dir, "server.crt"), filepath.Join(r.Dir, "server.key"))
	}
	if r.user != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(r.password), bcrypt.MinCost)
		if err != nil {
			return err
		}
		path := filepath.Join(r.Dir, "htpasswd")
		if err := os.WriteFile(path, fmt.Appendf(nil, "%s:%s\n", r.user, hash), 0o600); err != nil {
			return err
		}
		text += fmt.Sprintf("auth:\n  htpasswd: {realm: registry, path: %q}\n", path)
	}
	if r.realm != "" {
		path := filepath.Join(r.Dir, "keys.json")
		if err := os.WriteFile(path, r.keys, 0o600); err != nil {
			return err
		}
		text += fmt.Sprintf("auth:\n  token: {realm: %q, service: %q, issuer: %q, jwks: %q}\n", r.realm, RegistryTokenService, RegistryTokenIssuer, path)
	}
	return os.WriteFile(filepath.Join(r.Dir, "config.yml"), []byte(text), 0o600)
}

// Start starts the registry again at the same address, with what it stored, after Halt.
func (r *Registry) Start(ctx context.Context) (err error) {
	r.proc, err = r.command.ensure(ctx, registryReady, r.probe)
	return err
}

// Halt ends the registry and keeps what it stored.
func (r *Registry) Halt() error {
	if r.proc == nil {
		return nil
	}
	err := r.proc.stop()
	r.proc = nil
	return errors.Join(err, ignoreMissing(os.Remove(r.command.pidFile())))
}

// Stop ends the registry and removes its folder.
func (r *Registry) Stop() error { return errors.Join(r.Halt(), os.RemoveAll(r.Dir)) }

// Freeze stops the registry's process in its tracks: it takes connections and answers none. Thaw lets
// it go on.
func (r *Registry) Freeze(ctx context.Context) error { return freeze(ctx, r.proc.PID) }

// Thaw lets a frozen registry go on.
func (r *Registry) Thaw() error { return syscall.Kill(-r.proc.PID, syscall.SIGCONT) }

// Client is an HTTP client that trusts the registry's certificate.
func (r *Registry) Client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.CA)
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}, Timeout: 30 * time.Second}
}

// probe asks whether the registry speaks; a refusal to strangers is an answer.
func (r *Registry) probe(ctx context.Context) error {
	scheme := "http"
	if r.secure {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+r.Address+"/v2/", nil)
	if err != nil {
		return err
	}
	response, err := r.Client().Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("the registry answers %s", response.Status)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
