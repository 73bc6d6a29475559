package core_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Two brokers, each with a provider and a store of its own.
func TestBrokersThatTrustEachOtherTakeEachOthersTokens(t *testing.T) {
	one, two := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newApp(t, newProvider(t, oidctest.Options{}), fleet())
	ours, theirs := one.signIn("alice"), two.signIn("alice")
	require.ErrorContains(t, one.verify(theirs.AccessToken), "another issuer")

	one.trusts(core.Issuer{URL: two.api, Roles: func(roles []string) []string { return roles[:1] }})
	two.trusts(core.Issuer{URL: one.api})
	token, err := one.auth.Verify(t.Context(), theirs.AccessToken)
	require.NoError(t, err)
	require.Equal(t, two.api, token.Issuer())
	require.Equal(t, "user-alice", token.Subject())
	require.Equal(t, []string{"admin"}, token.Roles())
	require.NoError(t, two.verify(ours.AccessToken))
	token, err = two.auth.Verify(t.Context(), ours.AccessToken)
	require.NoError(t, err)
	require.Empty(t, token.Roles(), "a peer's roles count for nothing unless that is configured")

	got := one.get(browser(), "/auth/v2/userinfo", "Authorization: Bearer "+theirs.AccessToken)
	require.Equal(t, "alice", got.json["username"])
	require.Equal(t, core.StateGood, one.auth.Health().Issuers[two.api].State)
}

func TestAPeersTokensWorkAtNoRouteThatGivesOrEndsAnything(t *testing.T) {
	one, two := newApp(t, newProvider(t, oidctest.Options{}), fleet(exchanging)), newApp(t, newProvider(t, oidctest.Options{}), fleet())
	evil := newHostile(t)
	one.trusts(core.Issuer{URL: two.api}, core.Issuer{URL: evil.Issuer})
	ours, theirs := one.signIn("alice"), two.signIn("alice")
	require.NoError(t, one.verify(theirs.AccessToken))

	requireError(t, one.refresh(theirs.RefreshToken), http.StatusBadRequest, "invalid_grant")
	requireError(t, one.refresh(theirs.AccessToken), http.StatusBadRequest, "invalid_grant")
	requireError(t, one.exchange(theirs.AccessToken), http.StatusBadRequest, "invalid_request")
	for _, iss := range []string{evil.Issuer, one.api, one.provider.Issuer} {
		forged := evil.token(t, nil, map[string]any{"iss": iss, "aud": []string{"fleet", one.provider.ClientID}})
		requireError(t, one.exchange(forged), http.StatusBadRequest, "invalid_request")
	}

	// It may say that it is of a session of ours.
	token, err := one.auth.Verify(t.Context(), ours.AccessToken)
	require.NoError(t, err)
	forged := evil.token(t, nil, map[string]any{"sid": token.SessionID(), "sub": token.Subject(), "preferred_username": "mallory"})
	require.NoError(t, one.verify(forged))
	req, err := http.NewRequest(http.MethodPost, one.api+"/auth/v2/logout", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+forged)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusFound, one.do(browser(), req).StatusCode)
	require.Equal(t, http.StatusOK, one.refresh(ours.RefreshToken).StatusCode, "the session goes on")
	require.Equal(t, "mallory", one.get(browser(), "/auth/v2/userinfo", "Authorization: Bearer "+forged).json["username"],
		"it speaks for itself, and is told nothing of the session")
}

