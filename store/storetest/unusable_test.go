package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// opens is a store whose Open gives an error.
func opens(err error) store.Store {
	return &faulty{Store: memory.New(), open: func(context.Context) error { return err }}
}

var errRefused = fmt.Errorf("%w: the server refuses the password", store.ErrUnusable)

func TestRunUnusablePassesForAStoreWithoutFault(t *testing.T) {
	RunUnusable(t, "hunter2", map[string]func() store.Store{"wrong password": func() store.Store { return opens(errRefused) }})
}

func TestRunUnusableFindsItsFaults(t *testing.T) {
	for complaint, err := range map[string]error{
		"gave no error":        nil,
		"is not ErrUnusable":   errors.New("FATAL: 28P01"),
		"repeats the password": fmt.Errorf("%w by hunter2", errRefused),
	} {
		if got := notUnusable(t.Context(), opens(err), "hunter2"); !strings.Contains(got, complaint) {
			t.Errorf("of the error %v the suite says %q, not %q", err, got, complaint)
		}
	}
}
