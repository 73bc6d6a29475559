package provider

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"testing"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/stretchr/testify/require"
)

// Some of the addresses that internal/address knows to be inside, and some outside.
var (
	insideURLs  = []string{"https://localhost/t", "https://127.0.0.1/t", "https://10.0.0.1/t", "https://169.254.169.254/t", "https://[fe80::1]/t", "https://keycloak:8443/t", "https://metadata.google.internal/t"}
	outsideURLs = []string{"https://id.example.org/t", "https://8.8.8.8/t", "https://[2606:4700::1111]/t"}
)

// A document of a provider on the internet must not make us call what is inside.
func TestAProviderOnTheInternetHasNoEndpointInside(t *testing.T) {
	document := func(field, url string) []byte {
		endpoints := map[string]string{"token_endpoint": "https://id.example.org/t", "jwks_uri": "https://id.example.org/k", "userinfo_endpoint": "https://id.example.org/u"}
		endpoints[field] = url
		return fmt.Appendf(nil, `{"issuer":"https://id.example.org","authorization_endpoint":"https://id.example.org/a","token_endpoint":%q,"jwks_uri":%q,"userinfo_endpoint":%q}`,
			endpoints["token_endpoint"], endpoints["jwks_uri"], endpoints["userinfo_endpoint"])
	}
	for _, url := range insideURLs {
		var log bytes.Buffer
		p := newTestProvider(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for _, field := range []string{"token_endpoint", "jwks_uri"} {
			_, err := p.parseMetadata(document(field, url))
			require.ErrorIs(t, err, fault.Provider, url)
			require.ErrorContains(t, fault.CauseOf(err), "set Provider.DiscoveryURL to the provider's address in there, or set Provider.", url)
		}
		m, err := p.parseMetadata(document("userinfo_endpoint", url))
		require.NoError(t, err)
		require.Empty(t, m.UserinfoEndpoint, url)
		require.Contains(t, log.String(), "is inside a private network")
	}
	// What is configured is the operator's word.
	p := newTestProvider(Options{Endpoints: Endpoints{Token: "https://10.0.0.1/t"}})
	m, err := p.parseMetadata(document("token_endpoint", "https://10.0.0.2/t"))
	require.NoError(t, err)
	require.Equal(t, "https://10.0.0.1/t", m.TokenEndpoint)
	for _, url := range outsideURLs {
		_, err := newTestProvider(Options{}).parseMetadata(document("token_endpoint", url))
		require.NoError(t, err, url)
	}
}

// net/http reads such digits and letters as plain ones, and connects to this machine.
func TestAHostIsWrittenInTheLettersThatItIsReadIn(t *testing.T) {
	for _, host := range []string{"127.0.0.%EF%BC%91", "169.254.169.%EF%BC%92%EF%BC%95%EF%BC%94", "app.localhos%EF%BD%94", "metadata.google.interna%EF%BD%8C", "m%C3%BCnchen.example"} {
		_, err := newTestProvider(Options{}).parseMetadata(fmt.Appendf(nil, `{"issuer":"https://id.example.org","authorization_endpoint":"https://id.example.org/a","token_endpoint":"https://%s/t","jwks_uri":"https://id.example.org/k"}`, host))
		require.ErrorIs(t, err, fault.Provider, host)
		require.ErrorContains(t, fault.CauseOf(err), "a host that is not ASCII", host)
	}
}

// Wherever the operator says that the provider is inside, its document may.
func TestAProviderInsideHasItsEndpointsInside(t *testing.T) {
	for name, options := range map[string]Options{
		"in containers":         {Issuer: "http://localhost:8080", DiscoveryURL: "http://keycloak:8080/.well-known/openid-configuration", InsecureHTTP: true},
		"on loopback":           {Issuer: "http://127.0.0.1:8080"},
		"behind a public name":  {Issuer: "https://id.example.org", DiscoveryURL: "https://keycloak:8443/.well-known/openid-configuration"},
		"in Kubernetes":         {Issuer: "https://id.example.org", DiscoveryURL: "https://keycloak.auth.svc.cluster.local/.well-known/openid-configuration"},
		"on a private address":  {Issuer: "https://10.1.2.3"},
		"in a lab without TLS":  {Issuer: "http://id.example.org", InsecureHTTP: true},
		"on a link-local one":   {Issuer: "https://[fe80::1]"},
		"by an intranet's name": {Issuer: "https://sso"},
	} {
		for _, url := range []string{"https://keycloak:8443", "https://10.1.2.3", "https://localhost:8443"} {
			body := fmt.Appendf(nil, `{"issuer":%q,"authorization_endpoint":"%[2]s/a","token_endpoint":"%[2]s/t","jwks_uri":"%[2]s/k"}`, options.Issuer, url)
			_, err := newTestProvider(options).parseMetadata(body)
			require.NoError(t, err, "%s: %s", name, url)
		}
	}
}

// newTestProvider makes a provider that nobody calls.
func newTestProvider(o Options) *Provider {
	o.Issuer = cmp.Or(o.Issuer, "https://id.example.org")
	o.DiscoveryURL = cmp.Or(o.DiscoveryURL, o.Issuer+"/.well-known/openid-configuration")
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Verifier = func(verify.KeySource) *verify.Verifier { return nil }
	return New(o)
}
