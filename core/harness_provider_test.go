package core_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// newProvider starts a provider whose ID tokens outlive every test's clock.
func newProvider(t *testing.T, o oidctest.Options) *oidctest.Provider {
	if o.IDTokenLifetime == 0 {
		o.IDTokenLifetime = 1000 * time.Hour
	}
	if o.DeviceInterval == 0 {
		o.DeviceInterval = -1
	}
	return oidctest.New(t, o)
}

// tamper changes the JSON of the provider's answers at a path.
func tamper(provider *oidctest.Provider, path string, change func(body map[string]any)) {
	provider.Answer(path, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		recorded := httptest.NewRecorder()
		real.ServeHTTP(recorded, r)
		var body map[string]any
		if recorded.Code != http.StatusOK || json.Unmarshal(recorded.Body.Bytes(), &body) != nil {
			w.WriteHeader(recorded.Code)
			_, _ = w.Write(recorded.Body.Bytes())
			return
		}
		change(body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	})
}

// fail has the provider answer a path with a status and a body.
func fail(provider *oidctest.Provider, path string, status int, body string) {
	provider.Answer(path, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// resign gives a token of the provider with some claims and header fields
// changed, signed by the provider's own key; nil takes one away.
func resign(t *testing.T, provider *oidctest.Provider, raw string, header, claims map[string]any) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	require.NoError(t, err)
	all := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&all))
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return provider.SignedToken(t, header, all)
}

// overhear lets the provider's tokens be changed, and gives those that it
// handed out last. None of them may ever come out.
func (a *app) overhear(change func(body map[string]any)) map[string]any {
	last := map[string]any{}
	tamper(a.provider, oidctest.TokenPath, func(body map[string]any) {
		if change != nil {
			change(body)
		}
		clear(last)
		for name, value := range body {
			last[name] = value
		}
		for _, name := range []string{"access_token", "refresh_token", "id_token"} {
			if token, ok := body[name].(string); ok {
				a.log.keep(token)
			}
		}
	})
	return last
}

// resigned changes claims of a provider's answer: of its access token and, when
// there is one, of its ID token.
func (a *app) resigned(body map[string]any, access, id map[string]any) {
	changed := map[string]any{"at_hash": nil} // of the access token as it was
	for name, value := range id {
		changed[name] = value
	}
	body["access_token"] = resign(a.t, a.provider, body["access_token"].(string), nil, access)
	body["id_token"] = resign(a.t, a.provider, body["id_token"].(string), nil, changed)
}

// announcesNoPKCE has the provider's discovery document say nothing of PKCE.
func announcesNoPKCE(provider *oidctest.Provider) {
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "code_challenge_methods_supported") })
}

// introspecting switches introspection on.
func introspecting(c *core.Config) { c.Providers[0].Introspection = true }

// introspects has the provider answer every introspection with this.
func introspects(provider *oidctest.Provider, body string) {
	fail(provider, oidctest.IntrospectPath, http.StatusOK, body)
}

// decimal is a number as JSON has it.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// revoked counts the tokens that were given back to the provider.
func (a *app) revoked() int { return a.provider.Requests(oidctest.RevokePath) }

// roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
