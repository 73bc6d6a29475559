package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

var seed = flag.Uint64("seed", 0, "repeat the differential test that failed with this seed; 0 stands for a new one")

// court is three verifiers that were set up alike: at the same time, without leeway,
// for the same audience, with the same keys and algorithms.
type court struct {
	issuer *issuer
	now    time.Time
	ours   *core.Auth
	goOIDC *gooidc.IDTokenVerifier
	jwt    *jwt.Parser

	compared map[string]int // how many tokens that ours accepts another has judged
}

func newCourt(t testing.TB) *court {
	i, err := newIssuer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = i.close() })
	c := &court{issuer: i, now: time.Unix(2000000000, 0), compared: map[string]int{}}
	clock := func() time.Time { return c.now }
	c.ours, err = core.New(core.Config{
		Providers: []core.Provider{{Issuer: i.url, ClientID: audience, Audiences: []string{audience}}}, PublicURL: "https://shop.example.org/api", Leeway: -1, Now: clock, Logger: slog.New(slog.DiscardHandler),
		// Without it a token with no aud is taken by its azp, as the others don't.

	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.ours.Close() })
	require.NoError(t, c.ours.Start(t.Context()))
	keys := &gooidc.StaticKeySet{}
	for _, key := range i.keys {
		keys.PublicKeys = append(keys.PublicKeys, key.Public())
	}
	c.goOIDC = gooidc.NewVerifier(i.url, keys, &gooidc.Config{ClientID: audience, SupportedSigningAlgs: algorithms, Now: clock})
	c.jwt = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithIssuer(i.url), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(clock))
	return c
}

// key is how golang-jwt finds the key, which it leaves to its user: as ours does, by
// the algorithm, and by the kid if there is one.
func (c *court) key(token *jwt.Token) (any, error) {
	algorithm := token.Method.Alg()
	if kid := token.Header["kid"]; kid != nil && kid != "" && kid != algorithm {
		return nil, fmt.Errorf("no key is called %v", kid)
	}
	return c.issuer.keys[algorithm].Public(), nil
}

// judge has all three judge a token, and fails if ours accepts what another refuses
// or reads as something else. It tells whether ours has accepted it.
func (c *court) judge(t testing.TB, algorithm, header, payload string) bool {
	t.Helper()
	raw := sign(c.issuer.keys[algorithm], algorithm, header, payload)
	token, err := c.ours.Verify(context.Background(), raw)
	if err != nil {
		require.ErrorIs(t, err, core.ErrInvalidToken, "%s %s", header, payload)
		return false
	}
	again, err := c.ours.Verify(context.Background(), raw)
	require.NoError(t, err, "ours refuses it when it comes again: %s %s", header, payload)
	require.Equal(t, token.String(), again.String())

	var ours map[string]any
	require.NoError(t, token.Decode(&ours), "%s %s", header, payload)
	if nulls(ours, "nbf", "iat") {
		return true
	}

	theirs := jwt.MapClaims{}
	_, err = c.jwt.ParseWithClaims(raw, theirs, c.key)
	// A number that is larger than a float64, in a member that nobody reads.
	tooLarge := err != nil && strings.Contains(err.Error(), "could not JSON decode header: json: cannot unmarshal number")
	if !tooLarge && !nulls(ours, "iss", "sub", "aud") {
		require.NoError(t, err, "golang-jwt refuses what ours accepts: %s %s", header, payload)
		require.Equal(t, map[string]any(theirs), ours, "golang-jwt reads it otherwise: %s %s", header, payload)
		c.compared["golang-jwt"]++
	}
	if tooLarge || ambiguous(ours) || bringsKeys(header) {
		return true
	}
	id, err := c.goOIDC.Verify(context.Background(), raw)
	require.NoError(t, err, "go-oidc refuses what ours accepts: %s %s", header, payload)
	require.Equal(t, []any{id.Issuer, id.Subject, id.Expiry.Unix()}, []any{token.Issuer(), token.Subject(), token.Expiry().Unix()}, "%s %s", header, payload)
	var all map[string]any
	require.NoError(t, id.Claims(&all))
	require.Equal(t, all, ours, "go-oidc reads it otherwise: %s %s", header, payload)
	c.compared["go-oidc"]++
	return true
}

// nulls reports whether one of these claims is null. To ours it is then absent. A text
// that is null is of the wrong type to golang-jwt, and a date to both others.
func nulls(claims map[string]any, names ...string) bool {
	for _, name := range names {
		if value, ok := claims[name]; ok && value == nil {
			return true
		}
	}
	return false
}

