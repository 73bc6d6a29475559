package oidctest

import (
	"net/url"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// grant is what a person has allowed: the client acts for them with these
// scopes. It is what op makes an ID token of.
type grant struct {
	user     *User
	clientID string
	session  string // the sid claim
	authTime time.Time
	scopes   []string
}

var _ op.IDTokenRequest = (*grant)(nil)

func (g *grant) GetAMR() []string       { return []string{"pwd"} }
func (g *grant) GetAudience() []string  { return []string{g.clientID} }
func (g *grant) GetAuthTime() time.Time { return g.authTime }
func (g *grant) GetClientID() string    { return g.clientID }
func (g *grant) GetScopes() []string    { return g.scopes }
func (g *grant) GetSubject() string     { return g.user.Subject }

func (g *grant) allows(scope string) bool { return slices.Contains(g.scopes, scope) }

// signIn is an authorization request from the time it arrives until its code is
// used. The embedded grant is empty until somebody has signed in.
type signIn struct {
	grant
	id      string
	request *oidc.AuthRequest
	hint    string // the subject that id_token_hint names
	expires time.Time
}

var _ op.AuthRequest = (*signIn)(nil)

func (s *signIn) GetID() string                      { return s.id }
func (s *signIn) GetACR() string                     { return "" }
func (s *signIn) GetNonce() string                   { return s.request.Nonce }
func (s *signIn) GetRedirectURI() string             { return s.request.RedirectURI }
func (s *signIn) GetResponseType() oidc.ResponseType { return s.request.ResponseType }
func (s *signIn) GetResponseMode() oidc.ResponseMode { return s.request.ResponseMode }
func (s *signIn) GetState() string                   { return s.request.State }
func (s *signIn) Done() bool                         { return s.user != nil }

func (s *signIn) GetCodeChallenge() *oidc.CodeChallenge {
	if s.request.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: s.request.CodeChallenge, Method: s.request.CodeChallengeMethod}
}

// accessRequest is a grant as op makes an access token of it. It counts as a
// request to refresh even the first time, because for any other kind op gives
// out a refresh token only when offline_access was asked for.
type accessRequest struct {
	grant
	audience []string
	opaque   bool
}

var _ op.RefreshTokenRequest = (*accessRequest)(nil)

func (a *accessRequest) GetAudience() []string            { return a.audience }
func (a *accessRequest) SetCurrentScopes(scopes []string) { a.scopes = scopes }

func (a *accessRequest) GetSubject() string {
	if a.opaque {
		// op finds the end of the token id within an opaque token by a colon
		// and takes no other; the subject that follows is not used.
		return url.QueryEscape(a.grant.GetSubject())
	}
	return a.grant.GetSubject()
}
