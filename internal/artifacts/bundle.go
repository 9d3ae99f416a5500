package artifacts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// bundle gathers the files of an artifact's layers by their paths.
type bundle struct {
	limits  Limits
	entries int
	bytes   int64
	files   map[string][]byte
}

func newBundle(limits Limits) *bundle { return &bundle{limits: limits, files: map[string][]byte{}} }

// maxName bounds a file's path, as ConfigMaps bound their keys.
const maxName = 253

// clean returns a path inside of the artifact, or says why it is none.
func clean(name string) (string, error) {
	switch {
	case len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", fmt.Errorf("it has a file whose name is longer than %d bytes or not printable: %.80q", maxName, name)
	case strings.HasPrefix(name, "/"), strings.Contains(name, `\`), slices.Contains(strings.Split(name, "/"), ".."):
		return "", fmt.Errorf("it has a file that lies outside of it: %q", name)
	}
	return path.Clean(name), nil
}

// add takes a file whose size is known to be within bounds.
func (b *bundle) add(name string, data []byte) error {
	name, err := clean(name)
	if err != nil {
		return err
	}
	if err := b.count(int64(len(data))); err != nil || !wanted(name) {
		return err
	}
	if _, twice := b.files[name]; twice {
		return fmt.Errorf("it has the file %q twice", name)
	}
	b.files[name] = data
	return nil
}

func (b *bundle) count(size int64) error {
	b.entries, b.bytes = b.entries+1, b.bytes+size
	if b.entries > b.limits.Files || b.bytes > b.limits.Bytes {
		return fmt.Errorf("it has more than %d files or %d bytes; put the SQL files alone into it", b.limits.Files, b.limits.Bytes)
	}
	return nil
}

// wanted says whether migrations could mean something by a file: checkpoints are there, and programs in Go are
// refused.
func wanted(name string) bool {
	return strings.Contains(path.Base(name), ".sql") || slices.Contains([]string{".pgsql", ".go"}, path.Ext(name))
}

// errTooLong ends the reading of an archive that goes on and on.
var errTooLong = errors.New("too long")

// bounded reads no more than so many bytes.
type bounded struct {
	from io.Reader
	left int64
}

func (r *bounded) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errTooLong
	}
	n, err := r.from.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

// addArchive unpacks a tar archive in memory. Its headers and padding may take as much room again as
// its files.
func (b *bundle) addArchive(data []byte, gzipped bool) error {
	from := io.Reader(bytes.NewReader(data))
	if gzipped {
		unzipped, err := gzip.NewReader(from)
		if err != nil {
			return errors.New("a layer is not what its type says: no gzip")
		}
		from = unzipped
	}
	const headers = 2 << 10
	archive := tar.NewReader(&bounded{from: from, left: b.limits.Bytes + headers*int64(b.limits.Files)})
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return b.broken(err)
		}
		if err := b.addEntry(header, archive); err != nil {
			return err
		}
	}
}

func (b *bundle) broken(err error) error {
	if errors.Is(err, errTooLong) {
		return fmt.Errorf("an archive in it has more than %d bytes when it is unpacked", b.limits.Bytes)
	}
	return errors.New("a layer is not what its type says: a damaged archive")
}

func (b *bundle) addEntry(header *tar.Header, archive io.Reader) error {
	switch header.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir:
		return b.count(0)
	case tar.TypeReg:
	default:
		return fmt.Errorf("an archive in it has %.80q, which is a link or a device; put plain files into it", header.Name)
	}
	if header.Size > b.limits.Bytes-b.bytes {
		return b.count(header.Size)
	}
	if !wanted(header.Name) {
		if _, err := clean(header.Name); err != nil {
			return err
		}
		return b.count(header.Size)
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return b.broken(err)
	}
	return b.add(header.Name, text)
}

// choose returns the files of a folder, those below it left out, sorted by name. Without a folder it
// is the one in which all SQL files are.
func (b *bundle) choose(folder string) ([]File, error) {
	folders := map[string]bool{}
	for name := range b.files {
		if strings.Contains(path.Base(name), ".sql") {
			folders[path.Dir(name)] = true
		}
	}
	known := list(folders)
	switch {
	case len(folders) == 0:
		return nil, errors.New("it has no SQL files")
	case folder == "" && len(folders) > 1:
		return nil, fmt.Errorf("it has SQL files in several folders (%s); name one in spec.source.oci.path", known)
	case folder == "":
		folder = known // the only one
	case !folders[folder]:
		return nil, fmt.Errorf("it has no SQL files in the folder %q (spec.source.oci.path); there are some in %s", folder, known)
	}
	var files []File
	for name, text := range b.files {
		if path.Dir(name) == folder {
			files = append(files, File{Name: path.Base(name), Content: text})
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// maxListed bounds the folders that a message names.
const maxListed = 5

func list(folders map[string]bool) string {
	var names []string
	for name := range folders {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > maxListed {
		names = append(names[:maxListed], "and others")
	}
	return strings.Join(names, ", ")
}
