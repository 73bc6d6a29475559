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

func TestATokenThatIsMintedFromCodeIsTakenAsALogins(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.PeerAudiences = []string{"south"} }))
	who := core.Identity{
		Subject: "nightly-report", Username: "report", Name: "Nightly Report", Email: "ops@example.org", EmailVerified: true,
		Roles: []string{"writer", "reader", "reader"}, Scopes: []string{"orders:read"}, Extra: map[string]any{"job": 7},
	}
	raw, err := a.auth.Mint(t.Context(), who, core.MintOptions{})
	require.NoError(t, err)
	a.log.keep(raw)
	_, payload := jwtParts(t, raw)
	requireGolden(t, "minted_from_code.json", sinceNow(a.clock.Now(), payload),
		a.api, "<public URL>", claimsOf(t, raw)["jti"].(string), "<jti>")
	require.Equal(t, http.StatusOK, serve(a.auth.Required(core.Scopes("orders:read"), core.AnyRole("writer"), core.Claim("job", 7)), bearer(raw)).StatusCode)
	require.Equal(t, "report", a.get(browser(), userinfoRoute, bearer(raw)).json["username"])
	require.Empty(t, a.hint(a.logoutWith(raw)), "there is no session to end")
	event := a.log.events[1] // after that of the first key
	require.Equal(t, core.EventMint, event.Kind)
	require.Equal(t, a.api, event.Issuer)
	require.Equal(t, "nightly-report", event.Subject)

	narrow, err := a.auth.Mint(t.Context(), core.Identity{Subject: "user-alice", Issuer: a.provider.Issuer}, core.MintOptions{Audiences: []string{"south"}, Lifetime: time.Minute})
	require.NoError(t, err)
	a.log.keep(narrow)
	claims := claimsOf(t, narrow)
	require.Equal(t, "south", claims["aud"])
	require.Equal(t, a.provider.Issuer, claims["idp_iss"])
	require.EqualValues(t, a.clock.Now().Add(time.Minute).Unix(), claims["exp"])
	require.Error(t, a.verify(narrow))
}

func TestMintRefusesWhatNoLoginWouldGive(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), func(c *core.Config) { c.Require = []core.Constraint{core.Claim("department", "IT")} })
	valid := core.Identity{Subject: "job", Claims: map[string]any{"department": "IT"}}
	for name, row := range map[string]struct {
		change func(who *core.Identity, o *core.MintOptions)
		is     error // nil: a mistake in the program
		says   string
	}{
		"another audience":        {func(_ *core.Identity, o *core.MintOptions) { o.Audiences = []string{"stock"} }, core.ErrInvalidTarget, "stock"},
		"what Require refuses":    {func(who *core.Identity, _ *core.MintOptions) { who.Claims = nil }, core.ErrAccessDenied, "department"},
		"no subject":              {func(who *core.Identity, _ *core.MintOptions) { who.Subject = "" }, nil, "the subject is missing"},
		"a subject with NUL":      {func(who *core.Identity, _ *core.MintOptions) { who.Subject = "a\x00b" }, nil, "control character"},
		"a reserved claim":        {func(who *core.Identity, _ *core.MintOptions) { who.Extra = map[string]any{"Roles": "admin"} }, nil, `"Roles"`},
		"a life of two days":      {func(_ *core.Identity, o *core.MintOptions) { o.Lifetime = 48 * time.Hour }, nil, "out of bounds"},
		"a life that is negative": {func(_ *core.Identity, o *core.MintOptions) { o.Lifetime = -1 }, nil, "out of bounds"},
		"a token that is too large": {func(who *core.Identity, _ *core.MintOptions) {
			who.Extra = map[string]any{"x": strings.Repeat("x", 16<<10)}
		}, nil, "16 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			who, o := valid, core.MintOptions{}
			row.change(&who, &o)
			raw, err := a.auth.Mint(t.Context(), who, o)
			require.Empty(t, raw)
			require.ErrorContains(t, err, row.says)
			if row.is != nil {
				require.ErrorIs(t, err, row.is)
			}
		})
	}
	raw, err := a.auth.Mint(t.Context(), valid, core.MintOptions{})
	require.NoError(t, err)
	require.NotContains(t, claimsOf(t, raw), "department", "it was looked at, and is not in the token")
	require.Equal(t, "job", me(a.auth, raw).body)

	_, err = newApp(t, a.provider).auth.Mint(t.Context(), valid, core.MintOptions{})
	require.ErrorContains(t, err, "Config.Broker")
}