func TestAPeerCannotSignForAnybodyElse(t *testing.T) {
	one, two := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newApp(t, newProvider(t, oidctest.Options{}), fleet())
	evil := newHostile(t)
	one.trusts(core.Issuer{URL: two.api}, core.Issuer{URL: evil.Issuer})
	ours, theirs := one.signIn("alice"), two.signIn("alice")
	require.NoError(t, one.verify(theirs.AccessToken))
	require.NoError(t, one.verify(evil.token(t, nil, nil)))
	kidOf := func(raw string) any {
		encoded, _, _ := strings.Cut(raw, ".")
		header, err := base64.RawURLEncoding.DecodeString(encoded)
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(header, &fields))
		return fields["kid"]
	}
	for _, iss := range []string{one.api, two.api, one.provider.Issuer, two.provider.Issuer, "", evil.Issuer + "/", strings.ToUpper(evil.Issuer)} {
		for _, kid := range []any{evil.KeyID(t), kidOf(ours.AccessToken), kidOf(theirs.AccessToken), nil} {
			require.ErrorIs(t, one.verify(evil.token(t, map[string]any{"kid": kid}, map[string]any{"iss": iss})), core.ErrInvalidToken, "iss %q, kid %v", iss, kid)
		}
	}

	// It publishes everybody's keys for its own.
	evil.Answer(oidctest.KeysPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		keys := []string{keysIn(one.get(browser(), "/auth/v2/.well-known/jwks.json").body), keysIn(two.get(browser(), "/auth/v2/.well-known/jwks.json").body)}
		own := httptest.NewRecorder()
		real.ServeHTTP(own, r)
		keys = append(keys, keysIn(own.Body.String()))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"keys":[%s]}`, strings.Join(keys, ","))
	})
	one.trusts(core.Issuer{URL: two.api})
	one.trusts(core.Issuer{URL: two.api}, core.Issuer{URL: evil.Issuer})
	require.NoError(t, one.verify(evil.token(t, nil, nil)))
	require.NoError(t, one.verify(ours.AccessToken))
	require.NoError(t, one.verify(theirs.AccessToken))
	for _, iss := range []string{one.api, two.api} {
		require.ErrorIs(t, one.verify(evil.token(t, nil, map[string]any{"iss": iss})), core.ErrInvalidToken)
	}
}

// keysIn is what a JWK Set lists.
func keysIn(document string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(document), `{"keys":[`), "]}")
}

// Whatever a peer answers, nothing is gained by it, it costs little, and nobody
// else is stopped.
func TestAPeersDocumentsCanDoNoHarm(t *testing.T) {
	elsewhere := newHostile(t)
	endless := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i < 100 && w.Header() != nil; i++ { // 100 MB
			if _, err := io.WriteString(w, strings.Repeat(" ", 1<<20)); err != nil {
				return
			}
		}
	}
	type answers = func(http.ResponseWriter, *http.Request, http.Handler)
	text := func(status int, body string) answers {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Location", elsewhere.Issuer+oidctest.KeysPath)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	many := `{"keys":[` + strings.Repeat(`{"kty":"OKP","crv":"Ed25519","kid":"KID","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},`, 200) + `{}]}`
	for i := 0; strings.Contains(many, "KID"); i++ {
		many = strings.Replace(many, "KID", fmt.Sprint(i), 1)
	}
	for name, answer := range map[string]answers{
		"garbage":           text(200, "<html>"),
		"nothing":           text(200, ""),
		"no keys":           text(200, `{"keys":[]}`),
		"a shared secret":   text(200, `{"keys":[{"kty":"oct","k":"AAAA"}]}`),
		"deep":              text(200, strings.Repeat(`{"keys":[`, 100_000)),
		"200 keys":          text(200, many),
		"100 MB":            endless,
		"a redirect":        text(302, ""),
		"a lasting one":     text(308, ""),
		"not there":         text(404, ""),
		"an error":          text(500, ""),
		"a hang-up":         func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
		"a broken answer":   func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.Header().Set("Content-Length", "9") },
		"somebody's keys":   nil, // below
		"hidden elsewhere":  nil,
		"of another issuer": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, evil := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
			valid := newApp(t, newProvider(t, oidctest.Options{}), fleet())
			theirs, raw := valid.signIn("alice").AccessToken, evil.token(t, nil, nil)
			switch name {
			case "somebody's keys":
				evil.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
					_, _ = io.WriteString(w, valid.get(browser(), peerKeys).body)
				})
			case "hidden elsewhere": // the discovery document points to keys at another host
				tamper(evil.Provider, oidctest.DiscoveryPath, func(body map[string]any) { body["jwks_uri"] = elsewhere.Issuer + oidctest.KeysPath })
				raw = elsewhere.token(t, nil, map[string]any{"iss": evil.Issuer})
			case "of another issuer":
				tamper(evil.Provider, oidctest.DiscoveryPath, func(body map[string]any) { body["issuer"] = elsewhere.Issuer })
			default:
				evil.Answer(oidctest.KeysPath, answer)
			}
			home.trusts(core.Issuer{URL: valid.api}, core.Issuer{URL: evil.Issuer})
			require.Error(t, home.verify(raw))
			require.NoError(t, home.verify(theirs))
			require.NoError(t, home.verify(home.signIn("alice").AccessToken))
		})
	}
}

func TestAPeerThatHangsStopsNobodyElse(t *testing.T) {
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet(), quick)
	valid, slow := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	theirs := valid.signIn("alice").AccessToken
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	arrived := make(chan struct{}, 100)
	slow.Answer(oidctest.DiscoveryPath, func(http.ResponseWriter, *http.Request, http.Handler) {
		arrived <- struct{}{}
		<-release
	})
	home.trusts(core.Issuer{URL: slow.Issuer}, core.Issuer{URL: valid.api})
	waiting := make(chan error)
	go func() { waiting <- home.verify(slow.token(t, nil, nil)) }()
	<-arrived
	require.NoError(t, home.verify(theirs))
	ours := home.signIn("alice")
	require.NoError(t, home.verify(ours.AccessToken))
	require.ErrorIs(t, <-waiting, core.ErrUnavailable)
	require.Equal(t, core.StateDown, home.auth.Health().Issuers[slow.Issuer].State)
	require.NoError(t, home.auth.Health().Err(), "nothing of our own is down")
}

func TestAReplicaThatStartsWhilePeersAreDownVerifiesByKeptKeys(t *testing.T) {
	store := newSpyStore()
	first := newApp(t, newProvider(t, oidctest.Options{}), fleet(func(b *core.Broker) { b.Store = store }))
	peer, other := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	first.trusts(core.Issuer{URL: peer.api}, core.Issuer{URL: other.Issuer})
	raw, others := peer.signIn("alice").AccessToken, other.token(t, nil, nil)
	require.NoError(t, first.verify(raw))
	require.NoError(t, first.verify(others))
	store.kept(t, 2)
	peer.server.Close()
	other.Down(true)

	second := first.replica(store, inFleet)
	second.trusts(core.Issuer{URL: peer.api})
	require.NoError(t, second.auth.Start(t.Context()))
	require.NoError(t, second.verify(raw))
	require.Equal(t, core.StateStale, second.auth.Health().Issuers[peer.api].State)
	require.ErrorContains(t, second.verify(others), "another issuer", "a peer that is not configured is none, whatever the store holds")
}
