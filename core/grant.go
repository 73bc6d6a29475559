package core

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// grant serves one grant type of the token route and gives the tokens and
// whose they are.
type grant struct {
	event EventKind
	serve func(a *Auth, w http.ResponseWriter, r *http.Request, p tokenRequest) (body tokenBody, whose broker.Party, err error)
	// fields are the spellings of the parameter that tells this grant from the
	// others when there is no grant_type.
	fields []string
}

// tokenRequest is a request to the token route, with the client that sends it.
type tokenRequest struct {
	params
	client client
}

var grants = map[oidc.GrantType]grant{
	oidc.GrantTypeCode:         {EventLogin, (*Auth).codeGrant, []string{"code"}},
	oidc.GrantTypeRefreshToken: {EventRefresh, (*Auth).refreshGrant, []string{"refresh_token", "refresh-token"}},
	oidc.GrantTypeDeviceCode:   {EventLogin, (*Auth).deviceGrant, []string{"device_code", "device-code"}},
	// Only where it is switched on; see hasGrant.
	oidc.GrantTypeTokenExchange: {EventExchange, (*Auth).exchangeGrant, []string{"subject_token"}},
}

func (a *Auth) hasGrant(name oidc.GrantType) bool {
	return name != oidc.GrantTypeTokenExchange || a.broker != nil && a.config.Broker.Exchange
}

// serveToken is the token route (RFC 6749 3.2).
func (a *Auth) serveToken(w http.ResponseWriter, r *http.Request) error {
	p, err := formParams(w, r)
	if err != nil {
		return err
	}
	c, err := a.authenticate(r, p)
	if err != nil {
		return err
	}
	grant, err := a.chooseGrant(p)
	if err != nil {
		return err
	}
	body, whose, err := grant.serve(a, w, r, tokenRequest{p, c})
	a.observe(r.Context(), Event{Kind: grant.event, Subject: whose.Subject, Client: c.id, Session: whose.Session}, err)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// chooseGrant tells the grant from grant_type, or else from the one field that
// is there. A request for two grants at once is a mistake, whichever it names.
func (a *Auth) chooseGrant(p params) (grant, error) {
	var asked []oidc.GrantType
	for name, candidate := range grants {
		if a.hasGrant(name) && slices.ContainsFunc(candidate.fields, p.has) {
			asked = append(asked, name)
		}
	}
	if named := oidc.GrantType(p.values.Get("grant_type")); named != "" {
		if _, ok := grants[named]; !ok || !a.hasGrant(named) {
			return grant{}, ErrUnsupportedGrant.because("The grant_type is not one that this service has.")
		}
		if !slices.Contains(asked, named) {
			asked = append(asked, named) // it will say what it needs
		}
	}
	switch {
	case len(asked) == 1:
		return grants[asked[0]], nil
	case len(asked) > 1:
		return grant{}, ErrInvalidRequest.because("Only one of code, refresh_token and device_code may be sent.")
	case p.has("subject_token"):
		return grant{}, ErrUnsupportedGrant.because("Token exchange is not switched on.")
	}
	return grant{}, ErrInvalidRequest.because("One of code, refresh_token and device_code is needed.")
}

// refreshGrant refreshes one of the broker's tokens, or hands the provider's on
// (RFC 6749 6). No scope is sent but what the client asks for: strict providers refuse
// the configured ones, and they would widen a narrower grant.
func (a *Auth) refreshGrant(_ http.ResponseWriter, r *http.Request, p tokenRequest) (tokenBody, broker.Party, error) {
	token, err := p.ascii(maxToken, "refresh_token", "refresh-token")
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	if token == "" {
		return tokenBody{}, broker.Party{}, ErrInvalidRequest.because("The parameter refresh_token is missing.")
	}
	if a.broker != nil {
		wanted, err := a.readRefresh(p.params)
		if err != nil {
			return tokenBody{}, broker.Party{}, err
		}
		tokens, whose, err := a.broker.Refresh(r.Context(), p.client.id, token, wanted)
		return a.bodyOf(tokens, whose, err)
	}
	scopes, err := readScopes(p.params)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	for _, scope := range scopes {
		// Some providers grant at a refresh what was never granted before.
		if !p.client.mayAsk(scope) && !slices.Contains(p.client.scopes, scope) {
			return tokenBody{}, broker.Party{}, ErrInvalidScope.because("The scope is wider than this service allows.")
		}
	}
	if err := a.readyForTokens(r.Context()); err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	answer, err := a.provider.Refresh(r.Context(), token, scopes)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	answer.RefreshToken = cmp.Or(answer.RefreshToken, token) // RFC 6749 6: it stays valid
	answer.Scope = cmp.Or(answer.Scope, strings.Join(scopes, " "))
	return a.accept(r.Context(), p.client, broker.Device{}, answer, nil, broker.Narrowing{})
}

// deviceGrant polls once for a device login (RFC 8628 3.4).
func (a *Auth) deviceGrant(_ http.ResponseWriter, r *http.Request, p tokenRequest) (tokenBody, broker.Party, error) {
	code, err := p.ascii(maxToken, "device_code", "device-code")
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	if code == "" {
		return tokenBody{}, broker.Party{}, ErrInvalidRequest.because("The parameter device_code is missing.")
	}
	var login deviceLogin
	if !openText(a.devices, devicePrefix, code, &login) || !a.isOf(login.Client, p.client) || login.Provider != a.provider.Name {
		return tokenBody{}, broker.Party{}, ErrInvalidGrant.because("The device code is not one of this service. Begin again.")
	}
	wanted, err := a.readTarget(p.params)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	if err := a.readyForTokens(r.Context()); err != nil {
		return tokenBody{}, broker.Party{}, pollingError(err)
	}
	answer, err := a.provider.PollDevice(r.Context(), login.Code, login.Verifier)
	if err != nil {
		return tokenBody{}, broker.Party{}, pollingError(err)
	}
	answer.Asked = login.Scope
	body, whose, err := a.accept(r.Context(), p.client, a.deviceOf(r), answer, nil, wanted)
	return body, whose, pollingError(err)
}

// pollingError gives an error the form that clients which poll understand: a
// refusal is 400 (RFC 8628 3.5), and of a provider that is down they are not
// told by a code, since they take one they don't know for the end.
func pollingError(err error) error {
	var e *Error
	if err = asError(err); !errors.As(err, &e) {
		return err
	}
	if errors.Is(e, ErrUnavailable) {
		return e.as(formPolling)
	}
	if e.Status == http.StatusForbidden {
		refused := *e
		refused.Status = http.StatusBadRequest
		return &refused
	}
	return e
}

// bodyOf makes the body of tokens that the broker gave, if it did.
func (a *Auth) bodyOf(tokens broker.Tokens, whose broker.Party, err error) (tokenBody, broker.Party, error) {
	if err != nil {
		return tokenBody{}, whose, err
	}
	return a.tokenBody(tokens), whose, nil
}
