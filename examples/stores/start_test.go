package stores_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store"
)

const (
	secret        = "c2VjcmV0IG9uZSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"
	anotherSecret = "YW5vdGhlciBzZWNyZXQgZm9yIHRlc3RzLCAzMiBieXRlcyEh"
)

// newAuth gives an application with the store. Its provider is nowhere.
func newAuth(t testing.TB, s store.Store, secret string) *core.Auth {
	t.Helper()
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: "http://127.0.0.1:1", ClientID: "shop"}}, PublicURL: "http://127.0.0.1:1/api",
		Secrets: []string{secret}, Broker: &core.Broker{Store: s, Algorithm: "ES256"},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = auth.Close() })
	return auth
}

// start gives what Start has to say about the store, which it looks at before the
// provider.
func start(t testing.TB, auth *core.Auth) error {
	t.Helper()
	err := auth.Start(t.Context())
	if h := auth.Health(); h.Store.State == core.StateGood && h.SigningKeys.State == core.StateGood {
		return nil
	}
	return err
}

func wantAdvice(t *testing.T, err error, advice string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), advice) {
		t.Errorf("the error is %v, without %q", err, advice)
	}
}

// A row was changed by hand, or the secret is another one. Both are errors, and the
// records stay as they are.
func TestStartRefusesRecordsThatItCannotOpen(t *testing.T) {
	for name, fresh := range backends {
		t.Run(name, func(t *testing.T) {
			b := fresh(t)
			// What the first start clears away in the background is over before the test has
			// something for the next one to leave alone.
			expired := store.Record{Kind: "session", ID: "expired", Expires: time.UnixMilli(1)}
			if _, err := b.store.Put(t.Context(), expired); err != nil {
				t.Fatal(err)
			}
			if err := start(t, newAuth(t, b.store, secret)); err != nil {
				t.Fatal(err)
			}
			for err := error(nil); !errors.Is(err, store.ErrNotFound); {
				if _, err = b.store.Get(t.Context(), "session", "expired"); err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Fatal(err)
				}
			}
			if _, err := b.store.Put(t.Context(), expired); err != nil {
				t.Fatal(err)
			}
			var before, after string
			if err := b.db.Get(&before, b.dump); err != nil {
				t.Fatal(err)
			}
			wantAdvice(t, start(t, newAuth(t, b.store, anotherSecret)), "add that secret to Config.Secrets")
			if err := b.db.Get(&after, b.dump); err != nil || after != before {
				t.Errorf("the records have changed, or %v", err)
			}
			b.db.MustExec(b.corrupt)
			wantAdvice(t, start(t, newAuth(t, b.store, secret)), "restore the record from a backup, or delete it")
		})
	}
}

func TestStartTellsAStoreThatSomebodyMustMendFromOneThatIsDown(t *testing.T) {
	for name, fresh := range backends {
		t.Run(name, func(t *testing.T) {
			err := start(t, newAuth(t, fresh(t).unable, secret))
			if !errors.Is(err, store.ErrUnusable) || errors.Is(err, core.ErrUnavailable) {
				t.Errorf("a program that starts would wait for this to mend itself: %v", err)
			}
		})
	}
}
