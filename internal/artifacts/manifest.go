package artifacts

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// maxManifest bounds a manifest, as registries do.
const maxManifest = 4 << 20

// Media types beside those of OCI that mean the same.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// unpackAnnotation is set by oras on a folder that it packed.
const unpackAnnotation = "io.deis.oras.content.unpack"

func (r *Repository) manifest(ctx context.Context, digest string) (*ocispec.Manifest, error) {
	reference := "@" + digest
	described, body, err := r.repo.Manifests().FetchReference(ctx, digest)
	if err != nil {
		return nil, r.failure(err, reference)
	}
	defer func() { _ = body.Close() }()
	switch described.MediaType {
	case ocispec.MediaTypeImageManifest, dockerManifest:
	case ocispec.MediaTypeImageIndex, dockerList:
		return nil, r.invalid(reference, fmt.Errorf("it is an index of several manifests; push one artifact, or name the digest of one of them"))
	default:
		return nil, r.invalid(reference, fmt.Errorf("it is of the type %q and no OCI manifest", described.MediaType))
	}
	if described.Size > maxManifest {
		return nil, r.invalid(reference, fmt.Errorf("its manifest has %d bytes; the limit is %d", described.Size, maxManifest))
	}
	data, err := content.ReadAll(body, described)
	if err != nil {
		return nil, r.failure(err, reference)
	}
	manifest := &ocispec.Manifest{}
	if err := json.Unmarshal(data, manifest); err != nil {
		return nil, r.invalid(reference, fmt.Errorf("its manifest is no JSON of a manifest"))
	}
	return manifest, nil
}

// checkLayers refuses, before it is fetched, what is too large.
func checkLayers(layers []ocispec.Descriptor, limits Limits) error {
	if len(layers) > limits.Files {
		return fmt.Errorf("it has %d layers; the limit is %d", len(layers), limits.Files)
	}
	var total int64
	for _, layer := range layers {
		if layer.Size < 0 || layer.Size > limits.Bytes-total {
			return fmt.Errorf("its layers have more than %d bytes together; put the SQL files alone into it", limits.Bytes)
		}
		total += layer.Size
	}
	return nil
}

// addLayer takes a layer as its pusher meant it: oras gives files the media type of an archive too, so
// that a title says more than a type, unless the type says gzip.
func (b *bundle) addLayer(layer ocispec.Descriptor, data []byte) error {
	title, kind := layer.Annotations[ocispec.AnnotationTitle], strings.ToLower(layer.MediaType)
	switch {
	case layer.Annotations[unpackAnnotation] == "true", strings.HasSuffix(kind, "tar+gzip"), strings.HasSuffix(kind, "tar.gzip"):
		return b.addArchive(data, true)
	case title != "":
		return b.add(title, data)
	case strings.HasSuffix(kind, ".tar"), strings.HasSuffix(kind, "+tar"):
		return b.addArchive(data, false)
	}
	return fmt.Errorf("a layer of the type %q is neither a file with a title nor a tar archive (gzip or none); push the files with oras or flux", layer.MediaType)
}
