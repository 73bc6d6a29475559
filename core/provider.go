package core

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/zitadel/oidc/v3/pkg/client"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
)

// How long documents are used before they are fetched again. A key set may say
// that for itself, within bounds: a key that its issuer withdraws is accepted
// until then, and no issuer is asked all the time.
const (
	refreshMetadata = time.Hour
	refreshKeys     = 15 * time.Minute
	minRefreshKeys  = 5 * time.Minute
	maxRefreshKeys  = time.Hour
)

// errDown is the error for a provider that can't be reached.
var errDown = fault.Unavailable.New("The provider can't be reached at the moment.").Soon()

// metadata is what is used of the provider's discovery document (OpenID
// Connect Discovery 3, RFC 9207 3), with Provider.Endpoints in it.
type metadata struct {
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
	ClientAuth             ClientAuth // how we prove ourselves

	document foreign
}

// provider talks to the identity provider.
type provider struct {
	config   Config
	http     *httpx.Client
	metadata *fetch.Document[metadata]
	keys     *fetch.Document[jose.KeySet]
	verifier *verify.Verifier // of what it has signed
}

func newProvider(config Config, life *background.Tasks) *provider {
	p := &provider{config: config, http: httpx.New(config.HTTPClient, config.Timeout)}
	p.metadata = &fetch.Document[metadata]{
		Name: "discovery document", Down: errDown, Load: p.loadMetadata,
		Now: config.Now, Tasks: life, Logger: config.Logger,
	}
	p.keys = &fetch.Document[jose.KeySet]{
		Name: "key set", Down: errDown, Load: p.loadKeys, Replace: jose.KeySet.Replace,
		Now: config.Now, Tasks: life, Logger: config.Logger,
	}
	p.verifier = providerVerifier(config, p.keys)
	return p
}

// providerVerifier checks the provider's tokens.
func providerVerifier(config Config, keys verify.KeySource) *verify.Verifier {
	p := config.provider()
	return &verify.Verifier{
		Issuer: verify.NewIssuerName(p.Issuer), Keys: keys, ClientID: p.ClientID, Leeway: config.Leeway, Now: config.Now,
		Audience: verify.Audience{Names: p.Audiences, ClientID: p.ClientID, Anybody: p.InsecureAcceptAnyAudience},
		Roles:    claim.RolePaths(p.RoleClaims).In, Require: rulesOf(config.Require),
	}
}

func (p *provider) loadMetadata(ctx context.Context) (metadata, time.Duration, error) {
	res, err := fetchDocument(ctx, p.http, p.config.provider().DiscoveryURL)
	if err != nil {
		return metadata{}, 0, advise(err, "check Provider.Issuer, or set Provider.DiscoveryURL to where the discovery document is")
	}
	m, err := parseMetadata(res.Body, p.config)
	return m, refreshMetadata, err
}

// parseMetadata reads a discovery document and refuses one of another issuer,
// or one that would have us talk over an unprotected line.
func parseMetadata(body []byte, config Config) (metadata, error) {
	nonsense := func(format string, args ...any) error {
		return fault.Provider.New("The provider's discovery document can't be used.").From(fmt.Errorf(format, args...))
	}
	document, ok := parseForeign(body)
	if !ok {
		return metadata{}, nonsense("%s is not a JSON object: set Provider.DiscoveryURL to where the document is", config.provider().DiscoveryURL)
	}
	m := metadata{
		Issuer: document.text("issuer"), PromisesIssuerInAnswer: document.flag("authorization_response_iss_parameter_supported"),
		AnnouncesS256: slices.Contains(document.list("code_challenge_methods_supported"), "S256"),
		ClientAuth:    clientAuth(config, document), document: document,
	}
	if m.Issuer != config.provider().Issuer {
		return metadata{}, nonsense("%s is of issuer %.200q: if that is your provider, set Provider.Issuer to exactly this", config.provider().DiscoveryURL, m.Issuer)
	}
	for _, endpoint := range []struct {
		name       string
		url        *string
		field      string // of Config, for one that is elsewhere
		configured string
		needed     bool
	}{
		{"authorization_endpoint", &m.AuthorizationEndpoint, "Endpoints.Authorization", config.provider().Endpoints.Authorization, true},
		{"token_endpoint", &m.TokenEndpoint, "Endpoints.Token", config.provider().Endpoints.Token, true},
		{"jwks_uri", &m.KeysURL, "JWKSURL", config.provider().JWKSURL, true},
		{"userinfo_endpoint", &m.UserinfoEndpoint, "Endpoints.Userinfo", config.provider().Endpoints.Userinfo, false},
		{"device_authorization_endpoint", &m.DeviceEndpoint, "Endpoints.Device", config.provider().Endpoints.Device, false},
		{"end_session_endpoint", &m.EndSessionEndpoint, "Endpoints.EndSession", config.provider().Endpoints.EndSession, false},
		{"revocation_endpoint", &m.RevocationEndpoint, "Endpoints.Revocation", config.provider().Endpoints.Revocation, false},
		{"introspection_endpoint", &m.IntrospectionEndpoint, "Endpoints.Introspection", config.provider().Endpoints.Introspection, false},
	} {
		*endpoint.url = document.text(endpoint.name)
		err := config.checkEndpoint(*endpoint.url)
		if endpoint.configured != "" { // which New has checked
			*endpoint.url, err = endpoint.configured, nil
		}
		switch {
		case err == nil, *endpoint.url == "" && !endpoint.needed:
		case *endpoint.url == "":
			return metadata{}, nonsense("%s names no %s: set Provider.%s to the provider's", config.provider().DiscoveryURL, endpoint.name, endpoint.field)
		case endpoint.needed:
			return metadata{}, nonsense("%s: its %s %q %w, or set Provider.%s", config.provider().DiscoveryURL, endpoint.name, *endpoint.url, err, endpoint.field)
		default:
			config.Logger.Warn("an endpoint of the provider is not used: set Provider."+endpoint.field+" to where it can be", "endpoint", endpoint.name, "url", *endpoint.url, "reason", err)
			*endpoint.url = ""
		}
	}
	return m, nil
}

