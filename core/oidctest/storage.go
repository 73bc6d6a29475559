package oidctest

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// codeLifetime is how long an authorization code is good for, and pageLifetime
// how long a person may look at the login page.
const (
	codeLifetime = time.Minute
	pageLifetime = 30 * time.Minute
)

// storage is all that the provider remembers, in the form that op asks for it.
type storage struct {
	options *Options
	keys    *keyring

	mu       sync.Mutex
	signIns  map[string]*signIn        // by id, until the code is given out
	codes    map[string]*signIn        // by code
	access   map[string]*accessToken   // by token id
	families map[string]*family        // by every refresh token that was ever part of it
	sessions map[string]*session       // by the value of the browser's cookie
	devices  map[string]*deviceRequest // by device code

	// For Options.Secret:
	started  time.Time
	restored map[string]bool         // the refresh tokens that find has taken up
	endings  []func(sid string) bool // the sessions that have been ended
}

type accessToken struct {
	grant
	audience        []string
	issued, expires time.Time
	family          *family
}

// family is a refresh token and its successors.
type family struct {
	grant
	live    string // the one that can be used
	expires time.Time
}

// session is a browser that somebody has signed in with.
type session struct {
	user     *User
	id       string // the sid claim
	authTime time.Time
}

var (
	_ op.Storage                        = (*storage)(nil)
	_ op.DeviceAuthorizationStorage     = (*storage)(nil)
	_ op.CanSetUserinfoFromRequest      = (*storage)(nil)
	_ op.CanGetPrivateClaimsFromRequest = (*storage)(nil)
)

func newStorage(o *Options) *storage {
	return &storage{
		options:  o,
		keys:     &keyring{options: o},
		signIns:  map[string]*signIn{},
		codes:    map[string]*signIn{},
		access:   map[string]*accessToken{},
		families: map[string]*family{},
		sessions: map[string]*session{},
		devices:  map[string]*deviceRequest{},
		started:  time.Now(),
		restored: map[string]bool{},
	}
}

var (
	errUnknown  = errors.New("unknown or expired")
	errDisabled = errors.New("not offered")
)

func (s *storage) user(name string) *User {
	for i := range s.options.Users {
		if s.options.Users[i].Username == name {
			return &s.options.Users[i]
		}
	}
	return nil
}

// Signing in.

func (s *storage) CreateAuthRequest(_ context.Context, request *oidc.AuthRequest, hint string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	stale := func(_ string, si *signIn) bool { return now.After(si.expires) }
	maps.DeleteFunc(s.signIns, stale)
	maps.DeleteFunc(s.codes, stale)
	si := &signIn{id: rand.Text(), request: request, hint: hint, expires: now.Add(pageLifetime)}
	s.signIns[si.id] = si
	return si, nil
}

func (s *storage) pending(id string) *signIn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if si := s.signIns[id]; si != nil && time.Now().Before(si.expires) {
		return si
	}
	return nil
}

// finish ends the wait for a person: session says who it was, and is nil if the
// sign-in failed. It reports false if somebody else was faster.
func (s *storage) finish(si *signIn, by *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signIns[si.id] != si {
		return false
	}
	delete(s.signIns, si.id)
	if by != nil {
		si.grant = s.grantTo(by, si.request.Scopes)
	}
	return true
}

func (s *storage) grantTo(by *session, scopes []string) grant {
	return grant{user: by.user, clientID: s.options.ClientID, session: by.id, authTime: by.authTime, scopes: scopes}
}

func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	if si := s.pending(id); si != nil {
		return si, nil
	}
	return nil, errUnknown
}

func (s *storage) SaveAuthCode(context.Context, string, string) error { return errDisabled }

func (s *storage) newCode(si *signIn) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := rand.Text()
	si.expires = time.Now().Add(codeLifetime)
	s.codes[code] = si
	return code
}

// AuthRequestByCode uses the code up, whatever comes of the exchange: a code
// that was sent once may be known to others (RFC 6749, section 4.1.2).
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	si := s.codes[code]
	delete(s.codes, code)
	if si == nil || time.Now().After(si.expires) {
		return nil, errUnknown
	}
	return si, nil
}

func (s *storage) DeleteAuthRequest(context.Context, string) error { return nil }

// Tokens.

func (s *storage) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return "", time.Time{}, errDisabled
}

