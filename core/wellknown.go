package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// publicFor is how long others may keep what we publish, in seconds.
const publicFor = "300"

// metadata is the authorization server metadata of RFC 8414 2: what is there, and
// nothing else. Codes come from the provider, so that there is no authorization
// endpoint. Device logins are there if the provider has them; one that can't be reached
// has none at the moment.
func (a *Auth) metadata(ctx context.Context) map[string]any {
	config := a.config
	if m, err := a.provider.Metadata(ctx); err != nil || m.DeviceEndpoint == "" {
		config.Routes.Device = Off
	}
	scopes := a.config.provider().AllowedScopes
	if scopes == nil {
		scopes = a.config.provider().Scopes
	}
	grants := []string{string(oidc.GrantTypeRefreshToken)}
	if config.Routes.Device != Off {
		grants = append(grants, string(oidc.GrantTypeDeviceCode))
	}
	if a.config.Broker.Exchange {
		grants = append(grants, string(oidc.GrantTypeTokenExchange))
	}
	// Verifiers may read the list once, at their start. A rotation can bring any of these.
	algorithms := jose.SigningAlgorithms
	if a.config.Broker.PythonPeers {
		algorithms = []string{a.config.Broker.Algorithm}
	}
	body := map[string]any{
		"issuer":                                a.config.PublicURL,
		"scopes_supported":                      append([]string{"openid"}, slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return scope == "openid" })...),
		"grant_types_supported":                 grants,
		"response_types_supported":              []string{},
		"token_endpoint_auth_methods_supported": []string{string(oidc.AuthMethodNone)},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": algorithms,
	}
	for _, row := range routeTable() {
		if row.member != "" && row.isIn(config) {
			body[row.member] = a.config.PublicURL + *config.Routes.of(row)
		}
	}
	if _, there := body["introspection_endpoint"]; there {
		body["introspection_endpoint_auth_methods_supported"] = []string{string(oidc.AuthMethodBasic), string(oidc.AuthMethodPost)}
	}
	return body
}

// serveMetadata tells what there is here (RFC 8414 3).
func (a *Auth) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(a.metadata(r.Context()), json.Deterministic(true))
	if err != nil {
		return err
	}
	writePublic(w, r, body)
	return nil
}

// serveJWKS publishes the keys that our tokens are verified with (RFC 7517 5).
func (a *Auth) serveJWKS(w http.ResponseWriter, r *http.Request) error {
	document, err := a.broker.KeySet(r.Context())
	if err != nil {
		return err
	}
	writePublic(w, r, document)
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
