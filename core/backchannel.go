package core

import "net/http"

// serveBackchannelLogout ends the sessions that have ended at the provider. The provider
// itself calls it, with a token that it has signed (OpenID Connect Back-Channel Logout 1.0,
// 2.5).
func (a *Auth) serveBackchannelLogout(w http.ResponseWriter, r *http.Request) error {
	p, err := formParams(w, r)
	if err != nil {
		return err
	}
	token, err := p.ascii(maxToken, "logout_token")
	if err != nil {
		return err
	}
	if token == "" {
		return ErrInvalidRequest.because("The parameter logout_token is missing.")
	}
	if err := a.broker.ProviderLogout(r.Context(), token); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}
