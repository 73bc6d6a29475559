package core

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// serveLogout sends the browser to the provider to be signed out there
// (OpenID Connect RP-Initiated Logout 1.0, 2), and from there to where the
// request wants.
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
	m, err := a.provider.metadata.get(r.Context())
	if err != nil {
		return err
	}
	a.observe(r.Context(), EventLogout, "", nil)
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
		redirect(w, withParams(m.EndSessionEndpoint, params))
	case target != "":
		redirect(w, withParams(target, params))
	default:
		redirect(w, "/")
	}
	return nil
}

// logoutParams reads the query and, of a POST, the form as one.
func logoutParams(w http.ResponseWriter, r *http.Request) (params, error) {
	query, err := queryParams(r)
	if err != nil || r.Method == http.MethodGet {
		return query, err
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
