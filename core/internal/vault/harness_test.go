package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// trialStore is a store in memory, with trouble. It belongs to the test's goroutine and
// those that the test waits for.
type trialStore struct {
	store.Store
	trouble func(ctx context.Context, call string) error // before each call; nil: none
	calls   []string
}

func (s *trialStore) before(ctx context.Context, call string) error {
	s.calls = append(s.calls, call)
	if s.trouble == nil {
		return nil
	}
	return s.trouble(ctx, call)
}

func (s *trialStore) Open(ctx context.Context) error {
	if err := s.before(ctx, "open"); err != nil {
		return err
	}
	return s.Store.Open(ctx)
}

func (s *trialStore) Get(ctx context.Context, kind, id string) (store.Record, error) {
	if err := s.before(ctx, "get"); err != nil {
		return store.Record{}, err
	}
	return s.Store.Get(ctx, kind, id)
}

func (s *trialStore) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	if err := s.before(ctx, "find"); err != nil {
		return nil, err
	}
	return s.Store.Find(ctx, kind, key, after, limit)
}

func (s *trialStore) Put(ctx context.Context, r store.Record) (int64, error) {
	if err := s.before(ctx, "put"); err != nil {
		return 0, err
	}
	return s.Store.Put(ctx, r)
}

func (s *trialStore) Delete(ctx context.Context, kind, id string, version int64) error {
	if err := s.before(ctx, "delete"); err != nil {
		return err
	}
	return s.Store.Delete(ctx, kind, id, version)
}

func (s *trialStore) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := s.before(ctx, "purge"); err != nil {
		return 0, err
	}
	return s.Store.Purge(ctx, now, limit)
}

// hangs is the trouble of a store that answers nothing.
func hangs(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// onTrialStore runs a test with a vault on a clock of its own, which goes on as soon as
// nobody has anything to do.
func onTrialStore(t *testing.T, test func(*testing.T, *trialStore, *Vault)) {
	synctest.Test(t, func(t *testing.T) {
		s := &trialStore{Store: memory.New()}
		test(t, s, newVault(t, s, "now"))
	})
}

// newVault gives a vault with these secrets, the first of which seals. Calls may take
// a minute.
func newVault(t *testing.T, s store.Store, secrets ...string) *Vault {
	logger := slog.New(slog.DiscardHandler)
	v := &Vault{
		Store: s, Seals: sealedBy(secrets...), Random: rand.Reader, Timeout: time.Minute,
		Now: time.Now, Tasks: background.New(logger), Logger: logger,
	}
	t.Cleanup(v.Tasks.Close)
	return v
}

func sealedBy(names ...string) *seal.Keys {
	var secrets [][]byte
	for _, name := range names {
		secrets = append(secrets, bytes.Repeat([]byte(name), 32))
	}
	return seal.New("test", secrets)
}

// note is a record of a kind of its own.
func note(id string) store.Record {
	return store.Record{Kind: "note", ID: id, Keys: [2]string{"user-" + id, "sid-" + id}, Expires: time.Unix(4e9, 0)}
}

// write puts a note into the store.
func write(t *testing.T, v *Vault, id, value string) {
	t.Helper()
	version, err := v.Put(t.Context(), note(id), value)
	require.NoError(t, err)
	require.Equal(t, int64(1), version)
}

// read gives a note.
func read(t *testing.T, v *Vault, id string) (value string, version int64) {
	t.Helper()
	record, err := v.Get(t.Context(), "note", id, &value)
	require.NoError(t, err)
	require.Equal(t, note(id).Keys, record.Keys)
	require.True(t, note(id).Expires.Equal(record.Expires))
	return value, record.Version
}
