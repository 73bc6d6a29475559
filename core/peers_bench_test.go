package core_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// BenchmarkPeers verifies tokens of one of a hundred peers, and of the broker
// itself, in turns, and tells how many times as long the former take. The tokens
// have the same claims but for the issuer, and are signed by the same algorithm.
//
//	go test -run '^$' -bench Peers -benchtime 1x ./core
func BenchmarkPeers(b *testing.B) {
	provider := oidctest.New(b, oidctest.Options{SigningAlgorithm: "ES256", AccessTokenLifetime: time.Hour})
	const peer = "http://127.0.0.1:10000/api" // as long as the broker's; its keys are the provider's
	peers := []core.Issuer{{URL: peer, JWKSURL: provider.Issuer + oidctest.KeysPath}}
	for i := range 99 {
		peers = append(peers, core.Issuer{URL: fmt.Sprintf("https://peer-%d.example.org/api", i)})
	}
	for name, size := range map[string]int{"hit": 0, "miss": -1} {
		b.Run(name, func(b *testing.B) {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			defer server.Close()
			auth, err := core.New(core.Config{
				Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}}, PublicURL: server.URL + "/api",
				Broker: &core.Broker{Algorithm: "ES256", Audience: "fleet", TokenLifetime: time.Hour}, Secrets: []string{strings.Repeat("c2VjcmV0", 8)},
				TrustedIssuers: peers, CacheSize: size,
			})
			require.NoError(b, err)
			defer auth.Close()
			for _, e := range auth.Endpoints() {
				mux.Handle("/api"+e.Path, e.Handler)
			}
			own := provider.SignIn(b, server.URL+"/api/auth/v2/login", "alice").AccessToken
			var claims map[string]any
			require.NoError(b, json.Unmarshal([]byte(decode(b, strings.Split(own, ".")[1])), &claims))
			claims["iss"] = peer
			theirs := provider.SignedToken(b, map[string]any{"typ": "at+jwt"}, claims)
			took := func(raw string) time.Duration {
				begin := time.Now()
				for range 2000 {
					if _, err := auth.Verify(b.Context(), raw); err != nil {
						b.Fatal(err)
					}
				}
				return time.Since(begin)
			}
			took(own)
			took(theirs)
			for range b.N {
				var ratios []float64
				for range 25 {
					ratios = append(ratios, float64(took(theirs))/float64(took(own)))
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "times")
			}
		})
	}
}

// BenchmarkStart starts a broker with a hundred peers that are down, and with none,
// in turns, and tells how many times as long the former takes.
//
//	go test -run '^$' -bench Start -benchtime 1x ./core
func BenchmarkStart(b *testing.B) {
	provider := oidctest.New(b, oidctest.Options{SigningAlgorithm: "ES256"})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var peers []core.Issuer
	for i := range 100 {
		peers = append(peers, core.Issuer{URL: fmt.Sprintf("%s/%d", gone.URL, i)})
	}
	took := func(peers []core.Issuer) time.Duration {
		auth, err := core.New(core.Config{
			Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}}, PublicURL: "http://localhost:8080/api",
			Broker: &core.Broker{Algorithm: "ES256"}, Secrets: []string{strings.Repeat("c2VjcmV0", 8)}, TrustedIssuers: peers,
			Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(b, err)
		defer auth.Close()
		begin := time.Now()
		require.NoError(b, auth.Start(b.Context()))
		return time.Since(begin)
	}
	for range b.N {
		var ratios []float64
		for range 51 {
			ratios = append(ratios, float64(took(peers))/float64(took(nil)))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "times")
	}
}
