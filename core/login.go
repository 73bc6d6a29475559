package core

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/browser"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/text"
	"golang.org/x/oauth2"
)

// loginRequest is what a login asks for.
type loginRequest struct {
	client      client
	redirectURI string
	kind        loginKind
	scopes      []string
	challenge   string // of a client that does PKCE itself
	state       string // of that client
	nonce       string // of that client
	maxAge      *int
	returnTo    string     // the page where a browser's login ends
	handedOn    url.Values // parameters for the provider
}

// serveLogin sends the browser to the provider.
func (a *Auth) serveLogin(w http.ResponseWriter, r *http.Request) error {
	login, err := a.readLogin(r)
	if err != nil {
		return err
	}
	m, err := a.provider.Metadata(r.Context())
	if err != nil {
		return err
	}
	if login.challenge != "" {
		nonce := login.nonce
		if !a.leavesNonce(m) {
			nonce = a.challengeNonce(login.client, login.challenge, login.redirectURI, asked{strings.Join(login.scopes, " "), login.maxAge})
		}
		a.emit(r.Context(), Event{Kind: EventLoginStart, Client: login.client.id})
		redirect(w, a.authorizationURL(m, login, login.state, nonce, login.challenge), http.StatusFound)
		return nil
	}
	state, err := a.newState(login)
	if err != nil {
		return err
	}
	sealed, err := a.sealState(state)
	if err != nil {
		return err
	}
	if state.Kind != loginNative {
		a.setCookie(w, r, sealed, state)
	}
	a.emit(r.Context(), Event{Kind: EventLoginStart, Client: login.client.id})
	redirect(w, a.authorizationURL(m, login, sealed, state.Nonce, challengeOf(state.Verifier)), http.StatusFound)
	return nil
}

// leavesNonce reports whether a client that does PKCE itself has the nonce for itself
// as well: in passthrough mode it is given the ID token, and a strict client refuses a
// nonce that it has not sent. Ours finds out a code of another login; at a provider
// that announces S256 the challenge already does.
func (a *Auth) leavesNonce(m provider.Metadata) bool {
	return a.broker == nil && m.AnnouncesS256
}

// readLogin reads and checks the query of a login.
func (a *Auth) readLogin(r *http.Request) (loginRequest, error) {
	p, err := queryParams(r)
	if err != nil {
		return loginRequest{}, err
	}
	login := loginRequest{handedOn: url.Values{}}
	if err := a.readDestination(p, &login); err != nil {
		return loginRequest{}, err
	}
	if err := a.readScopes(p, &login); err != nil {
		return loginRequest{}, err
	}
	if err := readChallenge(p, &login); err != nil {
		return loginRequest{}, err
	}
	if err := a.readHandedOn(p, &login); err != nil {
		return loginRequest{}, err
	}
	return login, nil
}

// readDestination finds out where the login leads to. What a standard OAuth
// client sends besides must agree with what we are.
func (a *Auth) readDestination(p params, login *loginRequest) error {
	id, err := p.ascii(maxOther, "client_id")
	if err != nil {
		return err
	}
	var known bool
	if login.client, known = a.clientNamed(id); !known {
		return ErrInvalidRequest.because("The client_id is not this service's; leave it out.")
	}
	for name, only := range map[string]string{"response_type": "code", "response_mode": "query"} {
		if p.has(name) && p.values.Get(name) != only {
			return ErrInvalidRequest.because("The " + name + " must be " + only + "; leave it out.")
		}
	}
	if login.redirectURI, err = p.text("redirect_uri", maxRedirect); err != nil {
		return err
	}
	if login.redirectURI == "" {
		if login.redirectURI = login.client.callback; login.redirectURI == "" {
			return ErrInvalidRequest.because("The parameter redirect_uri is missing.")
		}
	}
	if login.kind, err = login.client.redirectKind(login.redirectURI); err != nil {
		return err
	}
	return a.readReturn(p, login)
}

// readReturn finds out on which page the login of a browser ends.
func (a *Auth) readReturn(p params, login *loginRequest) (err error) {
	if a.config.Browser == nil {
		return nil
	}
	login.returnTo = p.values.Get("return_to")
	if login.returnTo == "" {
		return nil
	}
	if login.kind != loginCallback {
		return ErrInvalidRequest.because("A return_to is for logins that end at the service's own callback: leave it or the redirect_uri out.")
	}
	if err := browser.CheckReturn(login.returnTo); err != nil {
		return ErrInvalidRequest.because("The return_to " + err.Error() + ".")
	}
	return nil
}

func (a *Auth) readScopes(p params, login *loginRequest) error {
	named, err := p.words("scope", maxRedirect)
	if err != nil {
		return err
	}
	offline := false
	if text, err := p.text("offline_access", maxOther); err != nil {
		return err
	} else if text != "" {
		if offline, err = strconv.ParseBool(text); err != nil {
			return ErrInvalidRequest.because("The parameter offline_access must be true or false.")
		}
	}
	if offline && !login.client.mayAsk("offline_access") {
		return ErrInvalidScope.because("The scope is wider than this service allows.")
	}
	login.scopes, err = login.client.requestedScopes(named, offline)
	return err
}

