package memory_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/storetest"
	"github.com/oidcgate/oidcgate/store/memory"
)

func TestNewIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) func() core.Store {
		store := memory.New()
		return func() core.Store { return store }
	})
}

func TestURLGivesAnEmptyStore(t *testing.T) {
	for _, rawURL := range []string{"memory:", "MEMORY:", "memory://"} {
		store, err := core.OpenStore(rawURL)
		if err != nil {
			t.Fatalf("%s: %v", rawURL, err)
		}
		if _, err := store.Get(t.Context(), "session", "id"); !errors.Is(err, core.ErrNotFound) {
			t.Fatalf("%s: Get gave the error %v, not ErrNotFound", rawURL, err)
		}
		if _, err := store.Put(t.Context(), core.Record{Kind: "session", ID: "id"}); err != nil {
			t.Fatalf("%s: %v", rawURL, err)
		}
	}
}

func TestURLMustNotGoOn(t *testing.T) {
	for _, rest := range []string{"hunter2", "/hunter2", "//hunter2", "///", "//user:hunter2@host", "?", "?hunter2", "#hunter2", "%2f"} {
		_, err := core.OpenStore("memory:" + rest)
		if err == nil || !strings.Contains(err.Error(), "nothing may follow memory:") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("memory:%s gave the error %v", rest, err)
		}
	}
}
