package broker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/vault"
	"github.com/oidcgate/oidcgate/store"
	"github.com/stretchr/testify/require"
)

// countingStore counts the calls to find records, and the records that they gave.
type countingStore struct {
	store.Store
	finds, rows int
}

func (s *countingStore) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	found, err := s.Store.Find(ctx, kind, key, after, limit)
	s.finds++
	s.rows += len(found)
	return found, err
}

// keep inserts a session as a login does.
func keep(t *testing.T, b *Broker, client, subject, providerSession string) string {
	t.Helper()
	h, err := b.newHandle()
	require.NoError(t, err)
	state, err := b.newSession(Tokens{RefreshToken: "provider's"}, subject, remembered{Client: client})
	require.NoError(t, err)
	s := &storedSession{b: b, id: h.sessionID(), keys: [2]string{subject, providerSession}}
	require.NoError(t, s.insert(t.Context(), state))
	return s.id
}

func TestSessionsAreFoundAndEndedPageByPageAndWithoutReadingOthers(t *testing.T) {
	const count = 2*vault.PageSize + 1
	b := newTestBroker(t, "ES256")
	counting := &countingStore{Store: b.records.Store}
	b.records.Store = counting
	for i := range count {
		keep(t, b, "app", "alice", fmt.Sprint("sid-", i))
	}
	for _, others := range []int{0, 1000} {
		for i := range others {
			keep(t, b, "app", fmt.Sprint("user-", i), "")
		}
		counting.finds, counting.rows = 0, 0
		found, err := b.Find(t.Context(), "alice")
		require.NoError(t, err)
		require.Len(t, found, count)
		require.Equal(t, 4, counting.finds, "three pages, and one that is empty")
		require.Equal(t, count, counting.rows, "however many others there are")
	}
	counting.rows = 0
	ended, err := b.End(t.Context(), Filter{ProviderSession: "sid-7"}, session.ReasonRevoked)
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	require.Equal(t, 1, counting.rows)
	ended, err = b.End(t.Context(), Filter{Subject: "alice"}, session.ReasonRevoked)
	require.NoError(t, err)
	require.Equal(t, count-1, ended)
	ended, err = b.End(t.Context(), Filter{Before: time.Now().Add(time.Hour)}, session.ReasonRevoked)
	require.NoError(t, err)
	require.Equal(t, 1000, ended)
}

func TestTheSessionsOfOneClientEnd(t *testing.T) {
	b := newTestBroker(t, "ES256")
	keep(t, b, "app", "alice", "")
	of := keep(t, b, "editor", "alice", "")
	keep(t, b, "editor", "bob", "")
	ended, err := b.End(t.Context(), Filter{Client: "editor", Subject: "bob"}, session.ReasonRevoked)
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	ended, err = b.End(t.Context(), Filter{Client: "app"}, session.ReasonRevoked)
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	found, err := b.Find(t.Context(), "alice")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, of, found[0].ID)
	require.Equal(t, "editor", found[0].Client)
}

func TestAnEndThatIsCalledOffGoesNoFurther(t *testing.T) {
	b := newTestBroker(t, "ES256")
	for range 3 {
		keep(t, b, "app", "alice", "")
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.Tell = func(context.Context, Event) { cancel() }
	ended, err := b.End(ctx, Filter{Subject: "alice"}, session.ReasonRevoked)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, ended)
}
