package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Lock takes the lock of a name, for what processes of this user must not do at the same time, and
// waits for another holder as long as ctx allows. The kernel gives it back when its holder dies.
func (c *Cache) Lock(ctx context.Context, name string) (unlock func(), err error) {
	return c.lock(ctx, name, "waiting for another process that holds "+name)
}

// lock is Lock with a line of progress for the time of waiting.
func (c *Cache) lock(ctx context.Context, name, waiting string) (unlock func(), err error) {
	dir := filepath.Join(c.Dir, ".locks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return lockFile(ctx, filepath.Join(dir, name), func() func(error) { return c.progress(waiting) })
}

// lockFile locks a file; it calls waiting once if there is another holder, and its result at the end.
func lockFile(ctx context.Context, path string, waiting func() (done func(error))) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	release := func() { _ = file.Close() }
	err = tryLock(file)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		done := waiting()
		for errors.Is(err, syscall.EWOULDBLOCK) {
			if serr := sleep(ctx, lockEvery); serr != nil {
				err = serr
				break
			}
			err = tryLock(file)
		}
		done(err)
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return release, nil
}

func tryLock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