// ambiguous reports whether there is a claim that is called like one that go-oidc
// reads, but for its case. encoding/json, by which it reads, takes both for the same;
// names of claims are case-sensitive (RFC 7519 4), and ours and golang-jwt keep them
// apart. The same goes for distributed claims (OpenID Connect Core 5.6.2), which
// access tokens don't have and go-oidc alone reads.
func ambiguous(claims map[string]any) bool {
	for name := range claims {
		for _, known := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "at_hash"} {
			if name != known && strings.EqualFold(name, known) {
				return true
			}
		}
		if strings.EqualFold(name, "_claim_names") || strings.EqualFold(name, "_claim_sources") {
			return true
		}
	}
	return false
}

// bringsKeys reports whether a header has members that ours never reads, be they well
// formed or not, since whoever made the token chose them. go-oidc decodes them.
func bringsKeys(header string) bool {
	var members map[string]any
	_ = json.Unmarshal([]byte(header), &members)
	for _, name := range []string{"jwk", "x5c", "x5t", "x5t#S256", "nonce", "url"} {
		if _, ok := members[name]; ok {
			return true
		}
	}
	return false
}

// TestWhateverOursAcceptsTheOthersAccept tries tokens that are signed by a real key
// and of which some members were changed at random.
func TestWhateverOursAcceptsTheOthersAccept(t *testing.T) {
	c := newCourt(t)
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("repeat with: go test -run %s . -seed %d", t.Name(), s)
	g := generator{rand.New(rand.NewPCG(s, 0)), c}
	const tokens = 3000
	accepted := 0
	for range tokens {
		algorithm, header, payload := g.token()
		if c.judge(t, algorithm, header, payload) {
			accepted++
		}
	}
	require.Greater(t, accepted, tokens/10, "too few tokens are good to tell anything")
	require.Less(t, accepted, tokens*9/10, "too few tokens are bad to tell anything")
	for _, peer := range []string{"golang-jwt", "go-oidc"} {
		require.Greater(t, c.compared[peer], accepted*3/4, "too few tokens were compared with %s", peer)
	}
}

// FuzzWhateverOursAcceptsTheOthersAccept is for what the generator doesn't think of.
func FuzzWhateverOursAcceptsTheOthersAccept(f *testing.F) {
	c := newCourt(f)
	// The issuer is at another port in each process of a run; <iss> stands for it.
	g := generator{rand.New(rand.NewPCG(1, 0)), c}
	for range 50 {
		_, header, payload := g.token()
		f.Add(header, strings.ReplaceAll(payload, c.issuer.url, "<iss>"))
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		for _, algorithm := range []string{"ES256", "EdDSA"} {
			c.judge(t, algorithm, header, strings.ReplaceAll(payload, "<iss>", c.issuer.url))
		}
	})
}

// generator makes tokens that are good but for a change or two.
type generator struct {
	*rand.Rand
	court *court
}

// member is one of a JSON object, written as it is.
type member struct{ name, value string }

