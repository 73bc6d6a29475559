package otelauth_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/otelauth"
	"github.com/oidcgate/oidcgate/store/memory"
)

func TestNoSecretAndNoUserIsMeasured(t *testing.T) {
	var late atomic.Int64
	a := newApplication(t, func(c *core.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	tokens := a.signIn(t)
	require.Equal(t, http.StatusNotFound, a.guarded(t, tokens.AccessToken))
	require.Equal(t, http.StatusUnauthorized, a.guarded(t, tokens.AccessToken+"x"))
	require.Equal(t, http.StatusOK, a.refresh(t, tokens.RefreshToken))
	late.Store(int64(2 * time.Minute))
	require.Equal(t, http.StatusBadRequest, a.refresh(t, tokens.RefreshToken))

	counted := a.points(t, "oidcgate.events")
	for _, series := range []string{
		"oidcgate.event=login_start", "oidcgate.event=login", "oidcgate.event=refresh", "error.type=invalid_token,oidcgate.event=token",
		"oidcgate.event=end,oidcgate.reason=refresh_token_replayed", "error.type=invalid_grant,oidcgate.event=refresh",
	} {
		require.EqualValues(t, 1, counted[series], series)
	}
	require.Contains(t, a.text(), "oidcgate.session=")
	require.Contains(t, a.text(), "put session")
	require.Contains(t, a.text(), "HTTP POST")
	measured := fmt.Sprint(a.metrics(t))
	for _, private := range []string{
		tokens.AccessToken, tokens.RefreshToken, a.provider.ClientSecret, "user-alice", "alice@example.com", "Liddell", "?code=", "&state=",
	} {
		require.NotContains(t, measured, private)
		require.NotContains(t, a.text(), private)
	}
	token, err := a.auth.Verify(t.Context(), tokens.AccessToken)
	require.NoError(t, err)
	require.NotContains(t, measured, token.SessionID())
}

func TestInstrumentKeepsWhatIsThere(t *testing.T) {
	o := newTelemetry()
	var seen []core.EventKind
	jar := http.Client{Timeout: time.Second}
	config := core.Config{
		HTTPClient: &jar, Observe: func(_ context.Context, e core.Event) { seen = append(seen, e.Kind) },
		Broker: &core.Broker{Audience: "shop", Store: onDisk{memory.New()}},
	}
	broker := config.Broker
	otelauth.Instrument(&config, o.meters, o.tracing)
	config.Observe(t.Context(), core.Event{Kind: core.EventMint})

	require.Equal(t, []core.EventKind{core.EventMint}, seen)
	require.Len(t, o.points(t, "oidcgate.events"), 1)
	require.Equal(t, time.Second, config.HTTPClient.Timeout)
	require.Nil(t, jar.Transport, "the application's own client stays as it is")
	require.Equal(t, "shop", config.Broker.Audience)
	require.IsType(t, onDisk{}, broker.Store, "the application's own Broker stays as it is")
	require.NoError(t, config.Broker.Store.Open(t.Context()))
	require.Len(t, o.points(t, duration), 1)
}

func TestInstrumentLeavesAloneWhatIsNotThere(t *testing.T) {
	o := newTelemetry()
	config := core.Config{}
	otelauth.Instrument(&config, o.meters, o.tracing)
	require.Nil(t, config.Broker)
	config.Observe(t.Context(), core.Event{Kind: core.EventMint})

	records := memory.New()
	for _, broker := range []core.Broker{{}, {Store: records}} {
		config := core.Config{Broker: &broker}
		otelauth.Instrument(&config, o.meters, o.tracing)
		require.Equal(t, broker.Store, config.Broker.Store, "core knows the store in memory by its type")
	}
}

func TestInstrumentWorksWithTheGlobalProviders(t *testing.T) {
	config := core.Config{Broker: &core.Broker{Store: onDisk{memory.New()}}}
	otelauth.Instrument(&config, nil, nil)
	config.Observe(t.Context(), core.Event{Kind: core.EventMint})
	require.NoError(t, config.Broker.Store.Open(t.Context()))
}
