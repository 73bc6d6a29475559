package harness

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Made gives a folder of the cache that make fills, once for all runs; one process at a
// time does. What an interrupted make has left there is removed first.
func (r *Run) Made(name string, make func(folder string) error) (string, error) {
	folder := filepath.Join(r.Cache, name)
	unlock, err := lock(folder + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	done := filepath.Join(folder, "done")
	if _, err := os.Stat(done); err == nil {
		return folder, nil
	}
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o700)); err != nil {
		return "", err
	}
	if err := make(folder); err != nil {
		return "", err
	}
	return folder, os.WriteFile(done, nil, 0o600)
}

// lock waits until no other process has the lock of that name.
func lock(name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}
