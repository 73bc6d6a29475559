package vault

import (
	"context"
	"testing"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// rolledOver gives a store with notes a and c, sealed by the old secret, and b, sealed by the
// new one, and a vault that has both.
func rolledOver(t *testing.T) (*trialStore, *Vault) {
	s := &trialStore{Store: memory.New()}
	old := newVault(t, s, "old")
	write(t, old, "a", "A")
	write(t, old, "c", "C")
	v := newVault(t, s, "new", "old")
	write(t, v, "b", "B")
	return s, v
}

func TestResealSealsWhatIsNotSealedByTheFirstSecret(t *testing.T) {
	s, v := rolledOver(t)
	memo := store.Record{Kind: "memo", ID: "a"}
	old := newVault(t, s, "old")
	_, err := old.Put(t.Context(), memo, "M")
	require.NoError(t, err)
	memo.Kind = "letter"
	_, err = old.Put(t.Context(), memo, "L")
	require.NoError(t, err)

	count, err := v.Reseal(t.Context(), "note", "memo")
	require.NoError(t, err)
	require.Equal(t, 3, count)
	fresh := newVault(t, s, "new")
	for id, want := range map[string]struct {
		value   string
		version int64
	}{"a": {"A", 2}, "b": {"B", 1}, "c": {"C", 2}} {
		value, version := read(t, fresh, id)
		require.Equal(t, want.value, value)
		require.Equal(t, want.version, version)
	}
	_, err = fresh.Get(t.Context(), "memo", "a", new(string))
	require.NoError(t, err)
	_, err = fresh.Get(t.Context(), "letter", "a", new(string))
	require.ErrorIs(t, err, seal.ErrUnknownSecret, "nobody asked for letters")

	count, err = v.Reseal(t.Context(), "note", "memo")
	require.NoError(t, err)
	require.Zero(t, count, "once is enough")
}

// atPut lets somebody do something before a note is written for the first time.
func atPut(s *trialStore, do func()) {
	s.trouble = func(_ context.Context, call string) error {
		if call == "put" {
			s.trouble = nil
			do()
		}
		return nil
	}
}

func TestResealKeepsWhatSomebodyElseWritesMeanwhile(t *testing.T) {
	for secret, count := range map[string]int{"old": 2, "new": 1} {
		s, v := rolledOver(t)
		atPut(s, func() {
			changed := note("a")
			changed.Version = 1
			_, err := newVault(t, s, secret).Put(t.Context(), changed, "A2")
			require.NoError(t, err)
		})
		got, err := v.Reseal(t.Context(), "note")
		require.NoError(t, err)
		require.Equal(t, count, got, "somebody else did it with the secret %q", secret)
		value, _ := read(t, newVault(t, s, "new"), "a")
		require.Equal(t, "A2", value)
	}
}

func TestResealPassesOverWhatIsGoneMeanwhile(t *testing.T) {
	s, v := rolledOver(t)
	atPut(s, func() { require.NoError(t, v.Delete(t.Context(), "note", "a", 1)) })
	count, err := v.Reseal(t.Context(), "note")
	require.NoError(t, err)
	require.Equal(t, 1, count, "the other one")
	_, err = v.Get(t.Context(), "note", "a", new(string))
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestWhatCantBeReadKeepsNoOtherFromBeingResealed(t *testing.T) {
	s, v := rolledOver(t)
	write(t, newVault(t, s, "lost"), "aa", "x")
	damaged, err := s.Get(t.Context(), "note", "a")
	require.NoError(t, err)
	damaged.Data[len(damaged.Data)-1]++
	_, err = s.Put(t.Context(), damaged)
	require.NoError(t, err)

	count, err := v.Reseal(t.Context(), "note")
	require.Equal(t, 1, count)
	require.ErrorIs(t, err, seal.ErrOpen)
	require.ErrorIs(t, err, seal.ErrUnknownSecret)
	require.ErrorContains(t, err, "the note a can't be opened")
	require.ErrorContains(t, err, "the note aa can't be opened")
	value, _ := read(t, newVault(t, s, "new"), "c")
	require.Equal(t, "C", value)
}

func TestAnOutageEndsReseal(t *testing.T) {
	for name, row := range map[string]struct {
		call  string // that fails, of those after the first note was resealed
		count int
	}{
		"reading a page":        {"find", 0},
		"writing":               {"put", 1},
		"looking at a conflict": {"get", 1},
	} {
		s, v := rolledOver(t)
		puts := 0
		s.trouble = func(_ context.Context, call string) error {
			if call == "put" {
				puts++
			}
			switch {
			case call == row.call && (call != "put" || puts > 1):
				return errUnplugged
			case call == "put" && puts > 1:
				return store.ErrConflict
			}
			return nil
		}
		count, err := v.Reseal(t.Context(), "note", "memo")
		require.ErrorIs(t, err, fault.Unavailable, name)
		require.ErrorIs(t, err, errUnplugged, name)
		require.Equal(t, row.count, count, name)
		require.Equal(t, row.call, s.calls[len(s.calls)-1], "%s: nothing comes after it", name)
	}
}