// checkEndpoint accepts the URL of an endpoint that the discovery document names.
func (c Config) checkEndpoint(raw string) error {
	err := address.Check(raw, c.InsecureProviderHTTP)
	if err == nil && !c.InsecureProviderHTTP && address.LeadsInside(raw, c.provider().Issuer, c.provider().DiscoveryURL) {
		return errors.New("is inside a private network, where neither Provider.Issuer nor Provider.DiscoveryURL is: if it is right, set Provider.DiscoveryURL to the provider's address in there")
	}
	return err
}

func (p *provider) loadKeys(ctx context.Context) (jose.KeySet, time.Duration, error) {
	location := p.config.provider().JWKSURL // needs no discovery document
	if location == "" {
		m, err := p.metadata.Get(ctx)
		if err != nil {
			return nil, 0, err
		}
		location = m.KeysURL
	}
	keys, fresh, err := fetchKeys(ctx, p.http, location, jose.MaxRSABits)
	return keys, fresh, advise(err, "set Provider.JWKSURL to where the provider's keys are")
}

// maxKeySet is the largest key set that is read, in bytes: enough for a hundred keys
// with their certificates, and little enough to be parsed again for every stranger's
// key id that the cool-down lets through.
const maxKeySet = 256 << 10

var errKeySetTooLarge = errors.New("it is larger than 256 KiB")

// fetchKeys gets a key set, and tells how long it is fresh.
func fetchKeys(ctx context.Context, client *httpx.Client, location string, maxRSABits int) (jose.KeySet, time.Duration, error) {
	res, err := fetchDocument(ctx, client, location)
	if err != nil {
		return nil, 0, err
	}
	var keys jose.KeySet
	if err = errKeySetTooLarge; len(res.Body) <= maxKeySet {
		keys, err = jose.ParseKeySet(res.Body, maxRSABits)
	}
	if errors.Is(err, jose.ErrNoKeys) {
		err = fmt.Errorf("%w: %w", fetch.ErrNothing, err)
	}
	if err != nil {
		return nil, 0, fault.Provider.New("The key set can't be used.").From(fmt.Errorf("%s: %w", location, err))
	}
	return keys, freshKeys(res.Header), nil
}

// freshKeys is how long a key set is fresh, by its Cache-Control header (RFC
// 9111 5.2.2) and within our bounds.
func freshKeys(header http.Header) time.Duration {
	fresh := refreshKeys
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minRefreshKeys
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				fresh = time.Duration(seconds) * time.Second
			}
		}
	}
	return min(max(fresh, minRefreshKeys), maxRefreshKeys)
}

// fetchDocument gets a public document.
func fetchDocument(ctx context.Context, client *httpx.Client, location string) (httpx.Response, error) {
	res, err := client.Get(ctx, location, nil)
	if err != nil {
		return httpx.Response{}, answerFailed(err)
	}
	return res, refused(location, res)
}