func object(members []member) string {
	parts := make([]string, len(members))
	for i, m := range members {
		parts[i] = m.name + ":" + m.value
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (g generator) token() (algorithm, header, payload string) {
	algorithm = pick(g, algorithms)
	now := g.court.now.Unix()
	h := []member{{`"alg"`, quote(algorithm)}, {`"typ"`, `"JWT"`}, {`"kid"`, quote(algorithm)}}
	p := []member{
		{`"iss"`, quote(g.court.issuer.url)}, {`"sub"`, `"alice"`}, {`"aud"`, quote(audience)},
		{`"exp"`, fmt.Sprint(now + 600)}, {`"iat"`, fmt.Sprint(now - 60)}, {`"nbf"`, fmt.Sprint(now - 60)},
		{`"scope"`, `"openid email"`}, {`"realm_access"`, `{"roles":["user"]}`},
	}
	if g.IntN(3) == 0 {
		h = g.change(h, g.headerMember)
	}
	for range g.IntN(3) {
		p = g.change(p, g.claim)
	}
	g.Shuffle(len(p), reflect.Swapper(p))
	return algorithm, object(h), object(p)
}

// change replaces, adds, leaves out or doubles a member.
func (g generator) change(members []member, other func() member) []member {
	at := g.IntN(len(members))
	m := other()
	switch g.IntN(8) {
	case 0:
		return append(members[:at:at], members[at+1:]...)
	case 1:
		return append(members, members[at])
	case 2, 3, 4:
		for i := range members {
			if members[i].name == m.name {
				members[i] = m
				return members
			}
		}
	}
	return append(members, m)
}

func (g generator) headerMember() member {
	return pick(g, []func() member{
		func() member {
			return member{`"alg"`, pick(g, []string{`"RS256"`, `"ES256"`, `"EdDSA"`, `"PS256"`, `"HS256"`, `"none"`, `"es256"`, `""`, `null`, `5`, `["ES256"]`})}
		},
		func() member {
			return member{`"typ"`, pick(g, []string{`"at+jwt"`, `"application/at+jwt"`, `"AT+JWT"`, `"jwt"`, `"logout+jwt"`, `""`, `null`, `7`})}
		},
		func() member {
			return member{`"kid"`, pick(g, []string{`"RS256"`, `"ES256"`, `"EdDSA"`, `"nobody's"`, `""`, `null`, `1`, `{}`})}
		},
		func() member {
			return member{`"crit"`, pick(g, []string{`[]`, `["exp"]`, `["b64"]`, `null`, `"exp"`, `[1]`})}
		},
		func() member { return member{`"b64"`, pick(g, []string{`true`, `false`, `null`})} },
		func() member {
			return member{pick(g, []string{`"jwk"`, `"jku"`, `"x5c"`, `"cty"`, `"zip"`, `"exp"`, `"ALG"`, `"private"`}), g.value(2)}
		},
	})()
}

func (g generator) claim() member {
	now := g.court.now.Unix()
	date := func() string {
		// Not within a second of now: golang-jwt leaves fractions out before it
		// compares, and ours does not.
		return pick(g, []string{
			fmt.Sprint(now + 3600), fmt.Sprint(now - 3600), fmt.Sprintf("%d.5", now+90), fmt.Sprintf("%d.25", now-90), fmt.Sprintf("%de0", now+7),
			"0", "-0", "-1", "-1e9", "1e9", "1e10", "1e12", "1e18", "1e19", "1e300", "1e400", "9223372036854775808", "253402300799", "253402300800",
			fmt.Sprintf(`"%d"`, now+60), "true", "[]", "{}", g.value(1),
		})
	}
	return pick(g, []func() member{
		func() member {
			return member{`"iss"`, pick(g, []string{quote(g.court.issuer.url + "/"), quote(strings.ToUpper(g.court.issuer.url)), quote(g.court.issuer.url), g.value(1)})}
		},
		func() member {
			return member{`"aud"`, pick(g, []string{`["shop"]`, `["other","shop"]`, `["other"]`, `[]`, `[["shop"]]`, `["shop",1]`, `"Shop"`, `{"shop":true}`, g.value(1)})}
		},
		func() member { return member{`"sub"`, g.value(1)} },
		func() member { return member{`"exp"`, date()} },
		func() member { return member{`"nbf"`, date()} },
		func() member { return member{`"iat"`, date()} },
		func() member { return member{`"auth_time"`, date()} },
		func() member {
			return member{pick(g, []string{`"ISS"`, `"Exp"`, `"\u0069ss"`, `"iss "`, `"aud\u0000"`, `""`, `"_claim_names"`}), g.value(2)}
		},
		func() member {
			return member{pick(g, []string{`"typ"`, `"azp"`, `"client_id"`, `"scope"`, `"scp"`, `"nonce"`, `"at_hash"`, `"c_hash"`, `"token_use"`, `"cnf"`, `"events"`, `"jti"`, `"acr"`}), g.value(2)}
		},
		func() member { return member{quote(fmt.Sprint("private-", g.IntN(3))), g.value(4)} },
		func() member { return member{`"groups"`, g.value(3)} },
	})()
}

// value is any JSON value, some of which not every decoder takes.
func (g generator) value(depth int) string {
	if depth > 1 && g.IntN(2) == 0 {
		parts := make([]string, g.IntN(4))
		for i := range parts {
			parts[i] = g.value(depth - 1)
		}
		if g.IntN(2) == 0 {
			return "[" + strings.Join(parts, ",") + "]"
		}
		for i := range parts {
			parts[i] = quote(fmt.Sprint("m", g.IntN(6))) + ":" + parts[i] // now and then one twice
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return pick(g, []string{
		`null`, `true`, `false`, `0`, `-0`, `1.5`, `1e2`, `9007199254740993`, `18446744073709551616`, `1e308`, `1e309`, `-1E+400`, `01`, `.5`, `NaN`,
		`""`, `"text"`, `"two words"`, `"Grüße, 世界 🎉"`, `"\u00fc\ud83c\udf89"`, `"\ud800"`, "\"\xff\"", `"\u0000"`, `"\/<>&"`, "\"\u2028\"", "\"a\tb\"", `[]`, `{}`,
	})
}

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

func quote(text string) string { return `"` + text + `"` }