func (s *storage) CreateAccessAndRefreshTokens(_ context.Context, request op.TokenRequest, refresh string) (string, string, time.Time, error) {
	r, ok := request.(*accessRequest)
	if !ok {
		return "", "", time.Time{}, errDisabled
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(s.access, func(_ string, t *accessToken) bool { return now.After(t.expires) })

	f := &family{grant: r.grant}
	var err error
	if refresh != "" {
		// op looked the refresh token up before; another request may have used
		// it since.
		if f, err = s.family(refresh); err != nil {
			return "", "", time.Time{}, err
		}
	}
	if refresh == "" || s.options.StrictRefresh {
		expires := now.Add(s.options.RefreshTokenLifetime)
		if f.live, err = s.newRefreshToken(f.grant, expires); err != nil {
			return "", "", time.Time{}, err
		}
		f.expires = expires
		s.families[f.live] = f
	}
	id := rand.Text()
	t := &accessToken{grant: r.grant, audience: r.audience, issued: now, expires: now.Add(s.options.AccessTokenLifetime), family: f}
	s.access[id] = t
	return id, f.live, t.expires, nil
}

// family finds the family of a refresh token that can be used. One that was
// rotated out ends the family.
func (s *storage) family(refresh string) (*family, error) {
	f := s.find(refresh)
	if f == nil || time.Now().After(f.expires) {
		return nil, oidc.ErrInvalidGrant().WithDescription("the refresh token is unknown, expired or revoked")
	}
	if f.live != refresh {
		s.endFamilies(func(other *family) bool { return other == f })
		return nil, oidc.ErrInvalidGrant().WithDescription("the refresh token was used before")
	}
	return f, nil
}

func (s *storage) endFamilies(which func(*family) bool) {
	maps.DeleteFunc(s.families, func(_ string, f *family) bool { return which(f) })
}

func (s *storage) TokenRequestByRefreshToken(_ context.Context, refresh string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.family(refresh)
	if err != nil {
		return nil, err
	}
	return s.accessRequest(f.grant), nil
}

func (s *storage) accessRequest(g grant) *accessRequest {
	return &accessRequest{grant: g, audience: s.options.Audience, opaque: s.options.OpaqueTokens}
}

func (s *storage) refreshExpiry(refresh string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.families[refresh]; f != nil {
		return f.expires
	}
	return time.Time{}
}

func (s *storage) GetRefreshTokenInfo(_ context.Context, _, token string) (string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.find(token)
	if f == nil {
		return "", "", op.ErrInvalidRefreshToken
	}
	return f.user.Subject, token, nil
}

// RevokeToken ends an access token, or a refresh token together with all that
// came of it (RFC 7009, section 2.1). An unknown one is no error.
func (s *storage) RevokeToken(_ context.Context, token, _, _ string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.access, token)
	if f := s.find(token); f != nil {
		s.endFamilies(func(other *family) bool { return other == f })
		maps.DeleteFunc(s.access, func(_ string, t *accessToken) bool { return t.family == f })
	}
	return nil
}

func (s *storage) accessToken(id string) *accessToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.access[id]; t != nil && time.Now().Before(t.expires) {
		return t
	}
	return nil
}

// Claims.

// privateClaims are the claims of an access token that op does not set itself.
func privateClaims(g *grant) map[string]any {
	claims := maps.Clone(g.user.Claims)
	claims["scope"] = strings.Join(g.scopes, " ")
	claims["azp"] = g.clientID
	claims["typ"] = "Bearer"
	claims["sid"] = g.session
	return claims
}

func (s *storage) GetPrivateClaimsFromRequest(_ context.Context, request op.TokenRequest, _ []string) (map[string]any, error) {
	r, ok := request.(*accessRequest)
	if !ok {
		return nil, errDisabled
	}
	return privateClaims(&r.grant), nil
}

func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, errDisabled
}

func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, request op.IDTokenRequest, _ []string) error {
	var g *grant
	switch r := request.(type) {
	case *grant:
		g = r
	case *signIn:
		g = &r.grant
	default:
		return errDisabled
	}
	info.Subject = g.user.Subject
	info.Claims = maps.Clone(g.user.Claims)
	info.Claims["sid"] = g.session
	return nil
}

// SetUserinfoFromScopes does nothing: op calls SetUserinfoFromRequest as well.
func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, _, _ string) error {
	t := s.accessToken(id)
	if t == nil {
		return errUnknown
	}
	info.Subject, info.Claims = t.user.Subject, t.user.Claims
	return nil
}

func (s *storage) SetIntrospectionFromToken(_ context.Context, answer *oidc.IntrospectionResponse, id, _, _ string) error {
	t := s.accessToken(id)
	if t == nil {
		return errUnknown
	}
	answer.Subject = t.user.Subject
	answer.Username = t.user.Username
	answer.Claims = privateClaims(&t.grant)
	answer.Scope = t.scopes
	answer.ClientID = t.clientID
	answer.Audience = t.audience
	answer.TokenType = oidc.BearerToken
	answer.Issuer = s.options.Issuer
	answer.JWTID = id
	answer.IssuedAt = oidc.FromTime(t.issued)
	answer.Expiration = oidc.FromTime(t.expires)
	return nil
}

// Keys.

func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.keys.signer() }

func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.options.SigningAlgorithm)}, nil
}

func (s *storage) KeySet(context.Context) ([]op.Key, error) {
	key, err := s.keys.signer()
	if err != nil {
		return nil, err
	}
	return []op.Key{publicKey{key}}, nil
}

func (s *storage) Health(context.Context) error { return nil }

// What op could do and this provider does not offer.

func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errDisabled
}

func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errDisabled
}

func (s *storage) TerminateSession(context.Context, string, string) error { return errDisabled }
