package core_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// The provider takes the hint for what it is, and signs the user out.
func TestLogoutsHintIsTakenByTheProvider(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	client := browser()
	code, state := a.authorize(client, "alice", "redirect_uri", native)
	got := a.tokens(a.post(client, tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state))
	back := a.api + "/bye"
	redirect := a.get(client, logoutRoute+"?"+form("post_logout_redirect_uri", back, "state", "s").Encode(), bearer(got.AccessToken))
	require.NotEmpty(t, a.hint(redirect))
	res, err := client.Get(redirect.Header.Get("Location"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, back+"?state=s", res.Header.Get("Location"))
	u := a.provider.Authorize(t, client, a.api+"/auth/v2/login?"+form("redirect_uri", native, "prompt", "none").Encode(), "alice")
	require.Equal(t, "login_required", u.Query().Get("error"))
}

func TestALongHintIsLeftOut(t *testing.T) {
	for name, row := range map[string]struct {
		size int
		sent bool
	}{"4 KiB": {4 << 10, true}, "a byte more": {4<<10 + 1, false}} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			last := a.overhear(func(body map[string]any) { body["id_token"] = a.ofSize(body["id_token"].(string), row.size) })
			got := a.signIn("alice")
			hint := a.hint(a.logoutWith(got.AccessToken))
			if row.sent {
				require.Equal(t, last["id_token"], hint)
			} else {
				require.Empty(t, hint)
			}
			requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
		})
	}
}

// ofSize pads a token of the provider. Not every size can be had by its claims
// alone.
func (a *app) ofSize(raw string, size int) string {
	a.t.Helper()
	for header := range 4 {
		for claims := size / 2; claims < size; claims++ {
			padded := resign(a.t, a.provider, raw, map[string]any{"x": strings.Repeat("x", header)},
				map[string]any{"at_hash": nil, "x": strings.Repeat("x", claims)})
			if len(padded) == size {
				return padded
			} else if len(padded) > size {
				break
			}
			claims += max(0, (size-len(padded))/2-4)
		}
	}
	a.t.Fatalf("there is no token of %d bytes", size)
	return ""
}

// The provider answers a hint that it can't verify with an error page, and the user stays
// signed in there.
func TestAHintWhoseKeyTheProviderHasWithdrawnIsNotSent(t *testing.T) {
	for name, mode := range map[string]func(*core.Config){"broker": brokered(), "passthrough": func(*core.Config) {}} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), mode)
			last := a.overhear(nil)
			got := a.signIn("alice")
			own := last["id_token"].(string)
			a.provider.RotateKeys()
			a.signIn("bob") // whose ID token has the new key
			require.Empty(t, a.hint(a.logoutWith(got.AccessToken)))
			require.Empty(t, a.hint(a.logoutWith("", "id_token_hint", own)))
		})
	}
}

// OpenID Connect RP-Initiated Logout 1.0, 2: the provider accepts expired ones.
func TestACallersOwnHintGoesToTheProviderWhenItIsOneOfOurs(t *testing.T) {
	for name, mode := range map[string]func(*core.Config){"broker": brokered(), "passthrough": func(*core.Config) {}} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{IDTokenLifetime: time.Hour})
			a := newApp(t, provider, mode)
			last := a.overhear(nil)
			a.signIn("alice")
			own := last["id_token"].(string)
			changed := func(claims map[string]any) string { return resign(t, provider, own, nil, claims) }
			for name, row := range map[string]struct {
				hint string
				sent bool
			}{
				"our own":                {own, true},
				"expired":                {changed(map[string]any{"exp": 1000000000, "iat": 999990000}), true},
				"of another client":      {changed(map[string]any{"aud": "another"}), false},
				"for another party":      {changed(map[string]any{"aud": []string{"app", "another"}, "azp": "another"}), false},
				"of another issuer":      {changed(map[string]any{"iss": "https://id.example.org"}), false},
				"of another provider":    {newProvider(t, oidctest.Options{}).SignedToken(t, nil, claimsOf(t, own)), false},
				"with another subject":   {own[:strings.LastIndexByte(own, '.')-4] + "AAAA" + own[strings.LastIndexByte(own, '.'):], false},
				"a byte more than 4 KiB": {a.ofSize(own, 4<<10+1), false},
				"4 KiB":                  {a.ofSize(own, 4<<10), true},
				"no token":               {"nonsense", false},
				"none":                   {"", false},
			} {
				t.Run(name, func(t *testing.T) {
					want := ""
					if row.sent {
						want = row.hint
					}
					require.Equal(t, want, a.hint(a.get(browser(), logoutRoute+"?"+form("id_token_hint", row.hint).Encode())))
					require.Equal(t, want, a.hint(a.logoutWith("", "id_token_hint", row.hint)))
				})
			}
		})
	}
}

func TestABrokersLogoutFallsBackOnItsOwnHint(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	last := a.overhear(nil)
	one := a.signIn("alice")
	held := last["id_token"].(string)
	require.Equal(t, held, a.hint(a.logoutWith(one.AccessToken, "id_token_hint", "nonsense")))
	another := a.signIn("alice")
	require.NotEqual(t, held, last["id_token"])
	require.Equal(t, held, a.hint(a.logoutWith(another.AccessToken, "id_token_hint", held)), "the caller's goes first")
}
