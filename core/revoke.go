package core

import "net/http"

// serveRevoke ends the session of a token that its holder gives up (RFC 7009 2). Whoever
// has the token may do so. What token_type_hint says changes nothing: a token shows itself
// what it is.
func (a *Auth) serveRevoke(w http.ResponseWriter, r *http.Request) error {
	p, err := formParams(w, r)
	if err != nil {
		return err
	}
	c, err := a.authenticate(r, p)
	if err != nil {
		return err
	}
	token, err := p.ascii(maxToken, "token")
	if err != nil {
		return err
	}
	if token == "" {
		return ErrInvalidRequest.because("The parameter token is missing.")
	}
	if err := a.broker.Revoke(r.Context(), c.id, token); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}
