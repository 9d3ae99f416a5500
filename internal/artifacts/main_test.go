package artifacts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/test/platform"
)

// open is a registry for everybody by plain HTTP, private one that asks for a login by TLS.
var open, private *platform.Registry

const (
	user     = "reader"
	password = "s3cret-of-the-registry"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for into, opts := range map[**platform.Registry][]platform.RegistryOption{
		&open: nil, &private: {platform.RegistryTLS(), platform.RegistryLogin(user, password)},
	} {
		r, err := platform.StartRegistry(context.Background(), opts...)
		if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = r.Stop() }()
		*into = r
	}
	return m.Run()
}

var limits = Limits{Files: 100, Bytes: 1 << 20}

// layer is one blob of an artifact that is to be pushed.
type layer struct {
	mediaType, title string
	unpack           bool
	data             []byte
}

// file is a layer as `oras push` makes it of a file.
func file(title, text string) layer {
	return layer{mediaType: "application/vnd.oci.image.layer.v1.tar", title: title, data: []byte(text)}
}

// flux is a layer as `flux push artifact` makes it of a folder.
func flux(t *testing.T, entries ...tar.Header) layer {
	t.Helper()
	return layer{mediaType: "application/vnd.cncf.flux.content.v1.tar+gzip", data: zipped(t, archive(t, entries...))}
}

// entry is a file of an archive whose text is kept in a PAX record.
func entry(name, text string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text)), PAXRecords: map[string]string{"TEST.text": text}}
}

func archive(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := range entries {
		text := entries[i].PAXRecords["TEST.text"]
		entries[i].PAXRecords = nil
		if err := w.WriteHeader(&entries[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// repository names a repository of a registry that is this test's alone.
func repository(t *testing.T, r *platform.Registry) string {
	t.Helper()
	return r.Address + "/" + strings.ToLower(strings.NewReplacer("/", "-", " ", "-", "_", "-", ",", "").Replace(t.Name()))
}

// push pushes an artifact under a tag, as its authors do, and returns its digest.
func push(t *testing.T, r *platform.Registry, repo, tag string, layers ...layer) string {
	t.Helper()
	store := memory.New()
	var descriptors []ocispec.Descriptor
	for _, l := range layers {
		d, err := oras.PushBytes(t.Context(), store, l.mediaType, l.data)
		if err != nil {
			t.Fatal(err)
		}
		d.Annotations = map[string]string{}
		if l.title != "" {
			d.Annotations[ocispec.AnnotationTitle] = l.title
		}
		if l.unpack {
			d.Annotations[unpackAnnotation] = "true"
		}
		descriptors = append(descriptors, d)
	}
	manifest, err := oras.PackManifest(t.Context(), store, oras.PackManifestVersion1_1, "application/vnd.example.migrations",
		oras.PackManifestOptions{Layers: descriptors})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(t.Context(), manifest, tag); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(t.Context(), store, tag, author(t, r, repo), tag, oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	return string(manifest.Digest)
}

// author is the way of an artifact's author to a repository.
func author(t *testing.T, r *platform.Registry, repo string) *remote.Repository {
	t.Helper()
	target, err := remote.NewRepository(repo)
	if err != nil {
		t.Fatal(err)
	}
	target.PlainHTTP = r.CA == nil
	target.Client = &auth.Client{Client: r.Client(), Credential: auth.StaticCredential(r.Address, auth.Credential{Username: user, Password: password})}
	return target
}

func reach(t *testing.T, a Access) *Repository {
	t.Helper()
	r, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// refused wants a fault of a kind and reason whose message has some parts, and nothing of a login.
func refused(t *testing.T, err error, kind fault.Kind, reason string, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if fault.KindOf(err) != kind || fault.ReasonOf(err) != reason {
		t.Errorf("error is of kind %d, reason %s, want %d, %s: %v", fault.KindOf(err), fault.ReasonOf(err), kind, reason, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q has no %q", err, part)
		}
	}
	for _, secret := range []string{password, "Authorization", "Basic "} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q has %q", err, secret)
		}
	}
}

func descriptor(t *testing.T, repo, digest string) ocispec.Descriptor {
	t.Helper()
	found, err := author(t, open, repo).Resolve(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
