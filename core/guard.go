package core

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Guard rejects requests without a valid access token. Make one at start with
// [Auth.Required], [Auth.Optional] or [Auth.Pages] and use it for every request; it is
// safe for concurrent use.
type Guard struct {
	auth      *Auth
	optional  bool
	refuseBad bool
	pages     bool // what it answers is for people
	rules     []verify.Rule
	scopes    string // all that the constraints demand
	resource  string // whose guard it is; "": that of Broker.Audience
	metadata  string // where the resource's metadata is; "": nowhere
}

// Required makes a guard that demands a valid access token which satisfies all the
// constraints, those of Config.Require included. It panics on a malformed
// constraint (see [Constraint]) and on [RefuseBadTokens], which is for [Auth.Optional]:
// both are mistakes in the program.
func (a *Auth) Required(constraints ...Constraint) *Guard {
	for _, c := range constraints {
		if c.refuseBad {
			panic("oidcgate: core.RefuseBadTokens is for Optional: Required always refuses them")
		}
	}
	return a.guard(constraints)
}

// Optional makes a guard that lets requests without a token through as
// anonymous, and as well those with a token that is invalid or fails one of the
// constraints (as in [Auth.Required]), unless [RefuseBadTokens] is among them. It panics
// on a malformed constraint.
func (a *Auth) Optional(constraints ...Constraint) *Guard {
	g := a.guard(constraints)
	g.optional = true
	return g
}

// Pages makes a guard for pages that people open with a browser (see [Browser]). It is
// Required, but for its answers to a navigation (Sec-Fetch-Mode navigate, or an Accept that
// prefers HTML):
//   - without a valid session, a GET leads to the login route, with the page in return_to, and
//     from there back to the page. A person who sends a form is told that it was not sent, and how to
//     send it again;
//   - other errors are pages.
//
// A request with an Authorization header gets the answers of Required. What the handler
// answers is not cached (see [Guard.CacheControl]).
//
// It panics as Required does, and without Config.Browser.
func (a *Auth) Pages(constraints ...Constraint) *Guard {
	if a.config.Browser == nil {
		panic("oidcgate: core.Auth.Pages needs Config.Browser: without it a login does not end on a page; set it, or use Required")
	}
	g := a.Required(constraints...)
	g.pages = true
	return g
}

func (a *Auth) guard(constraints []Constraint) *Guard {
	g := &Guard{auth: a, rules: rulesOf(constraints)}
	for _, c := range slices.Concat(a.config.Require, constraints) {
		if err := c.check(); err != nil {
			panic("oidcgate: " + err.Error())
		}
		g.refuseBad = g.refuseBad || c.refuseBad
	}
	var err error
	if g.resource, err = a.resourceOf(constraints); err != nil {
		panic("oidcgate: " + err.Error())
	}
	g.metadata = a.metadataOf(g.resource)
	g.scopes = strings.Join(verify.NeededScopes(rulesOf(a.config.Require), g.rules), " ")
	return g
}

// Check decides about a request. It gives the verified token; behind Optional the zero
// Token for an anonymous request. Its errors are [ErrMissingToken], [ErrInvalidToken],
// [ErrInvalidRequest] (several Authorization headers, RFC 6750 3.1),
// [ErrInsufficientScope], [ErrInsufficientClaims], and [ErrUnavailable] when the
// provider's keys can't be had, or with Broker.CheckSession the store can't tell whether
// the token's session has ended; answer them with [WriteError].
//
// Check keeps nothing of the request, so that its strings may be views of a buffer that
// is used again. For a token that was verified before, and a session that was looked up
// before, it allocates nothing. It waits for the provider only while no keys are known, or
// for a token that is signed with a key not seen before, and for the store only to look up
// a session: until ctx ends, or each of the calls that are needed has taken
// Config.Timeout.
func (g *Guard) Check(ctx context.Context, request Request) (Token, error) {
	token, err := g.check(ctx, request)
	g.auth.complaints.note(ctx, "guards", err)
	if err == nil {
		return token, nil
	}
	over := errors.Is(err, broker.ErrSessionEnded) // which is no attack
	err = asError(err)
	refused := errors.Is(err, ErrInvalidToken) || errors.Is(err, ErrInvalidRequest) || errors.Is(err, ErrCrossSite) ||
		errors.Is(err, ErrInsufficientScope) || errors.Is(err, ErrInsufficientClaims)
	if refused && !over {
		event := Event{Kind: EventToken, Subject: token.Subject(), Client: token.ClientID(), Session: token.SessionID()}
		if token.Valid() && token.verified.By != g.auth.trust.Own {
			event.Issuer = token.Issuer() // a subject is somebody else at each
		}
		g.auth.observe(ctx, event, err)
	}
	if g.optional && (errors.Is(err, ErrMissingToken) || refused && !g.refuseBad) {
		return Token{}, nil
	}
	err = g.challenging(err)
	if g.pages {
		err = g.auth.forPage(request, err)
	}
	return Token{}, err
}

func (g *Guard) challenging(err error) error {
	return g.auth.challenging(err, g.scopes, g.metadata)
}

// challenging puts into the error of a guard, or of a route behind one, what the answer
// tells in WWW-Authenticate: the realm, for a 401 the scopes that are needed, and where
// a client learns how to get a token that is good enough (RFC 9728 5.1).
func (a *Auth) challenging(err error, scopes, metadata string) error {
	var e *Error
	if err = asError(err); !errors.As(err, &e) || e == nil || !e.challenges() {
		return err
	}
	c := *e
	c.realm = a.config.PublicURL
	if c.Status == http.StatusUnauthorized && c.Scope == "" {
		c.Scope = scopes
	}
	if c.Status != http.StatusBadRequest {
		c.metadata = metadata
	}
	return &c
}

