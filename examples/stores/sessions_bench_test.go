package stores_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// BenchmarkSessions measures listing the sessions of one user, who has five, and ending
// them, among a thousand sessions and among a million, in turns.
//
//	scripts/with-postgres go test -run '^$' -bench Sessions -benchtime 9x ./examples/stores
func BenchmarkSessions(b *testing.B) {
	const own, times = 5, 40
	for name, fresh := range backends {
		b.Run(name, func(b *testing.B) {
			few, many := serving(b, fresh(b), 1_000), serving(b, fresh(b), 1_000_000)
			var listFew, listMany, listRatios, endFew, endMany, endRatios []float64
			for b.Loop() {
				list, end := few.listAndEnd(b, times, own)
				listAll, endAll := many.listAndEnd(b, times, own)
				listFew, listMany, listRatios = append(listFew, list), append(listMany, listAll), append(listRatios, listAll/list)
				endFew, endMany, endRatios = append(endFew, end), append(endMany, endAll), append(endRatios, endAll/end)
			}
			for unit, values := range map[string][]float64{
				"ms-list-1,000": listFew, "ms-list-1,000,000": listMany, "times-list": listRatios,
				"ms-end-1,000": endFew, "ms-end-1,000,000": endMany, "times-end": endRatios,
			} {
				b.ReportMetric(middle(values), unit)
			}
		})
	}
}

// application is one in which users can sign in.
type application struct {
	provider *oidctest.Provider
	auth     *core.Auth
	url      string
}

// serving gives an application on a store that has the sessions of so many others.
func serving(b *testing.B, place backend, others int) application {
	b.Helper()
	provider, mux := oidctest.New(b, oidctest.Options{}), http.NewServeMux()
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}}, PublicURL: server.URL,
		Secrets: []string{secret}, Broker: &core.Broker{Store: place.store, Algorithm: "ES256"},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = auth.Close() })
	for _, e := range auth.Endpoints() {
		mux.Handle(e.Path, e.Handler)
	}
	if err := auth.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	place.add(0, others, never)
	return application{provider, auth, server.URL}
}

// listAndEnd has a user sign in so often, lists the sessions and ends them, and gives how long
// both took, in milliseconds: the middle of several times.
func (a application) listAndEnd(b *testing.B, times, own int) (list, end float64) {
	var lists, ends []float64
	for range times {
		for range own {
			a.provider.SignIn(b, a.url+"/auth/v2/login", "alice")
		}
		lists = append(lists, timed(1, func(int) {
			if found, err := a.auth.Sessions(b.Context(), "user-alice"); err != nil || len(found) != own {
				b.Fatalf("found %d sessions: %v", len(found), err)
			}
		})...)
		ends = append(ends, timed(1, func(int) {
			if count, err := a.auth.Revoke(b.Context(), core.Who{Subject: "user-alice"}); err != nil || count != own {
				b.Fatalf("ended %d sessions: %v", count, err)
			}
		})...)
	}
	return middle(lists), middle(ends)
}
