package provider

import (
	"encoding/base64"
	"net/http"
	"net/url"
)

// The methods of client authentication (RFC 6749 2.3.1, OpenID Connect Core 9).
const (
	SecretBasic = "client_secret_basic"
	SecretPost  = "client_secret_post"
)

// authenticator is how the application proves who it is to an endpoint of the provider.
// Every method of client authentication is one.
type authenticator interface {
	// authenticate sets what proves it in the header or the form of a request to the
	// endpoint, and gives the values that no error may repeat.
	authenticate(endpoint string, header http.Header, form url.Values) (secrets []string, err error)
}

// authenticator is the one that the metadata asks for.
func (p *Provider) authenticator(m Metadata) authenticator {
	switch {
	case p.ClientSecret == "":
		return public{p.ClientID}
	case m.ClientAuth == SecretPost:
		return secretPost{p.ClientID, p.ClientSecret}
	}
	return secretBasic{p.ClientID, p.ClientSecret}
}

// public is a client without a secret, which only says its name.
type public struct{ id string }

func (c public) authenticate(_ string, _ http.Header, form url.Values) ([]string, error) {
	form.Set("client_id", c.id)
	return nil, nil
}

// secretPost sends the secret in the form.
type secretPost struct{ id, secret string }

func (c secretPost) authenticate(_ string, _ http.Header, form url.Values) ([]string, error) {
	form.Set("client_id", c.id)
	form.Set("client_secret", c.secret)
	return []string{c.secret, url.QueryEscape(c.secret)}, nil
}

// secretBasic sends the secret in the Authorization header. Both parts are form-encoded
// before they are joined.
type secretBasic struct{ id, secret string }

func (c secretBasic) authenticate(_ string, header http.Header, _ url.Values) ([]string, error) {
	id, secret := url.QueryEscape(c.id), url.QueryEscape(c.secret)
	basic := base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
	header.Set("Authorization", "Basic "+basic)
	return []string{c.secret, secret, basic}, nil
}
