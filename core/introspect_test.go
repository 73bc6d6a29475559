package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

const introspectRoute = "/auth/v2/introspect"

// aSecret is as short as the secret of a client may be.
const aSecret = "0123456789abcde:"

func resourceServers(list ...core.Client) func(*core.Config) {
	return inBroker(func(b *core.Broker) { b.ResourceServers = list })
}

// introspectable is a broker with resource servers, one of which serves a peer's audience.
func introspectable(t *testing.T, configure ...func(*core.Config)) *app {
	return newApp(t, newProvider(t, oidctest.Options{}), append([]func(*core.Config){brokered(exchanging), resourceServers(
		core.Client{ID: "orders", Secret: aSecret},
		core.Client{ID: "peer's %", Secret: aSecret + "ü +%", Resources: []string{"https://peer.example", "https://other.example"}},
	), inBroker(func(b *core.Broker) { b.PeerAudiences = []string{"https://peer.example"} })}, configure...)...)
}

// introspect asks about a token as the resource server orders.
func (a *app) introspect(token string) answer {
	a.t.Helper()
	a.log.keep(token)
	return a.post(browser(), introspectRoute, "token", token, "client_id", "orders", "client_secret", aSecret)
}

// introspectBy asks with credentials in the header, encoded as RFC 6749 2.3.1 says.
func (a *app) introspectBy(id, secret, token string, fields ...string) answer {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodPost, a.api+introspectRoute, strings.NewReader(form(append(fields, "token", token)...).Encode()))
	require.NoError(a.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return a.do(browser(), r)
}

// requireInactive makes sure that nothing but that is told of a token.
func requireInactive(t *testing.T, got answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	require.JSONEq(t, `{"active": false}`, got.body)
	requireProtected(t, got)
}

func requireActive(t *testing.T, got answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	require.Equal(t, true, got.json["active"], got.body)
	requireProtected(t, got)
}

func TestIntrospectionIsGolden(t *testing.T) {
	a := introspectable(t, inBroker(func(b *core.Broker) {
		b.Identify = func(_ context.Context, who *core.Identity) error {
			who.Roles = []string{"staff"}
			who.Extra = map[string]any{"department": "tools", "number": int64(9007199254740993), "active": false, "token_type": "N_A", "username": "root"}
			return nil
		}
	}))
	raw := a.signIn("alice").AccessToken
	got := a.introspect(raw)
	requireActive(t, got)
	claims := claimsOf(t, raw)
	authTime := decimal(int64(claims["auth_time"].(float64))) // by another clock
	requireGolden(t, "introspection.json", sinceNow(a.clock.Now(), strings.Replace(got.body, `"auth_time":`+authTime, `"auth_time":0`, 1)),
		a.api, "<public url>", a.provider.Issuer, "<provider>", claims["jti"].(string), "<jti>", claims["sid"].(string), "<sid>")
}

func TestIntrospectionTellsNothingOfATokenThatIsNotValidHere(t *testing.T) {
	a := introspectable(t)
	stranger := newApp(t, a.provider, brokered()).signIn("alice")
	got := a.signIn("alice")
	requireActive(t, a.introspect(got.AccessToken))
	header, payload := jwtParts(t, got.AccessToken)
	for name, token := range map[string]string{
		"nonsense":                            "nonsense",
		"no ASCII":                            "☂",
		"too long":                            strings.Repeat("a", 16<<10+1),
		"a refresh token":                     got.RefreshToken,
		"of the provider":                     a.provider.AccessToken(t, "alice"),
		"of another broker":                   stranger.AccessToken,
		"of a broker with the same keys' ids": encode(header) + "." + encode(payload) + "." + strings.Split(stranger.AccessToken, ".")[2],
		"changed":                             otherSignature(t, got.AccessToken, flipped),
		"for a peer alone":                    a.tokens(a.refresh(got.RefreshToken, "resource", "https://peer.example")).AccessToken,
	} {
		t.Run(name, func(t *testing.T) { requireInactive(t, a.introspect(token)) })
	}
	a.clock.Add(15*time.Minute + 30*time.Second)
	requireInactive(t, a.introspect(got.AccessToken))
}

func TestIntrospectionOfAPeersTokenTellsNothing(t *testing.T) {
	north := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	south := introspectable(t, func(c *core.Config) {
		c.TrustedIssuers = []core.Issuer{{URL: north.api, Audiences: []string{north.api}}}
	})
	raw := north.signIn("alice").AccessToken
	require.NoError(t, south.verify(raw), "guards take it")
	requireInactive(t, south.introspect(raw))
}

func TestIntrospectionKnowsWhetherTheSessionHasEnded(t *testing.T) {
	a := introspectable(t)
	got, other := a.signIn("alice"), a.signIn("alice")
	a.logoutWith(got.AccessToken)
	require.NoError(t, a.verify(got.AccessToken), "guards don't know")
	requireInactive(t, a.introspect(got.AccessToken))
	requireActive(t, a.introspect(other.AccessToken))
	minted, err := a.auth.Mint(t.Context(), core.Identity{Subject: "job"}, core.MintOptions{})
	require.NoError(t, err)
	for _, sessionless := range []string{minted, a.tokens(a.exchange(a.subjectToken(nil))).AccessToken} {
		requireActive(t, a.introspect(sessionless))
	}
}

