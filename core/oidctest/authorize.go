package oidctest

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// authorize is the authorization endpoint. As long as it is not sure where the
// answer may go, whatever is wrong is shown to the person instead.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	request, err := op.ParseAuthorizeRequest(r, p.op.Decoder())
	switch {
	case err != nil:
		refuse(w, "The authorization request cannot be read.", err.Error())
		return
	case request.ClientID != p.ClientID:
		refuse(w, "There is no client with this client_id.", request.ClientID)
		return
	case !p.options.registered(request.RedirectURI):
		refuse(w, "The redirect_uri is not registered.", request.RedirectURI)
		return
	}
	subject, err := p.checkAuthorize(r, request)
	if err != nil {
		p.redirectError(w, r, request, err)
		return
	}
	created, err := p.storage.CreateAuthRequest(r.Context(), request, subject)
	if err != nil {
		p.redirectError(w, r, request, err)
		return
	}
	si := created.(*signIn)
	if by := p.session(r); si.acceptsSession(by) {
		p.answer(w, r, si, by)
		return
	}
	if slices.Contains(request.Prompt, oidc.PromptNone) {
		p.storage.finish(si, nil)
		p.redirectError(w, r, request, oidc.ErrLoginRequired().WithDescription("nobody is signed in at the provider, or not recently enough"))
		return
	}
	http.Redirect(w, r, p.prefix+LoginPath+"?request="+url.QueryEscape(si.id), http.StatusFound)
}

// checkAuthorize checks all but the client and the redirect URI, and returns the
// subject that an id_token_hint names.
func (p *Provider) checkAuthorize(r *http.Request, request *oidc.AuthRequest) (subject string, err error) {
	c := client{&p.options}
	switch {
	case request.RequestParam != "":
		return "", oidc.ErrRequestNotSupported().WithDescription("request objects are not offered")
	case r.FormValue("request_uri") != "":
		return "", &oidc.Error{ErrorType: "request_uri_not_supported", Description: "request objects are not offered"}
	case request.ResponseType == "":
		return "", oidc.ErrInvalidRequest().WithDescription("response_type is missing")
	case request.ResponseType != oidc.ResponseTypeCode:
		return "", &oidc.Error{ErrorType: "unsupported_response_type", Description: "the only response_type is code"}
	case request.ResponseMode != "" && request.ResponseMode != oidc.ResponseModeQuery:
		return "", oidc.ErrInvalidRequest().WithDescription("the only response_mode is query")
	case request.CodeChallenge == "" && p.options.Public:
		return "", oidc.ErrInvalidRequest().WithDescription("a public client must send a code_challenge")
	case request.CodeChallenge != "" && request.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return "", oidc.ErrInvalidRequest().WithDescription("the only code_challenge_method is S256")
	}
	if request.MaxAge, err = op.ValidateAuthReqPrompt(request.Prompt, request.MaxAge); err != nil {
		return "", err
	}
	if request.Scopes, err = op.ValidateAuthReqScopes(c, request.Scopes); err != nil {
		return "", err
	}
	return op.ValidateAuthReqIDTokenHint(r.Context(), request.IDTokenHint, p.op.IDTokenHintVerifier(r.Context()))
}

// registered tells whether a redirect URI may be used.
func (o *Options) registered(uri string) bool {
	if !absolute(uri) {
		return false
	}
	return o.RedirectURIs == nil || slices.ContainsFunc(o.RedirectURIs, func(known string) bool {
		return known == uri || sameLoopback(known, uri)
	})
}

// sameLoopback tells whether two loopback addresses differ in their port alone,
// which a native application is given anew each time.
func sameLoopback(a, b string) bool {
	ua, loopback := op.HTTPLoopbackOrLocalhost(a)
	if !loopback {
		return false
	}
	ub, err := url.Parse(b)
	if err != nil || ua.Hostname() != ub.Hostname() {
		return false
	}
	ua.Host, ub.Host = "", ""
	return ua.String() == ub.String()
}

// answer sends the browser back with a code, for the person that the session
// knows.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, si *signIn, by *session) {
	if !p.storage.finish(si, by) {
		refuse(w, "This sign-in has been answered already.", "")
		return
	}
	p.redirect(w, r, si.request, url.Values{"code": {p.storage.newCode(si)}})
}

func (p *Provider) redirectError(w http.ResponseWriter, r *http.Request, request *oidc.AuthRequest, err error) {
	e := oidc.DefaultToServerError(err, err.Error())
	answer := url.Values{"error": {string(e.ErrorType)}}
	if e.Description != "" {
		answer.Set("error_description", e.Description)
	}
	p.redirect(w, r, request, answer)
}

// redirect ends an authorization request (RFC 6749, section 4.1.2). 303, because
// the form of the login page must not be posted on to the application.
func (p *Provider) redirect(w http.ResponseWriter, r *http.Request, request *oidc.AuthRequest, answer url.Values) {
	if request.State != "" {
		answer.Set("state", request.State)
	}
	if p.options.IssParameter {
		answer.Set("iss", p.Issuer)
	}
	target, err := url.Parse(request.RedirectURI)
	if err != nil {
		refuse(w, "The redirect_uri cannot be read.", request.RedirectURI)
		return
	}
	query := target.Query()
	for name, values := range answer {
		query[name] = values
	}
	target.RawQuery = query.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

// login is the login page.
func (p *Provider) login(w http.ResponseWriter, r *http.Request) {
	si := p.storage.pending(r.FormValue("request"))
	if si == nil {
		refuse(w, "This sign-in has expired or been answered.", "Go back to the application and start again.")
		return
	}
	page := loginPage{Username: si.request.LoginHint, Client: p.ClientID, Users: p.options.Users}
	if r.Method != http.MethodPost {
		render(w, http.StatusOK, "login", page)
		return
	}
	if r.PostFormValue("decision") == "cancel" {
		if p.storage.finish(si, nil) {
			p.redirectError(w, r, si.request, oidc.ErrAccessDenied().WithDescription("The person did not want to sign in."))
			return
		}
		refuse(w, "This sign-in has been answered already.", "")
		return
	}
	name := r.PostFormValue("username")
	user := p.storage.user(name)
	if user == nil || r.PostFormValue("password") != user.Password {
		page.Username, page.Error = name, "Wrong user name or password."
		render(w, http.StatusUnauthorized, "login", page)
		return
	}
	p.answer(w, r, si, p.signedIn(w, r, user))
}
