package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

func TestARecordComesBackAsItWasWrittenAndIsUnreadableInTheStore(t *testing.T) {
	s := memory.New()
	v := newVault(t, s, "now")
	write(t, v, "a", "something confidential")
	value, version := read(t, v, "a")
	require.Equal(t, "something confidential", value)
	require.Equal(t, int64(1), version)

	stored, err := s.Get(t.Context(), "note", "a")
	require.NoError(t, err)
	require.NotContains(t, string(stored.Data), "confidential")
	found, err := v.Page(t.Context(), "note", "", "")
	require.NoError(t, err)
	require.Equal(t, []store.Record{stored}, found, "a page is not opened")
}

func TestDataThatIsMovedToAnotherRecordDoesNotOpen(t *testing.T) {
	v := newVault(t, memory.New(), "now")
	write(t, v, "a", "x")
	found, err := v.Page(t.Context(), "note", "", "")
	require.NoError(t, err)
	for name, row := range map[string]struct {
		move  func(*store.Record)
		opens bool
	}{
		"nowhere":            {func(*store.Record) {}, true},
		"another version":    {func(r *store.Record) { r.Version++ }, true},
		"another expiry":     {func(r *store.Record) { r.Expires = r.Expires.Add(1) }, true},
		"another kind":       {func(r *store.Record) { r.Kind = "memo" }, false},
		"another id":         {func(r *store.Record) { r.ID = "b" }, false},
		"another first key":  {func(r *store.Record) { r.Keys[0] = "user-b" }, false},
		"another second key": {func(r *store.Record) { r.Keys[1] = "" }, false},
		"keys exchanged":     {func(r *store.Record) { r.Keys[0], r.Keys[1] = r.Keys[1], r.Keys[0] }, false},
	} {
		record := found[0]
		row.move(&record)
		err := v.Unseal(&record)
		if row.opens {
			require.NoError(t, err, name)
			require.Equal(t, `"x"`, string(record.Data))
		} else {
			require.ErrorIs(t, err, seal.ErrOpen, name)
			require.Equal(t, found[0].Data, record.Data, "it stays as it was")
		}
	}
}

func TestWhatCantBeReadSaysWhyAndWhatToDo(t *testing.T) {
	s := memory.New()
	write(t, newVault(t, s, "lost"), "lost", "x")
	v := newVault(t, s, "now")
	write(t, v, "damaged", "x")
	damaged, err := s.Get(t.Context(), "note", "damaged")
	require.NoError(t, err)
	damaged.Data[len(damaged.Data)-1]++
	_, err = s.Put(t.Context(), damaged)
	require.NoError(t, err)

	for id, row := range map[string]struct {
		cause error
		todo  string
	}{
		"lost":    {seal.ErrUnknownSecret, "add that secret to Config.Secrets"},
		"damaged": {seal.ErrOpen, "restore the record from a backup, or delete it"},
	} {
		value := "untouched"
		_, err := v.Get(t.Context(), "note", id, &value)
		require.ErrorIs(t, err, row.cause)
		require.ErrorContains(t, err, "the note "+id+" can't be opened")
		require.ErrorContains(t, err, row.todo)
		require.Equal(t, "untouched", value)
		var e *fault.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, ErrSealed.From(e.Cause), e)
		require.NoError(t, v.Outcome().Err, "the store has answered")
	}
	value, _ := read(t, newVault(t, s, "now", "lost"), "lost")
	require.Equal(t, "x", value, "with that secret it opens")
}

func TestAValueOfAnotherTypeIsOfAnotherVersionOfTheProgram(t *testing.T) {
	v := newVault(t, memory.New(), "now")
	write(t, v, "a", "something confidential")
	_, err := v.Get(t.Context(), "note", "a", new(int))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "the note a is of another version of this program")
	require.NotContains(t, err.Error(), "confidential")
}

func TestARecordHasAMebibyteOfSealedDataAtMost(t *testing.T) {
	s := &trialStore{Store: memory.New()}
	v := newVault(t, s, "now")
	// Of these, 2 bytes are the quotes, and 32 the secret's name, the nonce and the MAC.
	write(t, v, "a", strings.Repeat("x", maxData-34))
	s.calls = nil
	_, err := v.Put(t.Context(), note("b"), strings.Repeat("x", maxData-33))
	require.ErrorIs(t, err, fault.Provider)
	require.ErrorContains(t, err, "too large")
	require.Empty(t, s.calls)
}

func TestWhatCantBeSealedIsNotWritten(t *testing.T) {
	s := &trialStore{Store: memory.New()}
	v := newVault(t, s, "now")
	_, err := v.Put(t.Context(), note("a"), func() {})
	require.ErrorContains(t, err, "json")
	v.Random = iotest.ErrReader(errUnplugged)
	_, err = v.Put(t.Context(), note("a"), "x")
	require.ErrorIs(t, err, errUnplugged)
	require.Empty(t, s.calls)
}

func TestEachGoesThroughAllThePages(t *testing.T) {
	for _, count := range []int{0, 1, PageSize, 2*PageSize + 1} {
		s := &trialStore{Store: memory.New()}
		v := newVault(t, s, "now")
		var want []string
		for i := range count {
			id := fmt.Sprintf("%03d", i)
			want = append(want, id)
			write(t, v, id, "x")
		}
		var seen []string
		require.NoError(t, v.Each(t.Context(), "note", "", func(r store.Record) error {
			seen = append(seen, r.ID)
			return nil
		}))
		require.Equal(t, want, seen)
		require.NoError(t, v.Each(t.Context(), "memo", "", func(store.Record) error { return errUnplugged }), "none of another kind")
	}
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	s := &trialStore{Store: memory.New()}
	v := newVault(t, s, "now")
	for i := range PageSize + 1 {
		write(t, v, fmt.Sprintf("%03d", i), "x")
	}
	enough := errors.New("enough")
	seen := 0
	err := v.Each(t.Context(), "note", "", func(store.Record) error {
		seen++
		if seen == 3 {
			return enough
		}
		return nil
	})
	require.Equal(t, enough, err)
	require.Equal(t, 3, seen)

	pages := 0
	s.trouble = func(context.Context, string) error {
		pages++
		if pages == 2 {
			return errUnplugged
		}
		return nil
	}
	seen = 0
	err = v.Each(t.Context(), "note", "", func(store.Record) error {
		seen++
		return nil
	})
	require.ErrorIs(t, err, errUnplugged)
	require.Equal(t, PageSize, seen)
}
