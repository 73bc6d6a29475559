package core_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestSubjectIsUsernameOnRequest(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(nil), func(c *core.Config) { c.Broker.SubjectIsUsername = true })
	first := a.signIn("alice")
	exchanged := a.tokens(a.exchange(a.provider.AccessToken(t, "alice")))
	for _, got := range []tokens{first, a.tokens(a.refresh(first.RefreshToken)), exchanged} {
		claims := claimsOf(t, got.AccessToken)
		require.Equal(t, "alice", claims["sub"])
		require.Equal(t, a.provider.Issuer, claims["idp_iss"])
		info := a.get(browser(), userinfoRoute, bearer(got.AccessToken))
		require.Equal(t, "alice", info.json["sub"])
		require.Equal(t, "alice", info.json["username"])
	}

	a.overhear(func(body map[string]any) {
		nobody := map[string]any{"preferred_username": nil}
		a.resigned(body, nobody, nobody)
	})
	fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
	requireError(t, a.codeLogin("alice"), http.StatusForbidden, "access_denied")
	require.Zero(t, a.revoked())
	requireError(t, a.exchange(a.bare("alice")), http.StatusForbidden, "access_denied")
}

func TestWithoutAUsernameTheSubjectStandsForTheUser(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.overhear(func(body map[string]any) {
		nobody := map[string]any{"preferred_username": nil}
		a.resigned(body, nobody, nobody)
	})
	fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
	got := a.signIn("alice")
	claims := claimsOf(t, got.AccessToken)
	require.Equal(t, "user-alice", claims["sub"])
	require.NotContains(t, claims, "preferred_username")
	requireError(t, a.get(browser(), userinfoRoute, bearer(got.AccessToken)), http.StatusNotFound, "not_found")
}

func TestSubjectsThatAStoreCannotHoldAreRefused(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	for name, row := range map[string]struct {
		subject string
		valid   bool
	}{
		"1,024 bytes":         {strings.Repeat("s", 1024), true},
		"1,025 bytes":         {strings.Repeat("s", 1025), false},
		"a control character": {"user\x00alice", false},
		"a line break":        {"user\nalice", false},
		"other letters":       {"Алиса", true},
	} {
		t.Run(name, func(t *testing.T) {
			a.overhear(func(body map[string]any) {
				subject := map[string]any{"sub": row.subject}
				a.resigned(body, subject, subject)
			})
			got := a.codeLogin("alice")
			if row.valid {
				require.Equal(t, row.subject, claimsOf(t, a.tokens(got).AccessToken)["sub"])
				return
			}
			requireError(t, got, http.StatusBadGateway, "server_error")
			require.Zero(t, a.revoked())
		})
	}
}

// Where the username is the subject, another username is another user. None at
// all is nobody yet.
func TestARefreshMayNotChangeTheUsernameThatIsTheSubject(t *testing.T) {
	for name, row := range map[string]struct {
		says any // preferred_username
		ends bool
	}{"another": {"root", true}, "none": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			for _, isSubject := range []bool{true, false} {
				a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered(func(b *core.Broker) { b.SubjectIsUsername = isSubject }))
				token := a.signIn("alice").RefreshToken
				a.overhear(func(body map[string]any) {
					username := map[string]any{"preferred_username": row.says}
					a.resigned(body, username, username)
				})
				fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
				got := a.refresh(token)
				switch {
				case !isSubject:
					require.Equal(t, "user-alice", claimsOf(t, a.tokens(got).AccessToken)["sub"])
				case row.ends:
					requireError(t, got, http.StatusBadRequest, "invalid_grant")
					require.Equal(t, []string{core.ReasonSubject}, a.log.ends())
				default:
					requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
					a.provider.Answer(oidctest.TokenPath, nil)
					require.Equal(t, "alice", claimsOf(t, a.tokens(a.refresh(token)).AccessToken)["sub"])
					require.Empty(t, a.log.ends())
				}
			}
		})
	}
}

// An access token may name its subject otherwise than the ID token of the login
// did, for another audience; then userinfo says who the user is. It is believed
// only where it was the one to tell in the first place.
func TestARefreshMayNotChangeTheUser(t *testing.T) {
	pairwise := func(a *app, body map[string]any) {
		delete(body, "id_token")
		body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, map[string]any{
			"sub": "pairwise", "preferred_username": "root", "groups": []string{"root"},
		})
	}
	userinfo := func(a *app, answer string) { fail(a.provider, oidctest.UserinfoPath, http.StatusOK, answer) }
	for name, row := range map[string]struct {
		device bool // a login without an ID token
		opaque bool
		change func(a *app, body map[string]any)
		ends   bool
		roles  []any
	}{
		"by the ID token": {false, false, func(a *app, body map[string]any) {
			body["id_token"] = resign(t, a.provider, body["id_token"].(string), nil, map[string]any{"sub": "user-bob", "at_hash": nil})
		}, true, nil},
		"by userinfo, beside an access token of another subject": {false, false, func(a *app, body map[string]any) {
			pairwise(a, body)
			userinfo(a, `{"sub":"user-bob"}`)
		}, true, nil},
		"by userinfo, beside an opaque access token": {false, true, func(a *app, body map[string]any) {
			delete(body, "id_token")
			userinfo(a, `{"sub":"user-bob"}`)
		}, true, nil},
		"by the access token, which alone said who it was": {true, false, pairwise, true, nil},
		"not by the access token, when userinfo vouches": {false, false, func(a *app, body map[string]any) {
			pairwise(a, body)
			userinfo(a, `{"sub":"user-alice","preferred_username":"alice","groups":["users"]}`)
		}, false, []any{"users"}},
		"by userinfo, beside an access token without a subject": {false, false, func(a *app, body map[string]any) {
			delete(body, "id_token")
			body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, map[string]any{"sub": nil})
			userinfo(a, `{"sub":"user-bob"}`)
		}, true, nil},
		"not by an access token without a subject, when userinfo vouches": {false, false, func(a *app, body map[string]any) {
			delete(body, "id_token")
			body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, map[string]any{"sub": nil, "groups": []string{"users"}, "realm_access": nil})
			userinfo(a, `{"sub":"user-alice","preferred_username":"alice"}`)
		}, false, []any{"users"}},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{OpaqueTokens: row.opaque})
			a := newApp(t, provider, brokered())
			var first tokens
			if row.device {
				a.overhear(func(body map[string]any) { delete(body, "id_token") })
				first = a.tokens(a.deviceLogin("alice"))
			} else {
				first = a.signIn("alice")
			}
			a.overhear(func(body map[string]any) { row.change(a, body) })
			got := a.refresh(first.RefreshToken)
			if !row.ends {
				next := a.tokens(got)
				claims := claimsOf(t, next.AccessToken)
				require.Equal(t, "user-alice", claims["sub"])
				require.Equal(t, "alice", claims["preferred_username"])
				require.Equal(t, row.roles, claims["roles"], "of what was said now")
				a.tokens(a.refresh(next.RefreshToken))
				require.Empty(t, a.log.ends())
				return
			}
			requireError(t, got, 400, "invalid_grant")
			require.Equal(t, []string{core.ReasonSubject}, a.log.ends())
			require.Zero(t, a.revoked())
			provider.Answer(oidctest.TokenPath, nil)
			provider.Answer(oidctest.UserinfoPath, nil)
			requireError(t, a.refresh(first.RefreshToken), 400, "invalid_grant")
		})
	}
}
