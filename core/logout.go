package core

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// maxHint is the longest ID token that goes into a logout URL, in bytes: longer
// URLs are refused by many a server, and the hint is not worth the logout.
const maxHint = 4 << 10

// serveLogout ends the broker's session, if the request says which, and sends
// the browser to the provider to be signed out there (OpenID Connect RP-Initiated
// Logout 1.0, 2), and from there to where the request wants.
func (a *Auth) serveLogout(w http.ResponseWriter, r *http.Request) error {
	p, err := logoutParams(w, r)
	if err != nil {
		return err
	}
	target, err := p.text("post_logout_redirect_uri", maxRedirect)
	if err != nil {
		return err
	}
	if target != "" && !a.config.postLogoutAllowed(target) {
		return ErrInvalidRequest.because("The post_logout_redirect_uri is not one that this service allows.")
	}
	state, err := p.ascii(maxState, "state")
	if err != nil {
		return err
	}
	hint := ""
	if a.broker != nil {
		if hint, err = a.broker.logout(r, p); err != nil {
			return err
		}
	}
	m, err := a.provider.metadata.get(r.Context())
	if err != nil {
		return err
	}
	if a.broker == nil {
		a.observe(r.Context(), Event{Kind: EventLogout}, nil)
	}
	params := url.Values{}
	if state != "" {
		params.Set("state", state)
	}
	switch {
	case m.EndSessionEndpoint != "":
		params.Set("client_id", a.config.ClientID)
		if target != "" {
			params.Set("post_logout_redirect_uri", target)
		}
		if hint != "" && len(hint) <= maxHint {
			params.Set("id_token_hint", hint)
		}
		redirect(w, withParams(m.EndSessionEndpoint, params))
	case target != "":
		redirect(w, withParams(target, params))
	default:
		redirect(w, "/")
	}
	return nil
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

// logout ends the sessions of the tokens that a request brings: an access token
// of ours, expired or not, and a refresh token, used or not. A token that is none
// of ours keeps nobody from being signed out. It gives the ID token of a session
// that has ended, for the provider to know whom to sign out.
func (b *broker) logout(r *http.Request, p params) (hint string, err error) {
	refreshToken, err := p.ascii(maxToken, "refresh_token", "refresh-token")
	if err != nil {
		return "", err
	}
	var ids []string
	if h, _, ok := b.parseRefreshToken(refreshToken); ok {
		ids = append(ids, h.sessionID())
	}
	if raw, err := bearer(r.Header["Authorization"]); err == nil {
		c, err := b.auth.trust.own.ownToken(r.Context(), raw)
		if errors.Is(err, ErrUnavailable) {
			return "", err
		}
		if err == nil {
			ids = append(ids, c.text("sid"))
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		state, err := b.end(r.Context(), id)
		if err != nil {
			return "", err
		}
		if who, err := recall(state); err == nil && who.IDToken != "" {
			hint = who.IDToken
		}
		b.auth.emit(r.Context(), Event{Kind: EventLogout, Subject: state.Subject, Session: id})
	}
	if len(ids) == 0 {
		b.auth.emit(r.Context(), Event{Kind: EventLogout})
	}
	return hint, nil
}
