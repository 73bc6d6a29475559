package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/store"
)

// RunUnusable holds stores that can't work before somebody corrects something (a
// password, rights, the name of a database) to saying so, in a subtest of t for each:
// Open fails with [store.ErrUnusable], so that a program which starts ends instead of
// waiting, and no error repeats password, if it is not "". Each function gives a new
// store on which Open has not been called.
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
