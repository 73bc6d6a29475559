package broker

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/oidcgate/oidcgate/store/memory"
)

// newTestBroker makes a broker whose provider is nowhere.
func newTestBroker(tb testing.TB, algorithm string) *Broker {
	logger := slog.New(slog.DiscardHandler)
	tasks := background.New(logger)
	tb.Cleanup(tasks.Close)
	b, err := New(Options{
		PublicURL: "https://app.example.org/api", ClientID: "app", Audience: "https://app.example.org/api", Algorithm: algorithm,
		Provider: provider.New(provider.Options{
			Issuer: "https://id.example.org", ClientID: "app", DiscoveryURL: "https://id.example.org/.well-known/openid-configuration",
			HTTP: httpx.New(nil, time.Second), Now: time.Now, Tasks: tasks, Logger: logger,
			Verifier: func(keys verify.KeySource) *verify.Verifier { return &verify.Verifier{Keys: keys, Now: time.Now} },
		}),
		TokenLifetime: 15 * time.Minute, SessionLifetime: 24 * time.Hour, SessionIdle: time.Hour, RefreshGrace: time.Minute,
		Store: memory.New(), Secrets: [][]byte{make([]byte, 32)},
		Timeout: time.Second, Now: time.Now, Rand: rand.Reader, Tasks: tasks, Logger: logger,
		Note: func(context.Context, string, error) {}, GiveBack: func(context.Context, string) {},
		Tell: func(context.Context, Event) {}, RequestID: func(context.Context) string { return "" },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
