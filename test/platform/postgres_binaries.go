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
)

// minPostgresMajor is the oldest server that the operator supports; from leastPrivilegeMajor on, a
// CREATEROLE login cannot give itself rights over the whole server.
const (
	minPostgresMajor    = 15
	leastPrivilegeMajor = 16
)

// postgresBinaries is a folder with PostgreSQL's server programs.
type postgresBinaries struct {
	dir   string
	major int
	// libraries is put before the loader's path; empty for programs that find theirs themselves.
	libraries string
}

// postgresSource is one way to come by server programs. It gives an error that says why it cannot.
type postgresSource struct {
	name string
	find func(ctx context.Context, major int) (postgresBinaries, error)
}

// postgresBinaries returns server programs of the wanted major version (0: any, the newest of the
// first source that has one). The sources, in this order: the folder $TENANTRY_POSTGRES_BIN alone
// if it is set; the cache and the npm package it is filled from; servers installed on this
// machine; Debian packages, unpacked into the cache without root.
func (c *Cache) postgresBinaries(ctx context.Context, major int) (postgresBinaries, error) {
	if dir := os.Getenv("TENANTRY_POSTGRES_BIN"); dir != "" {
		bin, err := inspectPostgres(ctx, dir, "")
		if err == nil && major != 0 && bin.major != major {
			err = fmt.Errorf("it is PostgreSQL %d, wanted is %d", bin.major, major)
		}
		if err != nil {
			return postgresBinaries{}, fmt.Errorf("TENANTRY_POSTGRES_BIN=%s: %w", dir, err)
		}
		return bin, nil
	}
	var failed error
	for _, source := range []postgresSource{
		{"npm package", c.npmPostgres},
		{"this machine", installedPostgres},
		{"Debian packages", c.debianPostgres},
	} {
		bin, err := source.find(ctx, major)
		if err == nil {
			if failed != nil {
				c.say("PostgreSQL %d from %s is used, because: %v", bin.major, source.name, failed)
			}
			return bin, nil
		}
		if ctx.Err() != nil {
			return postgresBinaries{}, err
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", source.name, err))
	}
	return postgresBinaries{}, fmt.Errorf("no PostgreSQL server programs; install npm or PostgreSQL %d or newer, "+
		"or set TENANTRY_POSTGRES_BIN to a folder with initdb and postgres:\n%w", max(major, minPostgresMajor), failed)
}

// postgresVersion finds the major version in the output of "postgres --version".
var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspectPostgres says what a folder of programs is. It must hold initdb and postgres, which may
// need shared libraries from other folders.
func inspectPostgres(ctx context.Context, dir, libraries string) (postgresBinaries, error) {
	bin := postgresBinaries{dir: dir, libraries: libraries}
	if !isProgram(filepath.Join(dir, "initdb")) {
		return postgresBinaries{}, fmt.Errorf("%s holds no initdb", dir)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Env = bin.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return postgresBinaries{}, fmt.Errorf("postgres --version: %w: %s", err, out)
	}
	match := postgresVersion.FindSubmatch(out)
	if match == nil {
		return postgresBinaries{}, fmt.Errorf("postgres --version says %q", out)
	}
	bin.major, err = strconv.Atoi(string(match[1]))
	if err != nil {
		return postgresBinaries{}, err
	}
	if bin.major < minPostgresMajor {
		return postgresBinaries{}, fmt.Errorf("PostgreSQL %d is too old, at least %d is needed", bin.major, minPostgresMajor)
	}
	return bin, nil
}

// environment is all that the programs see of this process's environment: PG* variables of the
// user, a locale or a time zone must not change what a test sees.
func (b postgresBinaries) environment() []string {
	env := append(cleanEnvironment(), "LC_ALL=C")
	if b.libraries != "" {
		env = append(env, "LD_LIBRARY_PATH="+b.libraries)
	}
	return env
}

// installedGlobs are the places where distributions put server programs.
var installedGlobs = []string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
}

// installedPostgres finds the newest server on this machine, or the newest of the wanted version.
func installedPostgres(ctx context.Context, major int) (postgresBinaries, error) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, glob := range installedGlobs {
		found, err := filepath.Glob(glob)
		if err != nil {
			return postgresBinaries{}, err
		}
		dirs = append(dirs, found...)
	}
	var usable []postgresBinaries
	for _, dir := range dirs {
		bin, err := inspectPostgres(ctx, dir, "")
		if err == nil && (major == 0 || bin.major == major) {
			usable = append(usable, bin)
		}
	}
	if len(usable) == 0 {
		return postgresBinaries{}, errors.New("no server of that version is installed")
	}
	return slices.MaxFunc(usable, func(a, b postgresBinaries) int { return a.major - b.major }), nil
}
