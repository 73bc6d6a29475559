package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// Metadata is what is used of the provider's discovery document (OpenID
// Connect Discovery 3, RFC 9207 3), with Provider.Endpoints in it.
type Metadata struct {
	Issuer                 string
	AuthorizationEndpoint  string
	TokenEndpoint          string
	DeviceEndpoint         string
	UserinfoEndpoint       string
	EndSessionEndpoint     string
	RevocationEndpoint     string
	IntrospectionEndpoint  string
	KeysURL                string
	AnnouncesS256          bool // code_challenge_methods_supported, RFC 8414 2
	PromisesIssuerInAnswer bool
	ClientAuth             string // how we prove ourselves

	document foreign
}

func (p *Provider) loadMetadata(ctx context.Context) (Metadata, time.Duration, error) {
	res, err := Fetch(ctx, p.HTTP, p.DiscoveryURL)
	if err != nil {
		return Metadata{}, 0, advise(err, "check Provider.Issuer, or set Provider.DiscoveryURL to where the discovery document is")
	}
	m, err := p.parseMetadata(res.Body)
	return m, refreshMetadata, err
}

// parseMetadata reads a discovery document and refuses one of another issuer,
// or one that would have us talk over an unprotected line.
func (p *Provider) parseMetadata(body []byte) (Metadata, error) {
	nonsense := func(format string, args ...any) error {
		return fault.Provider.New("The provider's discovery document can't be used.").From(fmt.Errorf(format, args...))
	}
	document, ok := parseForeign(body)
	if !ok {
		return Metadata{}, nonsense("%s is not a JSON object: set Provider.DiscoveryURL to where the document is", p.DiscoveryURL)
	}
	m := Metadata{
		Issuer: document.text("issuer"), PromisesIssuerInAnswer: document.flag("authorization_response_iss_parameter_supported"),
		AnnouncesS256: slices.Contains(document.list("code_challenge_methods_supported"), "S256"),
		ClientAuth:    clientAuth(p.ClientAuth, document), document: document,
	}
	if m.Issuer != p.Issuer {
		return Metadata{}, nonsense("%s is of issuer %.200q: if that is your provider, set Provider.Issuer to exactly this", p.DiscoveryURL, m.Issuer)
	}
	for _, endpoint := range []struct {
		name       string
		url        *string
		field      string // of Config, for one that is elsewhere
		configured string
		needed     bool
	}{
		{"authorization_endpoint", &m.AuthorizationEndpoint, "Endpoints.Authorization", p.Endpoints.Authorization, true},
		{"token_endpoint", &m.TokenEndpoint, "Endpoints.Token", p.Endpoints.Token, true},
		{"jwks_uri", &m.KeysURL, "JWKSURL", p.JWKSURL, true},
		{"userinfo_endpoint", &m.UserinfoEndpoint, "Endpoints.Userinfo", p.Endpoints.Userinfo, false},
		{"device_authorization_endpoint", &m.DeviceEndpoint, "Endpoints.Device", p.Endpoints.Device, false},
		{"end_session_endpoint", &m.EndSessionEndpoint, "Endpoints.EndSession", p.Endpoints.EndSession, false},
		{"revocation_endpoint", &m.RevocationEndpoint, "Endpoints.Revocation", p.Endpoints.Revocation, false},
		{"introspection_endpoint", &m.IntrospectionEndpoint, "Endpoints.Introspection", p.Endpoints.Introspection, false},
	} {
		*endpoint.url = document.text(endpoint.name)
		err := p.checkEndpoint(*endpoint.url)
		if endpoint.configured != "" { // which New has checked
			*endpoint.url, err = endpoint.configured, nil
		}
		switch {
		case err == nil, *endpoint.url == "" && !endpoint.needed:
		case *endpoint.url == "":
			return Metadata{}, nonsense("%s names no %s: set Provider.%s to the provider's", p.DiscoveryURL, endpoint.name, endpoint.field)
		case endpoint.needed:
			return Metadata{}, nonsense("%s: its %s %q %w, or set Provider.%s", p.DiscoveryURL, endpoint.name, *endpoint.url, err, endpoint.field)
		default:
			p.Logger.Warn("an endpoint of the provider is not used: set Provider."+endpoint.field+" to where it can be", "endpoint", endpoint.name, "url", *endpoint.url, "reason", err)
			*endpoint.url = ""
		}
	}
	return m, nil
}

// checkEndpoint accepts the URL of an endpoint that the discovery document names.
func (p *Provider) checkEndpoint(raw string) error {
	err := address.Check(raw, p.InsecureHTTP)
	if err == nil && !p.InsecureHTTP && address.LeadsInside(raw, p.Issuer, p.DiscoveryURL) {
		return errors.New("is inside a private network, where neither Provider.Issuer nor Provider.DiscoveryURL is: if it is right, set Provider.DiscoveryURL to the provider's address in there")
	}
	return err
}
