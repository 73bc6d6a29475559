package core

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/oidcgate/oidcgate/core/internal/address"
)

// serveLogout ends the session of whoever asks, if the request says which, and sends
// the browser to the provider to be signed out there (OpenID Connect RP-Initiated
// Logout 1.0, 2), and from there to where the request wants.
func (a *Auth) serveLogout(w http.ResponseWriter, r *http.Request) error {
	p, err := logoutParams(w, r)
	if err != nil {
		return err
	}
	asked, err := a.readLogout(p)
	if err != nil {
		return err
	}
	ofCookie, confirm, err := a.cookieLogout(r)
	if err != nil {
		return err
	}
	if confirm {
		a.logoutPage(asked).write(w, http.StatusOK)
		return nil
	}
	var ours string // the ID token of a session that has ended
	if a.broker != nil {
		ours, err = a.logoutBroker(r, asked.refreshToken, ofCookie)
	} else {
		a.giveBack(r.Context(), asked.refreshToken)
		a.emit(r.Context(), Event{Kind: EventLogout})
	}
	if err != nil {
		return err
	}
	a.clearSession(w, r)
	m, err := a.provider.Metadata(r.Context())
	if err != nil {
		return answerTo(err).on(halfwayPage)
	}
	params := url.Values{}
	if asked.state != "" {
		params.Set("state", asked.state)
	}
	switch {
	case m.EndSessionEndpoint != "":
		params.Set("client_id", a.config.provider().ClientID)
		if asked.target != "" {
			params.Set("post_logout_redirect_uri", asked.target)
		}
		if hint := a.firstHint(r.Context(), asked.hint, ours); hint != "" {
			params.Set("id_token_hint", hint)
		}
		redirect(w, address.WithParams(m.EndSessionEndpoint, params), http.StatusFound)
	case asked.target != "":
		redirect(w, address.WithParams(asked.target, params), http.StatusFound)
	default:
		redirect(w, "/", http.StatusFound)
	}
	return nil
}

// giveBack revokes a refresh token at the provider, also for a caller who goes away. That
// is a courtesy: nobody holds the token any more, whatever comes of it. Without a broker
// anybody can have anything revoked, so that a refusal is nothing for the log.
func (a *Auth) giveBack(ctx context.Context, refreshToken string) {
	ctx = context.WithoutCancel(ctx)
	a.complaints.note(ctx, failingRevocation, a.provider.Revoke(ctx, refreshToken))
}

// failingRevocation is what the log calls refresh tokens that can't be given back.
const failingRevocation = "the provider's revocation endpoint, without which sessions end all the same"

// logoutRequest is what a logout may bring.
type logoutRequest struct {
	target, state, hint, refreshToken string
}

func (a *Auth) readLogout(p params) (asked logoutRequest, err error) {
	if asked.target, err = p.text("post_logout_redirect_uri", maxRedirect); err != nil {
		return logoutRequest{}, err
	}
	if asked.target != "" && !a.config.postLogoutAllowed(asked.target) {
		return logoutRequest{}, ErrInvalidRequest.because("The post_logout_redirect_uri is not one that this service allows.")
	}
	if asked.state, err = p.ascii(maxState, "state"); err != nil {
		return logoutRequest{}, err
	}
	if asked.hint, err = p.ascii(maxToken, "id_token_hint"); err != nil {
		return logoutRequest{}, err
	}
	asked.refreshToken, err = p.ascii(maxToken, "refresh_token", "refresh-token")
	return asked, err
}

// firstHint gives the first of the ID tokens that the provider will take for a hint.
// With one that it can't verify it shows an error page, and the user is not signed out.
func (a *Auth) firstHint(ctx context.Context, hints ...string) string {
	for _, hint := range hints {
		if hint != "" && a.verifier.IssuedHere(ctx, hint) {
			return hint
		}
	}
	return ""
}

// logoutParams reads the query and, of a POST, the form as one. A token in a
// query is in somebody's log by now, and is not taken as if nothing were wrong.
func logoutParams(w http.ResponseWriter, r *http.Request) (params, error) {
	query, err := queryParams(r)
	if err != nil {
		return params{}, err
	}
	if query.has("refresh_token") || query.has("refresh-token") {
		return params{}, ErrInvalidRequest.because("The refresh_token must be in the form of a POST, not in the URL.")
	}
	if r.Method == http.MethodGet {
		return query, nil
	}
	form, err := formValues(w, r)
	if err != nil {
		return params{}, err
	}
	both := maps.Clone(query.values)
	for name, values := range form {
		both[name] = slices.Concat(both[name], values)
	}
	return newParams(both)
}

// logoutBroker ends the sessions of the tokens that a request brings, and that of its
// cookie.
func (a *Auth) logoutBroker(r *http.Request, refreshToken, ofCookie string) (idToken string, err error) {
	accessToken, err := bearer(r.Header["Authorization"])
	if err != nil {
		accessToken = "" // who brings none proves nothing by it
	}
	return a.broker.Logout(r.Context(), a.client.id, accessToken, refreshToken, ofCookie)
}
