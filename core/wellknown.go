package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// publicFor is how long others may keep what we publish, in seconds.
const publicFor = "300"

// wellKnown are the names of the metadata document (OpenID Connect Discovery 4,
// RFC 8414 3).
var wellKnown = []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"}

// metadataBody is the authorization server metadata of RFC 8414 2: what is
// there, and nothing else. Codes come from the provider, so that there is no
// authorization endpoint.
type metadataBody struct {
	Issuer                string   `json:"issuer"`
	KeysURL               string   `json:"jwks_uri,omitzero"`
	TokenEndpoint         string   `json:"token_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint,omitzero"`
	UserinfoEndpoint      string   `json:"userinfo_endpoint,omitzero"`
	EndSessionEndpoint    string   `json:"end_session_endpoint,omitzero"`
	Scopes                []string `json:"scopes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ClientAuthentications []string `json:"token_endpoint_auth_methods_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	SigningAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
}

// metadata describes the broker. Device logins are there if the provider has them; one
// that can't be reached has none at the moment.
func (b *broker) metadata(ctx context.Context) metadataBody {
	routes := b.config.Routes
	if m, err := b.auth.provider.metadata.get(ctx); err != nil || m.DeviceEndpoint == "" {
		routes.Device = Off
	}
	scopes := b.config.provider().AllowedScopes
	if scopes == nil {
		scopes = b.config.provider().Scopes
	}
	scopes = append([]string{"openid"}, slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return scope == "openid" })...)
	at := func(path string) string {
		if path == Off {
			return ""
		}
		return b.config.PublicURL + path
	}
	grants := []string{string(oidc.GrantTypeRefreshToken)}
	if routes.Device != Off {
		grants = append(grants, string(oidc.GrantTypeDeviceCode))
	}
	if b.Exchange {
		grants = append(grants, string(oidc.GrantTypeTokenExchange))
	}
	return metadataBody{
		Issuer: b.config.PublicURL, KeysURL: at(routes.JWKS),
		TokenEndpoint: at(routes.Token), DeviceEndpoint: at(routes.Device),
		UserinfoEndpoint: at(routes.Userinfo), EndSessionEndpoint: at(routes.Logout),
		Scopes: scopes, GrantTypes: grants, ResponseTypes: []string{}, ClientAuthentications: []string{string(oidc.AuthMethodNone)},
		SubjectTypes: []string{"public"}, SigningAlgorithms: []string{b.Algorithm},
	}
}

// serveMetadata tells what there is here (RFC 8414 3).
func (b *broker) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(b.metadata(r.Context()))
	if err != nil {
		return err
	}
	writePublic(w, r, body)
	return nil
}

// serveJWKS publishes the keys that our tokens are verified with (RFC 7517 5).
func (b *broker) serveJWKS(w http.ResponseWriter, r *http.Request) error {
	keys, err := b.keys.get(r.Context())
	if err != nil {
		return err
	}
	writePublic(w, r, keys.document)
	return nil
}

// writePublic answers with a JSON document that is the same for everybody.
func writePublic(w http.ResponseWriter, r *http.Request, document []byte) {
	hash := sha256.Sum256(document)
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "public, max-age="+publicFor)
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(hash[:12])+`"`)
	// ServeContent knows If-None-Match and HEAD. Other conditions, and parts of a
	// document, are of no use to anybody, and it would answer them in words of its
	// own.
	whole := r.Clone(r.Context())
	for _, name := range []string{"Range", "If-Match", "If-Unmodified-Since"} {
		whole.Header.Del(name)
	}
	http.ServeContent(w, whole, "", time.Time{}, bytes.NewReader(document))
}

// RootEndpoints lists the routes that belong to the root of the host, outside
// the mount: the broker's metadata at the places where RFC 8414 3.1 puts it, the
// well-known part before the path of Config.PublicURL. There are none without a
// [Broker], nor when PublicURL has no path, since then [Auth.Endpoints] are at the
// root already.
//
//	for _, e := range auth.RootEndpoints() {
//		mux.Handle("GET "+e.Path, e.Handler)
//	}
func (a *Auth) RootEndpoints() []Endpoint {
	public, err := url.Parse(a.config.PublicURL)
	if err != nil || public.Path == "" {
		return nil
	}
	var all []Endpoint
	for i, e := range a.metadataEndpoints() {
		if e.Path != Off {
			// Wherever Routes has moved the document below the mount, clients look
			// for it here.
			e.Path = wellKnown[i] + public.Path
			all = append(all, e)
		}
	}
	return all
}
