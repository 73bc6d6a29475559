package oidctest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Issue returns an access token for a user, as after a login, but without any request.
// Without scopes, the token has openid, profile and email. Issue returns an error if there
// is no such user. In a test, [Provider.AccessToken] is shorter.
func (p *Provider) Issue(user string, scopes ...string) (string, error) {
	u, err := p.find(user)
	if err != nil {
		return "", err
	}
	if len(scopes) == 0 {
		scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}
	}
	g := p.storage.grantTo(newSession(u), scopes)
	answer, err := p.issue(op.ContextWithIssuer(context.Background(), p.Issuer), g, &g, "", "")
	if err != nil {
		return "", fmt.Errorf("oidctest: no access token for %s: %w", user, err)
	}
	return answer.AccessToken, nil
}

// AccessToken is [Provider.Issue] for tests. On an error the test fails.
func (p *Provider) AccessToken(tb testing.TB, user string, scopes ...string) string {
	tb.Helper()
	token, err := p.Issue(user, scopes...)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// KeyID returns the kid of the current signing key, or "" with [Options.NoKeyIDs].
func (p *Provider) KeyID(tb testing.TB) string {
	tb.Helper()
	key, err := p.storage.keys.signer()
	if err != nil {
		tb.Fatal(err)
	}
	return key.id
}

// Claims returns the claims of an access token that the provider would issue now for a user
// with the scopes openid, profile and email. The claims of extra are added or replaced; a
// nil value removes a claim. Use the result with [Provider.Sign]. The provider has not
// issued such a token, so its userinfo endpoint rejects it. Claims panics if there is no
// such user.
func (p *Provider) Claims(user string, extra map[string]any) map[string]any {
	u, err := p.find(user)
	if err != nil {
		panic(err)
	}
	g := p.storage.grantTo(newSession(u), []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail})
	claims := privateClaims(&g)
	now := time.Now()
	maps.Copy(claims, map[string]any{
		"iss":       p.Issuer,
		"sub":       u.Subject,
		"aud":       p.options.Audience,
		"client_id": p.ClientID,
		"jti":       rand.Text(),
		"iat":       now.Unix(),
		"nbf":       now.Unix(),
		"exp":       now.Add(p.options.AccessTokenLifetime).Unix(),
	})
	return override(claims, extra)
}

// Sign returns a compact JWS with exactly these claims, signed with the current key. It is
// for tokens that no provider should issue.
//
// The header has alg, kid and typ "JWT". The entries of header are added or replaced; a nil
// value removes an entry. The signature follows alg if the key allows it. none makes an
// empty signature. HS256, HS384 and HS512 use the public key in PEM as the secret, as in
// the algorithm confusion attack. RS and PS algorithms of all sizes need an RSA key. For any
// other alg, the key's default algorithm signs. For a token with this provider's kid but
// another key, let another provider sign it.
//
// Sign returns an error if header or claims can't be encoded as JSON. In a test,
// [Provider.SignedToken] is shorter.
func (p *Provider) Sign(header, claims map[string]any) (string, error) {
	key, err := p.storage.keys.signer()
	if err != nil {
		return "", err
	}
	head := map[string]any{"alg": key.algorithm, "typ": "JWT"}
	if key.id != "" {
		head["kid"] = key.id
	}
	head = override(head, header)
	algorithm, _ := head["alg"].(string)
	var parts []string
	for _, part := range []map[string]any{head, claims} {
		encoded, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("oidctest: the token can't be written: %w", err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(encoded))
	}
	input := strings.Join(parts, ".")
	signature, err := key.sign(algorithm, []byte(input))
	if err != nil {
		return "", fmt.Errorf("oidctest: the token can't be signed: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// SignedToken is [Provider.Sign] for tests. On an error the test fails.
func (p *Provider) SignedToken(tb testing.TB, header, claims map[string]any) string {
	tb.Helper()
	token, err := p.Sign(header, claims)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func override(m, by map[string]any) map[string]any {
	for name, value := range by {
		if value == nil {
			delete(m, name)
		} else {
			m[name] = value
		}
	}
	return m
}

// find gives the user of that name.
func (p *Provider) find(name string) (*User, error) {
	if u := p.storage.user(name); u != nil {
		return u, nil
	}
	var names []string
	for _, u := range p.options.Users {
		names = append(names, u.Username)
	}
	return nil, fmt.Errorf("oidctest: there is no user %q, only %s", name, strings.Join(names, ", "))
}

// known is find for tests: it ends the test if there is no such user.
func (p *Provider) known(tb testing.TB, name string) *User {
	tb.Helper()
	u, err := p.find(name)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}
