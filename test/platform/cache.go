package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// rootCache is used instead of root's own cache folder: an unprivileged PostgreSQL must be able to
// read its programs there, and nobody may enter /root.
const rootCache = "/var/cache/tenantry"

// Intervals of waiting: how often a line tells that long work goes on, and how often a lock that
// another process holds is tried again.
const (
	progressEvery = 15 * time.Second
	lockEvery     = 200 * time.Millisecond
)

// Cache keeps programs that were built or fetched, one folder for each name and version. It is
// shared by all processes of a user; a file lock makes the second one wait for the first's work.
type Cache struct {
	// Dir is the cache's folder.
	Dir string
	// Progress gets a line when long work starts, about every 15 seconds while it goes on, and
	// when it ends. Nothing is written for what is already there.
	Progress io.Writer
}

// DefaultCache returns the cache in $TENANTRY_CACHE, or else in the user's cache folder, or for
// root in /var/cache/tenantry. Progress goes to standard error.
func DefaultCache() (*Cache, error) {
	dir := os.Getenv("TENANTRY_CACHE")
	switch {
	case dir != "":
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		dir = abs
	case os.Geteuid() == 0:
		dir = rootCache
	default:
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no cache folder for this user, set TENANTRY_CACHE: %w", err)
		}
		dir = filepath.Join(base, "tenantry")
	}
	return &Cache{Dir: dir, Progress: os.Stderr}, nil
}

// once returns the folder of key, and fills it by build if it is not there yet. build writes into a
// temporary folder that is renamed when it succeeds, so a folder that exists is whole. Two
// processes, or two goroutines, never make the same key at the same time.
func (c *Cache) once(ctx context.Context, key string, build func(ctx context.Context, dir string) error) (string, error) {
	dir := filepath.Join(c.Dir, key)
	if isDir(dir) {
		return dir, nil
	}
	unlock, err := c.lock(ctx, key, "waiting for another process that makes "+key)
	if err != nil {
		return "", err
	}
	defer unlock()
	if isDir(dir) {
		return dir, nil
	}
	if err := c.fill(ctx, key, dir, build); err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return dir, nil
}

// fill makes one key's folder while its lock is held.
func (c *Cache) fill(ctx context.Context, key, dir string, build func(ctx context.Context, dir string) error) error {
	// A killed process left its half-made folder under this name; the lock says nobody uses it.
	temp := filepath.Join(c.Dir, ".making-"+key)
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.Mkdir(temp, 0o755); err != nil {
		return err
	}
	// Whatever the umask, an unprivileged PostgreSQL has to be able to enter.
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	done := c.progress("making " + key)
	err := build(ctx, temp)
	done(err)
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return os.Rename(temp, dir)
}

// progress prints that work began and then every 15 seconds that it still goes on, until the
// returned function is called with the work's result.
func (c *Cache) progress(what string) (done func(error)) {
	start := time.Now()
	c.say("%s", what)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				c.say("%s: %s so far", what, time.Since(start).Round(time.Second))
			case <-stop:
				return
			}
		}
	}()
	return func(err error) {
		close(stop)
		<-stopped
		word := "done"
		if err != nil {
			word = "failed"
		}
		c.say("%s: %s after %s", what, word, time.Since(start).Round(100*time.Millisecond))
	}
}

// say prints one line of progress.
func (c *Cache) say(format string, args ...any) {
	if c.Progress != nil {
		_, _ = fmt.Fprintf(c.Progress, format+"\n", args...)
	}
}

// isDir says whether there is a folder of that name.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// sleep waits, or returns the context's error when it ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