// post sends an OAuth request (one of zitadel/oidc's types) as the client that
// we are, and gives the body of a good answer. sent are the values of the
// request that no error may repeat.
func (p *provider) post(ctx context.Context, endpoint string, request any, sent ...string) ([]byte, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	req, err := httphelper.FormRequest(ctx, endpoint, request, client.Encoder, p.authentication(m.ClientAuth))
	if err != nil {
		return nil, fault.Provider.New("The request to the provider could not be made.").From(err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := p.http.Do(ctx, req)
	if err != nil {
		return nil, answerFailed(err)
	}
	basic := strings.TrimPrefix(req.Header.Get("Authorization"), "Basic ")
	return goodBody(endpoint, res, append(sent, p.config.provider().ClientSecret, url.QueryEscape(p.config.provider().ClientSecret), basic))
}

// goodBody gives the body of an answer that went well: any 2xx without an error member,
// which some providers (GitHub, Slack) send with status 200. No error repeats what was
// sent.
func goodBody(location string, res httpx.Response, sent []string) ([]byte, error) {
	fields, _ := parseForeign(res.Body)
	code := fields.text("error")
	// Auth0 tells a device to wait with 429.
	waiting := code == errPending.Code || code == errSlowDown.Code
	if err := unavailable(res); err != nil && !(waiting && res.Status == http.StatusTooManyRequests) {
		return nil, err
	}
	// A server that breaks may say so in a member of that name, in words of its own.
	broken := res.Status >= http.StatusInternalServerError && !slices.Contains(registered, code)
	if code != "" && !broken {
		return nil, oauthError(code, fields.text("error_description"), sent)
	}
	return res.Body, refused(location, res)
}

// revokeRequest is the revocation request of RFC 7009 2.1.
type revokeRequest struct {
	Token string `schema:"token"`
	Hint  string `schema:"token_type_hint"`
}

// revoke gives a refresh token back to the provider, if it takes any back.
func (p *provider) revoke(ctx context.Context, refreshToken string) error {
	if refreshToken == "" {
		return nil
	}
	m, err := p.metadata.Get(ctx)
	if err == nil && m.RevocationEndpoint != "" {
		_, err = p.post(ctx, m.RevocationEndpoint, revokeRequest{refreshToken, "refresh_token"}, refreshToken)
	}
	return err
}

// authentication proves who we are to the token endpoint (RFC 6749 2.3.1); a
// client without a secret only says its name.
func (p *provider) authentication(method ClientAuth) any {
	id, secret := p.config.provider().ClientID, p.config.provider().ClientSecret
	if secret != "" && method == ClientSecretBasic {
		return httphelper.AuthorizeBasic(id, secret)
	}
	return httphelper.FormAuthorization(func(form url.Values) {
		form.Set("client_id", id)
		if secret != "" {
			form.Set("client_secret", secret)
		}
	})
}

// answerFailed is the error of a call that had no answer, or one too large.
func answerFailed(err error) error {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, httpx.ErrTooLarge):
		return fault.Provider.New("The provider's answer is too large.").From(err)
	case errors.As(err, &certificate):
		err = fmt.Errorf("%w; if the provider's certificate is good, let the transport of Config.HTTPClient trust who signed it", err)
	}
	return errDown.From(err)
}

// advise adds what an operator can do to the cause of an error that is no outage.
func advise(err error, advice string) error {
	var e *fault.Error
	if !errors.As(err, &e) || !errors.Is(e, fault.Provider) {
		return err
	}
	return e.From(fmt.Errorf("%w; %s", fault.CauseOf(e), advice))
}

// unavailable is the error for a provider that asks for patience.
func unavailable(res httpx.Response) error {
	busy := []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	if !slices.Contains(busy, res.Status) {
		return nil
	}
	e := errBusy.From(fmt.Errorf("it answered %d", res.Status))
	e.RetryAfter = retryAfter(res.Header)
	return e
}

// retryAfter reads the seconds of a Retry-After header (RFC 9110 10.2.3), kept
// between a second and a minute. A date there is of the provider's clock, and so is
// worth less than a guess of ours.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil {
		return defaultPatience
	}
	return time.Duration(min(max(seconds, 1), 60)) * time.Second
}

// refused is the error for an answer without an OAuth error in it, nil for any 2xx.
func refused(location string, res httpx.Response) error {
	if res.Status/100 == 2 {
		return nil
	}
	if err := unavailable(res); err != nil {
		return err
	}
	cause := fmt.Errorf("%s answered %d", location, res.Status)
	if to := res.Header.Get("Location"); res.Status/100 == 3 && to != "" {
		cause = fmt.Errorf("%s answered %d and points to another address; redirects are not followed, configure the final address", location, res.Status)
	}
	return fault.Provider.New("The provider gave an answer that can't be used.").From(cause)
}
