package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// BenchmarkIssuers verifies tokens of one of a hundred further issuers, and of the
// guards' own, in turns, and tells how many times as long the former take. The
// tokens are of the same size, and signed by the same key.
//
//	go test -run '^$' -bench Issuers -benchtime 1x ./core
func BenchmarkIssuers(b *testing.B) {
	provider := oidctest.New(b, oidctest.Options{SigningAlgorithm: "ES256", AccessTokenLifetime: time.Hour})
	const issuer = "http://127.0.0.1:10000" // as long as the provider's, and its keys are the provider's
	issuers := []core.Issuer{{URL: issuer, JWKSURL: provider.Issuer + oidctest.KeysPath}}
	for i := range 99 {
		issuers = append(issuers, core.Issuer{URL: fmt.Sprintf("https://peer-%d.example.org/api", i)})
	}
	for name, size := range map[string]int{"hit": 0, "miss": -1} {
		b.Run(name, func(b *testing.B) {
			auth, err := core.New(core.Config{
				Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret, PublicURL: "http://localhost:8080/api",
				TrustedIssuers: issuers, CacheSize: size,
			})
			require.NoError(b, err)
			defer auth.Close()
			own, further := provider.AccessToken(b, "alice"), provider.Sign(b, nil, provider.Claims("alice", map[string]any{"iss": issuer}))
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
			took(further)
			for range b.N {
				var ratios []float64
				for range 25 {
					ratios = append(ratios, float64(took(further))/float64(took(own)))
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "times")
			}
		})
	}
}
