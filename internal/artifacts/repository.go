package artifacts

import (
	"context"
	"crypto/x509"
	"net/http"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tenantry/tenantry/internal/fault"
)

// Access is how a repository is reached.
type Access struct {
	// Repository is registry and path, like ghcr.io/tasklane/migrations.
	Repository string
	// Login is what the registry is told when it asks; the zero value is nobody.
	Login Login
	// Authorities are PEM certificates by which the registry's is verified; none means the system's.
	Authorities []byte
	// PlainHTTP speaks HTTP without TLS.
	PlainHTTP bool
}

// Repository is one repository of a registry.
type Repository struct {
	name string
	repo *remote.Repository
	http *http.Client
}

// Open prepares the way to a repository and asks nobody.
func Open(a Access) (*Repository, error) {
	repo, err := remote.NewRepository(a.Repository)
	if err != nil || repo.Reference.Reference != "" {
		return nil, fault.NewInvalid(ReasonInvalid, "%q is no repository; write registry/path, without a scheme, tag or digest", a.Repository)
	}
	var roots *x509.CertPool
	if len(a.Authorities) > 0 {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(a.Authorities) {
			return nil, fault.NewInvalid(ReasonInvalid, "there is no PEM certificate in the key that certificateAuthority names")
		}
	}
	registry := repo.Reference.Host()
	web := newHTTPClient(roots, registry, a.PlainHTTP)
	repo.PlainHTTP = a.PlainHTTP
	repo.Client = client{&auth.Client{
		Client: web, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {"tenantry"}},
		Credential: auth.StaticCredential(registry, a.Login.credential()), ClientID: "tenantry",
	}}
	return &Repository{name: a.Repository, repo: repo, http: web}, nil
}

// Close lets go of idle connections.
func (r *Repository) Close() { r.http.CloseIdleConnections() }

// Resolve returns the digest of the manifest that a tag means now. It costs one request, and those of
// a log-in.
func (r *Repository) Resolve(ctx context.Context, tag string) (digest string, err error) {
	found, err := r.repo.Resolve(ctx, tag)
	if err != nil {
		return "", r.failure(err, ":"+tag)
	}
	return string(found.Digest), nil
}

// Fetch returns the SQL files of the folder of an artifact, as choose finds it.
func (r *Repository) Fetch(ctx context.Context, digest, folder string, limits Limits) ([]File, error) {
	reference := "@" + digest
	manifest, err := r.manifest(ctx, digest)
	if err != nil {
		return nil, err
	}
	if err := checkLayers(manifest.Layers, limits); err != nil {
		return nil, r.invalid(reference, err)
	}
	data, err := r.blobs(ctx, manifest.Layers)
	if err != nil {
		return nil, r.failure(err, reference)
	}
	b := newBundle(limits)
	for i, layer := range manifest.Layers {
		if layer.MediaType == ocispec.MediaTypeEmptyJSON {
			continue
		}
		if err := b.addLayer(layer, data[i]); err != nil {
			return nil, r.invalid(reference, err)
		}
	}
	files, err := b.choose(folder)
	if err != nil {
		return nil, r.invalid(reference, err)
	}
	return files, nil
}

// fetchers is how many layers are fetched at a time: an artifact of files has one for each.
const fetchers = 6

// blobs returns the layers' contents, verified against their digests.
func (r *Repository) blobs(ctx context.Context, layers []ocispec.Descriptor) ([][]byte, error) {
	data := make([][]byte, len(layers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchers)
	for i, layer := range layers {
		group.Go(func() (err error) {
			data[i], err = content.FetchAll(ctx, r.repo.Blobs(), layer)
			return err
		})
	}
	return data, group.Wait()
}

func (r *Repository) invalid(reference string, err error) error {
	return fault.NewInvalid(ReasonInvalid, "%s%s: %s", r.name, reference, err)
}

// host is the registry's name as the user wrote it.
func (r *Repository) host() string {
	host, _, _ := strings.Cut(r.name, "/")
	return host
}
