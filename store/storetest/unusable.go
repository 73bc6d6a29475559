package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/store"
)

// RunUnusable tests stores with a wrong configuration (a password, rights, the name of a
// database), in one subtest per store. Open must fail with [store.ErrUnusable], so that a
// program exits at its start and does not wait. No error may contain password, unless that
// is "". Each function returns a new store, before Open.
func RunUnusable(t *testing.T, password string, stores map[string]func() store.Store) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open()
			defer s.Close()
			ctx, cancel := limited()
			defer cancel()
			if complaint := notUnusable(ctx, s, password); complaint != "" {
				t.Error(complaint)
			}
		})
	}
}

// notUnusable says what is wrong with the error of Open, or "".
func notUnusable(ctx context.Context, s store.Store, password string) string {
	switch err := s.Open(ctx); {
	case err == nil:
		return "Open gave no error"
	case password != "" && strings.Contains(err.Error(), password):
		return "the error of Open repeats the password"
	case !errors.Is(err, store.ErrUnusable):
		return fmt.Sprintf("waiting won't help, and the error of Open is not ErrUnusable: %v", err)
	}
	return ""
}
