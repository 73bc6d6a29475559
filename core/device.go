package core

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// defaultInterval is how many seconds a device waits between two polls when
// the provider doesn't say (RFC 8628 3.2).
const defaultInterval = 5

// deviceRequest is the device authorization request of RFC 8628 3.1, with the
// client's name left to the client authentication; see codeRequest.
type deviceRequest struct {
	Scopes   oidc.SpaceDelimitedArray `schema:"scope"`
	Audience []string                 `schema:"audience,omitempty"`
	Resource []string                 `schema:"resource,omitempty"` // RFC 8707
	// A provider that demands PKCE of a client may do so here too, as Keycloak does.
	// Others ignore it (RFC 8628 3.1).
	Challenge       string `schema:"code_challenge,omitempty"`
	ChallengeMethod string `schema:"code_challenge_method,omitempty"`
}

// devicePoll is the device access token request of RFC 8628 3.4.
type devicePoll struct {
	GrantType    oidc.GrantType `schema:"grant_type"`
	DeviceCode   string         `schema:"device_code"`
	CodeVerifier string         `schema:"code_verifier,omitempty"`
}

// devicePrefix begins every device code of ours.
const devicePrefix = "ogd1."

// deviceLogin is what a device code of ours holds: the provider's, the scopes that were
// asked for, which the provider need not repeat when it grants them, and the PKCE
// verifier, "" at a provider that does not announce S256.
type deviceLogin struct {
	Code     string `json:"c"`
	Scope    string `json:"s"`
	Verifier string `json:"v,omitempty"`
}

func (a *Auth) sealDevice(login deviceLogin) (string, error) {
	text, err := a.sealText(a.devices, devicePrefix, login)
	if err == nil && len(text) > maxToken {
		err = fault.Provider.New("The provider's device code is too long.")
	}
	return text, err
}

// deviceBody is the answer of the device route.
type deviceBody struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete,omitempty"`
	ExpiresIn               int64  `json:"expires_in"`
	Interval                int64  `json:"interval"`
}

// serveDevice begins a device login (RFC 8628 3.1).
func (a *Auth) serveDevice(w http.ResponseWriter, r *http.Request) error {
	p, err := formParams(w, r)
	if err != nil {
		return err
	}
	if err := a.checkClient(r, p); err != nil {
		return err
	}
	named, err := p.words("scope", maxRedirect)
	if err != nil {
		return err
	}
	// As the Python library does. Nobody has asked for it, so where it is not allowed
	// it is left out rather than refused.
	offline := !a.config.provider().OnlineDevices && a.config.scopeAllowed("offline_access")
	scopes, err := a.config.requestedScopes(named, offline)
	if err != nil {
		return err
	}
	m, err := a.provider.metadata.Get(r.Context())
	if err != nil {
		return err
	}
	if m.DeviceEndpoint == "" {
		return ErrUnsupportedGrant.because("The provider has no device login.")
	}
	login := deviceLogin{Scope: strings.Join(scopes, " ")}
	request := deviceRequest{Scopes: scopes, Audience: a.config.provider().AuthParams["audience"], Resource: a.config.provider().AuthParams["resource"]}
	if m.AnnouncesS256 {
		if login.Verifier, err = a.random(); err != nil {
			return err
		}
		request.Challenge, request.ChallengeMethod = challengeOf(login.Verifier), "S256"
	}
	answer, err := a.provider.post(r.Context(), m.DeviceEndpoint, request)
	if err != nil {
		return err
	}
	body, err := parseDeviceAnswer(answer)
	if err != nil {
		return err
	}
	login.Code = body.DeviceCode
	if body.DeviceCode, err = a.sealDevice(login); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// parseDeviceAnswer reads a device authorization response (RFC 8628 3.2), in the forms
// in which providers have it.
func parseDeviceAnswer(body []byte) (deviceBody, error) {
	nonsense := fault.Provider.New("The provider gave a device answer that can't be used.")
	fields, ok := parseForeign(body)
	if !ok {
		return deviceBody{}, nonsense.From(errors.New("it is not a JSON object"))
	}
	device := deviceBody{
		DeviceCode: fields.text("device_code"), UserCode: fields.text("user_code"),
		VerificationURI:         cmp.Or(fields.text("verification_uri"), fields.text("verification_url")), // Google's
		VerificationURIComplete: cmp.Or(fields.text("verification_uri_complete"), fields.text("verification_url_complete")),
		ExpiresIn:               fields.seconds("expires_in"),
		Interval:                cmp.Or(fields.seconds("interval"), defaultInterval),
	}
	var missing []string
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"device_code", device.DeviceCode == ""},
		{"user_code", device.UserCode == ""},
		{"verification_uri", device.VerificationURI == ""},
		{"expires_in", device.ExpiresIn == 0},
	} {
		if field.missing {
			missing = append(missing, field.name)
		}
	}
	if len(missing) > 0 {
		return deviceBody{}, fault.Provider.New("The provider's device answer lacks " + strings.Join(missing, " and ") + ".")
	}
	return device, nil
}
