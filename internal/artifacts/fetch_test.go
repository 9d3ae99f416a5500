package artifacts

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tenantry/tenantry/internal/fault"
)

// What products push comes out as a folder of files, in each layout.
func TestFetchLayouts(t *testing.T) {
	t.Parallel()
	two := []File{{Name: "0001_a.sql", Content: []byte("SELECT 1;")}, {Name: "0002_b.sql", Content: []byte("SELECT 2;")}}
	folder := archive(t, entry("db/0001_a.sql", "SELECT 1;"), entry("db/0002_b.sql", "SELECT 2;"))
	for name, tt := range map[string]struct {
		layers []layer
		path   string
		want   []File
	}{
		"oras, files":          {layers: []layer{file("0002_b.sql", "SELECT 2;"), file("0001_a.sql", "SELECT 1;"), file("README.md", "x")}, want: two},
		"oras, files below":    {layers: []layer{file("db/0001_a.sql", "SELECT 1;"), file("./db/0002_b.sql", "SELECT 2;")}, want: two},
		"oras, a folder":       {layers: []layer{{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", title: "db", unpack: true, data: zipped(t, folder)}}, want: two},
		"flux":                 {layers: []layer{flux(t, tar.Header{Name: "./", Typeflag: tar.TypeDir}, entry("./0001_a.sql", "SELECT 1;"), entry("0002_b.sql", "SELECT 2;"))}, want: two},
		"tar":                  {layers: []layer{{mediaType: "application/vnd.oci.image.layer.v1.tar", data: folder}}, want: two},
		"archive of git":       {layers: []layer{flux(t, tar.Header{Name: "pax_global_header", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c0ffee"}}, entry("0001_a.sql", "SELECT 1;"), entry("0002_b.sql", "SELECT 2;"))}, want: two},
		"one folder of two":    {layers: []layer{flux(t, entry("0009_z.sql", "x"), entry("db/0001_a.sql", "SELECT 1;"), entry("db/0002_b.sql", "SELECT 2;"), entry("db/old/0001_a.sql", "x"))}, path: "db", want: two},
		"a file beside":        {layers: []layer{file("V1__a.sql", "SELECT 1;"), file("V1__a.sql.conf", "executeInTransaction=false")}, want: []File{{Name: "V1__a.sql", Content: []byte("SELECT 1;")}, {Name: "V1__a.sql.conf", Content: []byte("executeInTransaction=false")}}},
		"a checkpoint":         {layers: []layer{file("0002_b.sql", "SELECT 2;"), file("checkpoint_0002.pgsql", "SELECT 3;")}, want: []File{{Name: "0002_b.sql", Content: []byte("SELECT 2;")}, {Name: "checkpoint_0002.pgsql", Content: []byte("SELECT 3;")}}},
		"a migration in Go":    {layers: []layer{file("1_a.sql", "SELECT 1;"), file("2_b.go", "package x")}, want: []File{{Name: "1_a.sql", Content: []byte("SELECT 1;")}, {Name: "2_b.go", Content: []byte("package x")}}},
		"an empty file is one": {layers: []layer{file("1_a.up.sql", "SELECT 1;"), file("1_a.down.sql", "")}, want: []File{{Name: "1_a.down.sql", Content: []byte{}}, {Name: "1_a.up.sql", Content: []byte("SELECT 1;")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := repository(t, open)
			pushed := push(t, open, repo, "v1", tt.layers...)
			r := reach(t, Access{Repository: repo, PlainHTTP: true})
			resolved, err := r.Resolve(t.Context(), "v1")
			if err != nil || resolved != pushed {
				t.Fatalf("resolved to %q (%v), pushed was %q", resolved, err, pushed)
			}
			got, err := r.Fetch(t.Context(), resolved, tt.path, limits)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// What is no folder of files, or a hostile one, is refused and says why.
func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	bomb := flux(t, entry("0001_a.sql", strings.Repeat(" ", int(limits.Bytes)+1)))
	hidden := flux(t, entry("image.bin", strings.Repeat(" ", 3*int(limits.Bytes))))
	many := make([]tar.Header, limits.Files+1)
	for i := range many {
		many[i] = tar.Header{Name: "d", Typeflag: tar.TypeDir}
	}
	for name, tt := range map[string]struct {
		layers []layer
		path   string
		want   string
	}{
		"traversal":       {layers: []layer{flux(t, entry("../0001_a.sql", "x"))}, want: "outside of it"},
		"absolute":        {layers: []layer{flux(t, entry("/etc/0001_a.sql", "x"))}, want: "outside of it"},
		"traversal below": {layers: []layer{flux(t, entry("a/../../x", "x"))}, want: "outside of it"},
		"title outside":   {layers: []layer{file("../../0001_a.sql", "x")}, want: "outside of it"},
		"backslash":       {layers: []layer{file(`..\0001_a.sql`, "x")}, want: "outside of it"},
		"unprintable":     {layers: []layer{file("0001_\x1b[2J.sql", "x")}, want: "not printable"},
		"symbolic link":   {layers: []layer{flux(t, tar.Header{Name: "0001_a.sql", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})}, want: "link or a device"},
		"hard link":       {layers: []layer{flux(t, tar.Header{Name: "0001_a.sql", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"})}, want: "link or a device"},
		"bomb":            {layers: []layer{bomb}, want: "more than 100 files or 1048576 bytes"},
		"bomb, not read":  {layers: []layer{hidden}, want: "more than 100 files or 1048576 bytes"},
		"many entries":    {layers: []layer{flux(t, many...)}, want: "more than 100 files"},
		"large layers":    {layers: []layer{file("0001_a.sql", strings.Repeat("x", 600_000)), file("0002_b.sql", strings.Repeat("y", 600_000))}, want: "more than 1048576 bytes together"},
		"file twice":      {layers: []layer{file("0001_a.sql", "x"), flux(t, entry("./0001_a.sql", "y"))}, want: "twice"},
		"no SQL":          {layers: []layer{file("README.md", "x")}, want: "no SQL files"},
		"several folders": {layers: []layer{file("a/1_a.sql", "x"), file("b/1_b.sql", "y")}, want: "several folders (a, b); name one in spec.source.oci.path"},
		"wrong folder":    {layers: []layer{file("a/1_a.sql", "x")}, path: "b", want: `no SQL files in the folder "b"`},
		"no gzip":         {layers: []layer{{mediaType: "application/x.tar+gzip", data: []byte("text")}}, want: "no gzip"},
		"damaged":         {layers: []layer{{mediaType: "application/x.tar+gzip", data: zipped(t, []byte("text"))}}, want: "damaged archive"},
		"other type":      {layers: []layer{{mediaType: "application/vnd.cncf.helm.chart.content.v1", data: []byte("x")}}, want: "neither a file with a title nor a tar archive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := repository(t, open)
			pushed := push(t, open, repo, "v1", tt.layers...)
			_, err := reach(t, Access{Repository: repo, PlainHTTP: true}).Fetch(t.Context(), pushed, tt.path, limits)
			refused(t, err, fault.Invalid, ReasonInvalid, tt.want, pushed)
		})
	}
}

// An index names several artifacts; which one is meant is not guessed.
func TestFetchRefusesIndex(t *testing.T) {
	t.Parallel()
	repo := repository(t, open)
	one := push(t, open, repo, "one", file("0001_a.sql", "x"))
	text := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
	index := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(text), Size: int64(len(text))}
	if err := author(t, open, repo).PushReference(t.Context(), index, bytes.NewReader(text), "all"); err != nil {
		t.Fatal(err)
	}
	r := reach(t, Access{Repository: repo, PlainHTTP: true})
	found, err := r.Resolve(t.Context(), "all")
	if err != nil || found == one {
		t.Fatal(found, err)
	}
	_, err = r.Fetch(t.Context(), found, "", limits)
	refused(t, err, fault.Invalid, ReasonInvalid, "index of several manifests")
}