func TestAResourceServerLearnsOfTokensForItselfOnly(t *testing.T) {
	a := introspectable(t)
	got := a.signIn("alice")
	both := got.AccessToken
	got = a.tokens(a.refresh(got.RefreshToken, "resource", "https://peer.example"))
	forPeer := got.AccessToken
	forUs := a.tokens(a.refresh(got.RefreshToken, "resource", a.api)).AccessToken
	peer := func(token string) answer { return a.introspectBy("peer's %", aSecret+"ü +%", token) }
	requireActive(t, peer(both))
	requireActive(t, peer(forPeer))
	requireInactive(t, peer(forUs))
	requireActive(t, a.introspect(both))
	requireInactive(t, a.introspect(forPeer))
	requireActive(t, a.introspect(forUs))
}

// The attack: to try out tokens, or to find out which resource servers there are.
func TestIntrospectionDemandsCredentialsBeforeItLooksAtTheToken(t *testing.T) {
	store := newSpyStore()
	a := introspectable(t, inBroker(func(b *core.Broker) { b.Store = store }))
	got := a.signIn("alice")
	form := func(fields ...string) answer { return a.post(browser(), introspectRoute, fields...) }
	var first string
	for name, ask := range map[string]func(token string) answer{
		"none": func(token string) answer { return form("token", token) },
		"a wrong secret": func(token string) answer {
			return form("token", token, "client_id", "orders", "client_secret", aSecret+"x")
		},
		"no secret":     func(token string) answer { return form("token", token, "client_id", "orders") },
		"an unknown id": func(token string) answer { return form("token", token, "client_id", "stock", "client_secret", aSecret) },
		"the id of another": func(token string) answer {
			return form("token", token, "client_id", "peer's %", "client_secret", aSecret)
		},
		"the application's own":        func(token string) answer { return a.introspectBy(a.provider.ClientID, a.provider.ClientSecret, token) },
		"a wrong secret in the header": func(token string) answer { return a.introspectBy("orders", aSecret[1:], token) },
		"an unknown id in the header":  func(token string) answer { return a.introspectBy("stock", aSecret, token) },
		"another id in the form":       func(token string) answer { return a.introspectBy("orders", aSecret, token, "client_id", "stock") },
		"a part of the id in the secret": func(token string) answer {
			return form("token", token, "client_id", "order", "client_secret", "s"+aSecret)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, token := range []string{got.AccessToken, "nonsense", ""} {
				var refused answer
				require.Empty(t, store.during(func() { refused = ask(token) }))
				requireError(t, refused, http.StatusUnauthorized, "invalid_client")
				require.Equal(t, `Basic realm="oidcgate"`, refused.Header.Get("WWW-Authenticate"))
				if first == "" {
					first = refused.body
				}
				require.Equal(t, first, refused.body, "all mistakes look the same")
			}
		})
	}
	requireActive(t, a.introspectBy("orders", aSecret, got.AccessToken))
	requireActive(t, a.introspectBy("orders", aSecret, got.AccessToken, "client_id", "orders"))
	requireError(t, a.introspectBy("orders", aSecret, got.AccessToken, "client_secret", aSecret), http.StatusBadRequest, "invalid_request")
	requireError(t, a.introspect(""), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), introspectRoute+"?token="+got.AccessToken, "client_id", "orders", "client_secret", aSecret), http.StatusBadRequest, "invalid_request")
}

func TestIntrospectionSaysSoWhenTheStoreIsDown(t *testing.T) {
	store := newSpyStore()
	a := introspectable(t, inBroker(func(b *core.Broker) { b.Store = store }))
	raw := a.signIn("alice").AccessToken
	store.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	requireError(t, a.introspect(raw), http.StatusServiceUnavailable, "temporarily_unavailable")
	requireInactive(t, a.introspect("nonsense"))
	store.fail(nil)
	requireActive(t, a.introspect(raw))
}

func TestThereIsNoIntrospectionWithoutResourceServers(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	require.Equal(t, http.StatusNotFound, a.introspect("x").StatusCode)
	metadata := a.get(browser(), "/.well-known/oauth-authorization-server").json
	require.NotContains(t, fmt.Sprint(metadata), "introspection")
}

func TestNewReportsEachMistakeOfAResourceServer(t *testing.T) {
	valid := core.Client{ID: "a", Secret: aSecret}
	for name, row := range map[string]struct {
		list  []core.Client
		named string
	}{
		"no ID":                     {[]core.Client{{Secret: aSecret}}, `Config.Broker.ResourceServers[0] (ID ""): the ID is missing`},
		"no secret":                 {[]core.Client{valid, {ID: "b"}}, `Config.Broker.ResourceServers[1] (ID "b"): the Secret needs 16 characters or more`},
		"a secret of 15 characters": {[]core.Client{{ID: "a", Secret: strings.Repeat("ü", 15)}}, "the Secret needs 16 characters or more"},
		"two with one ID":           {[]core.Client{valid, valid}, `[1] (ID "a"): another one has this ID`},
		"an empty resource":         {[]core.Client{{ID: "a", Secret: aSecret, Resources: []string{""}}}, "Resources holds an empty value"},
	} {
		t.Run(name, func(t *testing.T) {
			config := validConfig()
			brokered()(&config)
			resourceServers(row.list...)(&config)
			_, err := core.New(config)
			require.ErrorContains(t, err, row.named)
			require.NotContains(t, err.Error(), aSecret)
		})
	}
}
