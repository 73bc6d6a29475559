package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/oidcgate/oidcgate/store"
)

// wrongPlace are the errors of the operating system for a path that can't be right.
var wrongPlace = []error{syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.ENOENT}

// explain makes errors those of the context where it has ended, which SQLite
// reports as an interruption, and says what to do about others.
func (s *records) explain(ctx context.Context, doing string, err error) error {
	var system *fs.PathError
	hint, mistake := mistakes[code(err)]
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case mistake:
		err = store.Unusable("%s: %w", hint, err)
	case errors.Is(err, syscall.ENOSPC):
		err = fmt.Errorf("%s: %w", full, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		err = store.Unusable("%s: %w", rights, err)
	case errors.As(err, &system) && slices.Contains(wrongPlace, system.Err):
		err = store.Unusable("no file can be there: name another: %w", err)
	case advice[code(err)] != "":
		err = fmt.Errorf("%s: %w", advice[code(err)], err)
	}
	return fmt.Errorf("sqlite: %s %s: %w", doing, s.path, err)
}
