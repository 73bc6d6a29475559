package otelauth_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	"github.com/oidcgate/oidcgate/otelauth"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/oidcgate/oidcgate/store/storetest"
)

const duration = "db.client.operation.duration"

func TestStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) func() store.Store {
		o := newTelemetry()
		s := otelauth.Store(memory.New(), o.meters, o.tracing)
		return func() store.Store { return s }
	})
}

func TestStoreMeasuresEachCall(t *testing.T) {
	o := newTelemetry()
	s := otelauth.Store(memory.New(), o.meters, o.tracing)
	require.NoError(t, s.Open(t.Context()))
	_, err := s.Put(t.Context(), store.Record{Kind: "session", ID: "id"})
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "session", "id")
	require.NoError(t, err)
	_, err = s.Find(t.Context(), "session", "", "", 1)
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), "session", "id", 1))
	_, err = s.Purge(t.Context(), time.Now(), 1)
	require.NoError(t, err)
	counts := map[string]int64{}
	for _, operation := range []string{"open", "put", "get", "find", "delete", "purge"} {
		counts["db.operation.name="+operation+",db.system.name=oidcgate"] = 1
	}
	require.Equal(t, counts, o.points(t, duration))
	require.Equal(t, "db.collection.name=session,db.operation.name=get,db.system.name=oidcgate", listed(o.span(t, "get session").Attributes()))
	require.Equal(t, "db.operation.name=purge,db.system.name=oidcgate", listed(o.span(t, "purge").Attributes()))
}

func TestStoreTakesNotFoundAndConflictForAnswers(t *testing.T) {
	o := newTelemetry()
	s := otelauth.Store(memory.New(), o.meters, o.tracing)
	_, err := s.Get(t.Context(), "session", "id")
	require.ErrorIs(t, err, store.ErrNotFound)
	require.ErrorIs(t, s.Delete(t.Context(), "session", "id", 1), store.ErrConflict)
	require.Equal(t, map[string]int64{
		"db.operation.name=get,db.system.name=oidcgate":    1,
		"db.operation.name=delete,db.system.name=oidcgate": 1,
	}, o.points(t, duration))
	require.Equal(t, codes.Unset, o.span(t, "get session").Status().Code)
}

// failing is a store whose calls end with this error.
type failing struct {
	store.Store
	err error
}

func (f failing) Get(context.Context, string, string) (store.Record, error) {
	return store.Record{}, f.err
}

// A database may repeat in its error what it was asked for, with the user in it.
func TestStoreTellsTheKindOfAFailureAlone(t *testing.T) {
	for want, err := range map[string]error{
		"unusable": store.Unusable("the key user-alice is malformed"),
		"canceled": fmt.Errorf("reading user-alice: %w", context.Canceled),
		"timeout":  fmt.Errorf("reading user-alice: %w", context.DeadlineExceeded),
		"_OTHER":   errors.New("duplicate key value user-alice"),
	} {
		t.Run(want, func(t *testing.T) {
			o := newTelemetry()
			_, got := otelauth.Store(failing{memory.New(), err}, o.meters, o.tracing).Get(t.Context(), "session", "user-alice")
			require.Equal(t, err, got)
			require.Equal(t, map[string]int64{"db.operation.name=get,db.system.name=oidcgate,error.type=" + want: 1}, o.points(t, duration))
			require.Equal(t, codes.Error, o.span(t, "get session").Status().Code)
			require.NotContains(t, o.text(), "user-alice")
		})
	}
}