// readChallenge finds out who does PKCE (RFC 7636).
func readChallenge(p params, login *loginRequest) error {
	var err error
	if login.challenge, err = p.ascii(maxOther, "code_challenge"); err != nil {
		return err
	}
	if login.state, err = p.ascii(maxState, "state"); err != nil {
		return err
	}
	if login.nonce, err = p.ascii(maxOther, "nonce"); err != nil {
		return err
	}
	method := p.values.Get("code_challenge_method")
	switch {
	case login.challenge == "" && method != "":
		return ErrInvalidRequest.because("The parameter code_challenge is missing.")
	case login.challenge == "" && login.state != "":
		return ErrInvalidRequest.because("A state of your own needs PKCE of your own: send code_challenge as well, or leave the state out.")
	case login.challenge == "":
		return nil
	case method != "S256":
		return ErrInvalidRequest.because("The code_challenge_method must be S256.")
	case len(login.challenge) != 43 || !isBase64URL(login.challenge):
		return ErrInvalidRequest.because("The code_challenge is not the base64url of a SHA-256 hash.")
	case login.kind == loginCallback:
		return ErrInvalidRequest.because("This redirect_uri is the service's own callback, which does PKCE itself: leave code_challenge out.")
	}
	return nil
}

func isBase64URL(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// handedOn are the standard parameters that only the provider understands (OpenID
// Connect Core 3.1.2.1).
var handedOn = []string{"prompt", "max_age", "login_hint", "ui_locales", "acr_values"}

// prompts are the values of prompt; create is of Initiating User Registration via
// OpenID Connect 1.0.
var prompts = []string{"none", "login", "consent", "select_account", "create"}

// readHandedOn collects those parameters, and those that Provider.LoginParams lists.
func (a *Auth) readHandedOn(p params, login *loginRequest) error {
	for _, name := range slices.Concat(handedOn, a.config.provider().LoginParams) {
		value, err := p.text(name, maxOther)
		if err != nil {
			return err
		}
		if value != "" {
			login.handedOn.Set(name, value)
		}
	}
	if text := login.handedOn.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return ErrInvalidRequest.because("The parameter max_age must be a number of seconds.")
		}
		age := int(seconds)
		login.maxAge = &age
		login.handedOn.Set("max_age", strconv.Itoa(age))
	}
	asked := text.Words(login.handedOn.Get("prompt"))
	for _, prompt := range asked {
		if !slices.Contains(prompts, prompt) {
			return ErrInvalidRequest.because("The parameter prompt must be one of: " + strings.Join(prompts, ", ") + ".")
		}
		if prompt == "none" && len(asked) > 1 {
			return ErrInvalidRequest.because("The prompt none can't be combined with another.")
		}
	}
	return nil
}

// newState makes what a login of ours must remember.
func (a *Auth) newState(login loginRequest) (loginState, error) {
	state := loginState{
		Kind:        login.kind,
		Client:      login.client.id,
		Provider:    a.provider.Name,
		RedirectURI: login.redirectURI,
		Scope:       strings.Join(login.scopes, " "),
		MaxAge:      login.maxAge,
		ReturnTo:    login.returnTo,
		Silent:      login.handedOn.Get("prompt") == "none",
		Expires:     a.now().Add(stateLifetime).Unix(),
	}
	var err error
	if state.Verifier, err = a.random(); err != nil {
		return loginState{}, err
	}
	if state.Nonce, err = a.random(); err != nil {
		return loginState{}, err
	}
	if state.Kind != loginNative {
		state.Binding, err = a.newBinding()
	}
	return state, err
}

// authorizationURL is where the browser goes: the authorization request of
// RFC 6749 4.1.1 with PKCE and a nonce. What is configured takes the place of what
// the request asks for: anybody can write a link to the login route.
func (a *Auth) authorizationURL(m provider.Metadata, login loginRequest, state, nonce, challenge string) string {
	extra := cloneValues(login.handedOn)
	maps.Copy(extra, a.config.provider().AuthParams)
	client := oauth2.Config{
		ClientID: a.config.provider().ClientID, RedirectURL: login.redirectURI, Scopes: login.scopes,
		Endpoint: oauth2.Endpoint{AuthURL: address.WithParams(m.AuthorizationEndpoint, extra)},
	}
	options := []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("code_challenge", challenge),
		oauth2.SetAuthURLParam("code_challenge_method", "S256"),
	}
	if nonce != "" {
		options = append(options, oauth2.SetAuthURLParam("nonce", nonce))
	}
	return client.AuthCodeURL(state, options...)
}
