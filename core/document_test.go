package core

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Between finding that there is no document and asking for it, the fetch of
// somebody else may end; its outcome serves both.
func TestWhoComesTooLateToJoinAFetchGetsItsOutcome(t *testing.T) {
	loads := 0
	life := newLife(slog.New(slog.DiscardHandler))
	defer life.end()
	d := &document[int]{
		name: "test", refresh: time.Hour, now: time.Now, life: life, logger: slog.New(slog.DiscardHandler),
		load: func(context.Context) (int, error) { loads++; return 7, nil },
	}
	value, err := d.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 7, value)

	value, err = d.wait(t.Context(), d.start(0)) // decided when no fetch had ended
	require.NoError(t, err)
	require.Equal(t, 7, value)
	require.Equal(t, 1, loads)

	_, err = d.wait(t.Context(), d.start(1))
	require.NoError(t, err)
	require.Equal(t, 2, loads)
}
