package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock takes a lock on a file, which is made if need be, and waits for another holder as long as
// ctx allows. The kernel gives the lock back when its holder dies.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	return lockFile(ctx, path, func() func(error) { return func(error) {} })
}

// lockFile is Lock; it calls waiting once if there is another holder, and its result at the end.
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
