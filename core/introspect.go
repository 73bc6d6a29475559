package core

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// serveIntrospect tells a resource server what a token says, if it is valid (RFC 7662 2).
func (a *Auth) serveIntrospect(w http.ResponseWriter, r *http.Request) error {
	p, err := formParams(w, r)
	if err != nil {
		return err
	}
	// Before the token is looked at: who can't prove who he is learns nothing about it.
	server, err := a.resourceServer(r, p)
	if err != nil {
		return err
	}
	// Whoever called the resource server made the token up, maybe: one that is too long, or
	// has characters that no token has, is inactive as any other.
	token := p.values.Get("token")
	if token == "" {
		return ErrInvalidRequest.because("The parameter token is missing.")
	}
	audiences := server.Resources
	if audiences == nil {
		audiences = []string{a.config.Broker.Audience}
	}
	claims, err := a.broker.Introspect(r.Context(), token, audiences)
	if err != nil {
		return err
	}
	if claims == nil {
		writeJSON(w, http.StatusOK, map[string]any{"active": false})
		return nil
	}
	// As they are in the token: numbers would come back with fewer digits.
	body := map[string]jsontext.Value{}
	if err := json.Unmarshal(claims.Payload, &body); err != nil {
		return err
	}
	body["active"], body["token_type"] = jsontext.Value("true"), jsontext.Value(`"Bearer"`)
	if name, named := body["preferred_username"]; named {
		body["username"] = name
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