// check gives the token also with the error of one that is genuine.
func (g *Guard) check(ctx context.Context, request Request) (Token, error) {
	if len(request.Authorization) == 0 && g.auth.config.Browser != nil {
		token, err := g.auth.browserToken(ctx, request)
		if err != nil {
			return Token{}, err
		}
		return token, g.judge(token)
	}
	raw, err := bearer(request.Authorization)
	if err != nil {
		return Token{}, err
	}
	token, err := g.auth.verify(ctx, raw, g.resource)
	if err != nil {
		return Token{}, err
	}
	if broker := g.auth.config.Broker; broker != nil && broker.CheckSession > 0 {
		if err := g.auth.checkSession(ctx, token); err != nil {
			return token, err
		}
	}
	return token, g.judge(token)
}

func (g *Guard) judge(token Token) error {
	return judge(token, token.verified.By.Require, g.rules)
}

// Judge decides about a token that was verified before, by the constraints alone: the
// guard's, those of Config.Require and those of the token's issuer (Issuer.Require).
// It is for where there is no request to check: a field of a GraphQL query, a message
// on an open stream, the token that stands behind an API key. The token must be one
// that this guard's [Auth] has verified, or the zero Token.
//
// Its errors are [ErrMissingToken] for the zero Token, [ErrInvalidToken] for a token that
// is for another resource than the guard ([Resource]), [ErrInsufficientScope] and
// [ErrInsufficientClaims], as those of Check. Behind [Auth.Optional] the zero Token
// passes, since nobody has to sign in there. A token that fails is an error behind
// Optional as well, whether or not Check would take it for an anonymous visitor's: what
// becomes of its user is for the program to say.
//
// Judge makes no calls and no event, and does not look whether the token is still valid:
// see [Token.GoodUntil].
func (g *Guard) Judge(token Token) error {
	switch {
	case token.Valid():
		if err := admit(token, g.resource); err != nil {
			return g.challenging(err)
		}
		return g.challenging(g.judge(token))
	case g.optional:
		return nil
	}
	return g.challenging(ErrMissingToken)
}

// Scopes are all scopes that the guard demands, those of Config.Require included, each
// once: for documents such as OpenAPI. It is a copy, and nil where none are needed.
// Further scopes that only tokens of one issuer need (Issuer.Require) are not among
// them.
func (g *Guard) Scopes() []string {
	if g.scopes == "" {
		return nil
	}
	return strings.Split(g.scopes, " ")
}

// bearer finds the token in the values of the Authorization header (RFC 6750
// 2.1).
func bearer(authorization []string) (string, error) {
	if len(authorization) > 1 {
		return "", ErrInvalidRequest.because("The request has more than one Authorization header.").as(formChallenge)
	}
	if len(authorization) == 1 {
		scheme, rest, _ := strings.Cut(authorization[0], " ")
		if raw := strings.TrimLeft(rest, " "); strings.EqualFold(scheme, "Bearer") && raw != "" {
			return raw, nil
		}
	}
	return "", ErrMissingToken.because("A bearer token is needed in the Authorization header.")
}

// Handler guards next, with the token in the context of the request (see
// [TokenFrom]). It is what the adapters for net/http routers give as their
// middleware.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := g.Check(r.Context(), RequestOf(r))
		if err != nil {
			WriteError(w, err)
			return
		}
		if value := g.CacheControl(); value != "" {
			w.Header().Set("Cache-Control", value)
		}
		next.ServeHTTP(w, r.WithContext(WithToken(r.Context(), token)))
	})
}

// CacheControl is the Cache-Control (RFC 9111 5.2) of what a handler behind the guard answers,
// unless the handler sets another: so that after a logout nothing is left behind the back
// button. It is for adapters, which set it before the handler runs. "", as for every guard but
// that of [Auth.Pages], leaves the answer as it is.
func (g *Guard) CacheControl() string {
	if !g.pages {
		return ""
	}
	return noStore
}

// Verify decides whether an access token of at most 16 KiB is valid by itself (RFC
// 7519 7.2, RFC 9068 4): no constraint is applied, not even those of Config.Require.
// With a [Broker] it must be for Broker.Audience: one that is narrowed to another of
// Broker.Resources is for the guards of that [Resource].
//
// Verify is for tokens that arrive by another way than a request's header, over a
// message queue for example. Like [Guard.Check] it may be called concurrently, keeps
// nothing of raw, and seldom waits for the provider. Its errors are
// [ErrInvalidToken] and [ErrUnavailable].
func (a *Auth) Verify(ctx context.Context, raw string) (Token, error) {
	return a.verify(ctx, raw, "")
}

// verify is Verify for a resource of the application; "" is Broker.Audience.
func (a *Auth) verify(ctx context.Context, raw, resource string) (Token, error) {
	verified, err := a.trust.Verify(ctx, raw)
	if err != nil {
		return Token{}, tokenError(err)
	}
	token := Token{verified}
	if err := admit(token, resource); err != nil {
		return Token{}, err
	}
	return token, nil
}

// admit refuses a verified token that is for another resource.
func admit(token Token, resource string) error {
	if err := token.verified.By.Audience.Admits(token.verified.Claims, resource); err != nil {
		return tokenError(err)
	}
	return nil
}

// tokenError is what a caller is told when a token was not accepted. That keys
// can't be had, for whatever reason, says nothing about the token.
func tokenError(err error) error {
	reason, unavailable := verify.Reason(err)
	if unavailable != nil {
		return asError(unavailable)
	}
	e := ErrInvalidToken.because("The access token is invalid: " + reason + ".")
	if detail := verify.Detail(err); detail != nil {
		e = e.from(detail)
	}
	return e
}
