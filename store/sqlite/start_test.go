package sqlite_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

const (
	secret        = "c2VjcmV0IG9uZSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"
	anotherSecret = "YW5vdGhlciBzZWNyZXQgZm9yIHRlc3RzLCAzMiBieXRlcyEh"
)

// newAuth gives an application with the store. Its provider is nowhere.
func newAuth(t testing.TB, s core.Store, secret string) *core.Auth {
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

// startStore gives what Start has to say about the store, which it looks at before
// the provider.
func startStore(t testing.TB, auth *core.Auth) error {
	t.Helper()
	err := auth.Start(t.Context())
	if h := auth.Health(); h.Store.State == core.StateGood && h.SigningKeys.State == core.StateGood {
		return nil
	}
	return err
}

// TestStartRefusesRecordsThatItCannotOpen has a row be changed by hand, and the
// secret be another one. Both are errors, and the records stay as they are.
func TestStartRefusesRecordsThatItCannotOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	s, db := opened(t, path), plain(t, path)
	start := func(secret string) error { return startStore(t, newAuth(t, s, secret)) }
	// What the first start clears away in the background is over before the test has
	// something for the next one to leave alone.
	expired := core.Record{Kind: "session", ID: "expired", Expires: time.UnixMilli(1)}
	if _, err := s.Put(t.Context(), expired); err != nil {
		t.Fatal(err)
	}
	if err := start(secret); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); !errors.Is(err, core.ErrNotFound); {
		if _, err = s.Get(t.Context(), "session", "expired"); err != nil && !errors.Is(err, core.ErrNotFound) {
			t.Fatal(err)
		}
	}
	put(t, s, expired)
	var before, after string
	dump := "SELECT group_concat(kind || id || version || hex(data)) FROM records"
	if err := db.QueryRow(dump).Scan(&before); err != nil {
		t.Fatal(err)
	}
	wantAdvice(t, start(anotherSecret), "add that secret to Config.Secrets")
	if err := db.QueryRow(dump).Scan(&after); err != nil || after != before {
		t.Errorf("the records have changed, or %v", err)
	}
	if _, err := db.Exec(`UPDATE records SET data = CAST(substr(data, 1, length(data) - 1) ||
		CASE substr(data, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB) WHERE kind = 'signing-key'`); err != nil {
		t.Fatal(err)
	}
	wantAdvice(t, start(secret), "restore the record from a backup, or delete it")
}

func TestStartMakesTheFile(t *testing.T) {
	s := sqlite.New(filepath.Join(t.TempDir(), "new", "app.db"))
	if err := startStore(t, newAuth(t, s, secret)); err != nil {
		t.Fatal(err)
	}
	s.Close()
}
