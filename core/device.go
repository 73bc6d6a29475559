package core

import (
	"net/http"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/provider"
)

// devicePrefix begins every device code of ours.
const devicePrefix = "ogd1."

// deviceLogin is what a device code of ours holds: the provider's, the scopes that were
// asked for, which the provider need not repeat when it grants them, and the PKCE
// verifier, "" at a provider that does not announce S256.
type deviceLogin struct {
	Code     string `json:"c"`
	Scope    string `json:"s"`
	Verifier string `json:"v,omitempty"`
	Client   string `json:"i"`
	Provider string `json:"p,omitempty"` // its name
}

func (a *Auth) sealDevice(login deviceLogin) (string, error) {
	text, err := a.sealText(a.devices, devicePrefix, login)
	if err == nil && len(text) > maxToken {
		err = fault.Provider.New("The provider's device code is too long.")
	}
	return text, err
}

// serveDevice begins a device login (RFC 8628 3.1).
func (a *Auth) serveDevice(w http.ResponseWriter, r *http.Request) error {
	p, err := formParams(w, r)
	if err != nil {
		return err
	}
	c, err := a.authenticate(r, p)
	if err != nil {
		return err
	}
	named, err := p.words("scope", maxRedirect)
	if err != nil {
		return err
	}
	// As the Python library does. Nobody has asked for it, so where it is not allowed
	// it is left out rather than refused.
	offline := !a.config.provider().OnlineDevices && c.mayAsk("offline_access")
	scopes, err := c.requestedScopes(named, offline)
	if err != nil {
		return err
	}
	m, err := a.provider.Metadata(r.Context())
	if err != nil {
		return err
	}
	if m.DeviceEndpoint == "" {
		return ErrUnsupportedGrant.because("The provider has no device login.")
	}
	login := deviceLogin{Client: c.id, Provider: a.provider.Name, Scope: strings.Join(scopes, " ")}
	params := a.config.provider().AuthParams
	if m.AnnouncesS256 {
		if login.Verifier, err = a.random(); err != nil {
			return err
		}
	}
	body, err := a.provider.BeginDevice(r.Context(), provider.DeviceRequest{
		Scopes: scopes, Audience: params["audience"], Resource: params["resource"], Verifier: login.Verifier,
	})
	if err != nil {
		return err
	}
	login.Code = body.DeviceCode
	if body.DeviceCode, err = a.sealDevice(login); err != nil {
		return err
	}
	a.emit(r.Context(), Event{Kind: EventLoginStart, Client: c.id})
	writeJSON(w, http.StatusOK, body)
	return nil
}
