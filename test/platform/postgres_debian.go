package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// debianPackage finds the server packages in apt's list of names; debianMissing finds what apt
// would have to install.
var (
	debianPackage = regexp.MustCompile(`(?m)^postgresql-(\d+)$`)
	debianMissing = regexp.MustCompile(`(?m)^Inst (\S+)`)
)

// debianPostgres returns server programs from Debian's or Ubuntu's packages, downloaded and unpacked
// into the cache without root and without installing anything. The libraries that are missing on
// this machine come along.
func (c *Cache) debianPostgres(ctx context.Context, major int) (postgresBinaries, error) {
	for _, program := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			return postgresBinaries{}, fmt.Errorf("%s is not installed", program)
		}
	}
	if major == 0 {
		newest, err := newestDebianPostgres(ctx)
		if err != nil {
			return postgresBinaries{}, err
		}
		major = newest
	}
	name := fmt.Sprintf("postgresql-%d", major)
	dir, err := c.once(ctx, "debian-"+name, func(ctx context.Context, dir string) error {
		return unpackDebian(ctx, dir, name)
	})
	if err != nil {
		return postgresBinaries{}, err
	}
	libraries, err := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-gnu"))
	if err != nil {
		return postgresBinaries{}, err
	}
	programs := filepath.Join(dir, "usr/lib/postgresql", strconv.Itoa(major), "bin")
	return inspectPostgres(ctx, programs, strings.Join(libraries, ":"))
}

// newestDebianPostgres returns the newest version in apt's lists that is not too old.
func newestDebianPostgres(ctx context.Context) (int, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "pkgnames", "postgresql-").Output()
	if err != nil {
		return 0, fmt.Errorf("apt-cache pkgnames: %w", err)
	}
	var majors []int
	for _, match := range debianPackage.FindAllSubmatch(out, -1) {
		if major, err := strconv.Atoi(string(match[1])); err == nil && major >= minPostgresMajor {
			majors = append(majors, major)
		}
	}
	if len(majors) == 0 {
		return 0, errors.New("apt lists no PostgreSQL server; run apt-get update")
	}
	return slices.Max(majors), nil
}

// unpackDebian downloads a package and those it needs that are not installed, and unpacks them.
func unpackDebian(ctx context.Context, dir, name string) error {
	plan, err := exec.CommandContext(ctx, "apt-get", "install", "--simulate", "--no-install-recommends", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get cannot install %s: %w: %s", name, err, lastLines(string(plan), 3))
	}
	packages := []string{name}
	for _, match := range debianMissing.FindAllSubmatch(plan, -1) {
		packages = append(packages, string(match[1]))
	}
	slices.Sort(packages)
	download := exec.CommandContext(ctx, "apt-get", append([]string{"download"}, slices.Compact(packages)...)...)
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download: %w: %s", err, lastLines(string(out), 3))
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", archive, dir).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb -x %s: %w: %s", filepath.Base(archive), err, out)
		}
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	return nil
}
