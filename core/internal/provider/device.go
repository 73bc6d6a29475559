package provider

import (
	"cmp"
	"context"
	"errors"
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

// Device is the answer to a device authorization request (RFC 8628 3.2).
type Device struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete,omitempty"`
	ExpiresIn               int64  `json:"expires_in"`
	Interval                int64  `json:"interval"`
}

// DeviceRequest is what a device login asks for.
type DeviceRequest struct {
	Scopes             []string
	Audience, Resource []string
	Verifier           string // PKCE; "": none
}

// BeginDevice begins a device login (RFC 8628 3.1).
func (p *Provider) BeginDevice(ctx context.Context, r DeviceRequest) (Device, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return Device{}, err
	}
	request := deviceRequest{Scopes: r.Scopes, Audience: r.Audience, Resource: r.Resource}
	if r.Verifier != "" {
		request.Challenge, request.ChallengeMethod = oidc.NewSHACodeChallenge(r.Verifier), "S256"
	}
	answer, err := p.post(ctx, m.DeviceEndpoint, request)
	if err != nil {
		return Device{}, err
	}
	return parseDevice(answer)
}

// PollDevice asks once for the tokens of a device login (RFC 8628 3.4).
func (p *Provider) PollDevice(ctx context.Context, code, verifier string) (Tokens, error) {
	return p.askToken(ctx, devicePoll{GrantType: oidc.GrantTypeDeviceCode, DeviceCode: code, CodeVerifier: verifier}, code, verifier)
}

// parseDevice reads a device authorization response (RFC 8628 3.2), in the forms
// in which providers have it.
func parseDevice(body []byte) (Device, error) {
	nonsense := fault.Provider.New("The provider gave a device answer that can't be used.")
	fields, ok := parseForeign(body)
	if !ok {
		return Device{}, nonsense.From(errors.New("it is not a JSON object"))
	}
	device := Device{
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
		return Device{}, fault.Provider.New("The provider's device answer lacks " + strings.Join(missing, " and ") + ".")
	}
	return device, nil
}
