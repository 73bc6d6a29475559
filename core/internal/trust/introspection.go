package trust

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/sync/singleflight"
)

const (
	// keepIntrospected is how long an opaque token counts without asking again: as
	// long may one be used that the provider has revoked.
	keepIntrospected = time.Minute
	// keepRefused is how long a refusal counts without asking again.
	keepRefused = 10 * time.Second
)

// introspection asks the provider about opaque tokens (RFC 7662).
type introspection struct {
	trust   *Trust
	flights singleflight.Group
	turns   *turns
	valid   validBefore
}

func newIntrospection(t *Trust) *introspection {
	return &introspection{trust: t, turns: newTurns(t.MaxIntrospections)}
}

// ask gives what the provider says of a token, if that makes it valid. However
// many callers bring one token, one question is asked.
func (i *introspection) ask(ctx context.Context, raw string, name tokenName) (*claim.Set, error) {
	raw = strings.Clone(raw) // the question may outlast the caller, whose buffer it is in
	flight := i.flights.DoChan(string(name[:]), func() (any, error) {
		var c *claim.Set
		var verdict error
		// What becomes of the task itself says nothing about the token.
		if err := i.trust.Tasks.Do(func(ctx context.Context) error {
			c, verdict = i.askInTurn(ctx, raw, name)
			return nil
		}); err != nil {
			return c, errIntrospection.From(err)
		}
		return c, verdict
	})
	select {
	case result := <-flight:
		return result.Val.(*claim.Set), result.Err
	case <-ctx.Done():
		return nil, errIntrospection.From(ctx.Err())
	}
}

var errIntrospection = fault.Unavailable.New("The token can't be checked with the provider at the moment.").Soon()

// askInTurn asks about a token when it is its turn, and remembers whether it is valid.
func (i *introspection) askInTurn(ctx context.Context, raw string, name tokenName) (*claim.Set, error) {
	ctx, cancel := context.WithTimeout(ctx, i.trust.Timeout)
	defer cancel()
	done, ok := i.turns.take(ctx, i.valid.has(name))
	if !ok {
		return nil, errIntrospection.From(errors.New("too many tokens are being checked: see Config.MaxIntrospections"))
	}
	defer done()
	c, err := i.askOnce(ctx, raw)
	switch {
	case err == nil:
		i.valid.add(name)
	case !errors.Is(err, fault.Unavailable) && !errors.Is(err, fault.Provider): // it was refused
		i.valid.remove(name)
	}
	return c, err
}

func (i *introspection) askOnce(ctx context.Context, raw string) (*claim.Set, error) {
	if _, err := i.trust.Provider.Metadata(ctx); err != nil {
		return nil, err
	}
	body, err := i.trust.Provider.Introspect(ctx, raw)
	if err != nil {
		return nil, errIntrospection.From(err)
	}
	return i.read(body)
}

// read holds an introspection answer against what makes an access token valid. The
// provider knows other tokens as well, refresh tokens above all, which may live for
// months, and calls them active, too (RFC 7662 2.1).
func (i *introspection) read(body []byte) (*claim.Set, error) {
	var state struct {
		Active bool   `json:"active"`
		Type   string `json:"token_type"`
	}
	if err := json.Unmarshal(body, &state); err != nil {
		return nil, errIntrospection.From(errors.New("the answer is not a JSON object that says whether the token is active"))
	}
	if !state.Active {
		return nil, errors.New("the provider says that it is not active")
	}
	switch strings.ToLower(state.Type) {
	case "", "bearer", "access_token", string(oidc.AccessTokenType):
	default:
		return nil, errors.New("the provider says that it is not a bearer token")
	}
	claims, err := claim.Parse(withNumericDates(body))
	if err != nil {
		return nil, errIntrospection.From(err)
	}
	if err := i.trust.Own.Introspected(claims, state.Type != ""); err != nil {
		return nil, err
	}
	return claims, nil
}

// withNumericDates gives an answer in which times that are numeric strings are numbers:
// like other expiries, those of introspection come in both forms. In a JWT, a time is a
// number (RFC 7519 2).
func withNumericDates(body []byte) []byte {
	var members map[string]jsontext.Value
	if json.Unmarshal(body, &members) != nil {
		return body // parseClaims tells what is wrong
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		number := jsontext.Value(strings.Trim(string(members[name]), `"`))
		if number.IsValid() && number.Kind() == '0' {
			members[name] = number
		}
	}
	numeric, err := json.Marshal(members)
	if err != nil {
		return body
	}
	return numeric
}

// canBeToken reports whether a text can be an access token (RFC 6749 A.12), as it is sent
// in a header.
func canBeToken(raw string) bool {
	return !strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' })
}
