package core

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Token is an access token that passed every check of a guard. It is
// immutable, cheap to copy and safe for concurrent use. The zero Token is
// nobody's: Valid is false and every other method gives the zero value.
//
// It holds the claims and not the token itself, so that printing or logging it
// shows no secret.
type Token struct {
	verified *verify.Token // shared by all copies
}

// Valid reports whether there is a verified token: behind Optional it tells a
// user from an anonymous visitor.
func (t Token) Valid() bool { return t.verified != nil }

// Issuer is the iss claim: who vouches for the token.
func (t Token) Issuer() string {
	if !t.Valid() {
		return ""
	}
	return t.verified.Claims.Issuer
}

// Subject is the sub claim. A user is known by Issuer and Subject together;
// names and addresses change and are given to others.
func (t Token) Subject() string {
	if !t.Valid() {
		return ""
	}
	return t.verified.Claims.Subject
}

// Username is the name to show, "" when the token has none.
func (t Token) Username() string {
	if !t.Valid() {
		return ""
	}
	return claim.FirstText(t.verified.Claims.All(), claim.UsernameClaims)
}

// Email is the email claim, "" when the token has none. Whether it was ever
// verified is another claim, email_verified: see [Claim].
func (t Token) Email() string {
	if !t.Valid() {
		return ""
	}
	return claim.FirstText(t.verified.Claims.All(), claim.EmailClaims)
}

// ClientID is the application that the token was issued to: client_id
// (RFC 9068 2.2), or azp.
func (t Token) ClientID() string {
	if !t.Valid() {
		return ""
	}
	if c := t.verified.Claims; c.ClientID != "" {
		return c.ClientID
	} else {
		return c.AuthorizedParty
	}
}

// Actor is who acts for the subject: the outermost of the claim act (RFC 8693 4.1), whose
// fields are "" if it does not name them. nil: nobody does.
func (t Token) Actor() *Actor {
	if !t.Valid() {
		return nil
	}
	act := t.verified.Claims.All()["act"]
	if act == nil {
		return nil
	}
	named, _ := act.(map[string]any)
	return &Actor{Issuer: claim.Text(named["iss"]), Subject: claim.Text(named["sub"])}
}

// SessionID is the sid claim, the login session at the issuer, "" when the
// token has none.
func (t Token) SessionID() string {
	if !t.Valid() {
		return ""
	}
	return t.verified.Claims.Text("sid")
}

// Expiry is the exp claim, and the zero time for an opaque token of which the
// provider does not say when it ends.
func (t Token) Expiry() time.Time {
	if !t.Valid() {
		return time.Time{}
	}
	return t.verified.Claims.Expires.Time
}

// GoodUntil is when guards begin to refuse the token: its exp and Config.Leeway. It is
// the deadline of a stream or connection that was opened with the token. Zero: the token
// is not Valid, or an opaque one of which the provider does not say when it ends.
func (t Token) GoodUntil() time.Time {
	end := t.Expiry()
	if end.IsZero() {
		return end
	}
	return end.Add(t.verified.By.Leeway)
}

// Scopes are the granted scopes (claim scope, RFC 8693 4.2, or scp), a copy; of a token
// of a further issuer, what Issuer.Scopes makes of them.
func (t Token) Scopes() []string {
	if !t.Valid() {
		return nil
	}
	return slices.Clone(t.verified.Scopes())
}

// HasScope reports whether the token has this scope.
func (t Token) HasScope(scope string) bool {
	return t.Valid() && slices.Contains(t.verified.Scopes(), scope)
}

// Roles are the flat roles, a sorted copy: of a token of the provider's, what
// Provider.RoleClaims finds; of a token that the broker has minted, roles alone; of one
// of a further issuer, what Issuer.Roles makes of that.
func (t Token) Roles() []string {
	if !t.Valid() {
		return nil
	}
	return slices.Clone(t.verified.Roles())
}

// HasRole reports whether the flat roles have this one.
func (t Token) HasRole(role string) bool {
	return t.Valid() && slices.Contains(t.verified.Roles(), role)
}

// Decode puts the claims into v, a pointer to a struct or a map, as
// github.com/go-json-experiment/json does: by the same tags as encoding/json,
// but names match exactly, and types strictly. On a Token that is not Valid it
// fails with [ErrMissingToken].
func (t Token) Decode(v any) error {
	if !t.Valid() {
		return ErrMissingToken.because("There is no token to decode.")
	}
	if err := json.Unmarshal(t.verified.Claims.Payload, v); err != nil {
		return fmt.Errorf("decoding the claims: %w", err)
	}
	return nil
}

// LogValue shows who the token stands for, and no claim besides.
func (t Token) LogValue() slog.Value {
	if !t.Valid() {
		return slog.StringValue("anonymous")
	}
	return slog.GroupValue(
		slog.String("issuer", t.Issuer()),
		slog.String("subject", t.Subject()),
		slog.String("client_id", t.ClientID()),
		slog.Time("expiry", t.Expiry()),
	)
}

// String is LogValue for fmt.
func (t Token) String() string { return t.LogValue().String() }

// GoString keeps %#v from showing more than String.
func (t Token) GoString() string { return t.String() }

type tokenKey struct{}

// WithToken gives a context that carries the token, for adapters.
func WithToken(ctx context.Context, token Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// TokenFrom gives the token that a guard put into the context of a request,
// and the zero Token where there is none.
func TokenFrom(ctx context.Context) Token {
	token, _ := ctx.Value(tokenKey{}).(Token)
	return token
}

// ClaimsFrom decodes the claims of the token in the context into a T of the
// application's own:
//
//	type person struct {
//		Department string `json:"department"`
//	}
//	claims, err := core.ClaimsFrom[person](r.Context())
//
// It fails as [Token.Decode] does.
func ClaimsFrom[T any](ctx context.Context) (T, error) {
	var claims T
	err := TokenFrom(ctx).Decode(&claims)
	return claims, err
}
