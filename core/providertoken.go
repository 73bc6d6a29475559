package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/address"
)

// ProviderToken returns the provider's access token of a request's session, for a call to
// another API. ctx is that of a request behind a guard: [TokenFrom] says whose session it is,
// of a cookie ([Browser]) or of a bearer token. The user must have granted the scopes that
// the API needs at the login (Provider.Scopes). Send the token to nobody but that API, and
// don't keep it: [Auth.ProviderClient] does both.
//
// The token is valid for at least 30 more seconds (or half of its lifetime), or is refreshed
// at the provider first: once, however many ask, at however many replicas. A refresh token
// that a client holds does not change by that. Each call reads the session from the store.
//
// Its errors are
//   - [ErrMissingToken]: ctx has no token.
//   - [ErrInvalidToken]: the session has ended. Or the token has expired, and the provider
//     gave no refresh token: the user must sign in again.
//   - [ErrUnavailable]: the store is down, or the token has expired and the provider is down.
//   - [ErrProvider]: the provider rejects this application, or its token is larger than 16
//     KiB.
//
// The errors are to be answered by [WriteError]. Others are mistakes in the program: there is
// no Broker, or the token has no session here, such as one from a token exchange, from
// [Auth.Mint] or of a further issuer. In passthrough mode, the token in the request's
// Authorization header is the provider's.
//
// ProviderToken may be called concurrently. It waits until ctx ends, or twice Config.Timeout,
// or 2 seconds if the token is still valid.
func (a *Auth) ProviderToken(ctx context.Context) (string, error) {
	return a.providerToken(ctx, TokenFrom(ctx), "")
}

// providerToken gives the provider's token of a session; refused is one that an API has
// refused, "" for none.
func (a *Auth) providerToken(ctx context.Context, whose Token, refused string) (string, error) {
	mistake := func(why string) error { return errors.New("core.Auth.ProviderToken: " + why) }
	switch {
	case a.broker == nil:
		return "", mistake("it needs Config.Broker; in passthrough mode the token in the request's Authorization header is the provider's")
	case !whose.Valid():
		return "", ErrMissingToken.because("Sign in: without a session there is no access token of the provider.")
	case whose.verified.By != a.broker.Verifier():
		return "", mistake("the token is of another issuer, which has its session")
	case whose.SessionID() == "":
		return "", mistake("the token has no session: it is from a token exchange or from core.Auth.Mint")
	}
	raw, err := a.broker.ProviderToken(ctx, whose.SessionID(), refused)
	return raw, asError(err)
}

// ProviderClient makes a client that calls other APIs with the provider's access token of a
// request's session, as [Auth.ProviderToken] gives it, in the Authorization header. ctx is
// that of a request behind a guard, and says whose session it is. It does not limit the
// calls: give each its own context, with http.NewRequestWithContext. A client is of one user:
// make one in each handler. It is cheap, and may be used concurrently.
//
// hosts are those that may get the token, such as "graph.microsoft.com", with a port unless
// that is the scheme's own. Never take one from a request. Requests must be https; http is for
// loopback, or with Config.InsecureProviderHTTP. A request to another host fails, also if a
// redirect leads there, and so does one that has an Authorization header of its own, or a
// user in its URL. No hosts, and a host that is none, are a mistake in the program:
// ProviderClient panics.
//
// An answer 401 to a token that is older than 30 seconds makes one refresh and one more try,
// unless the request has a body that can't be sent again (see http.Request.GetBody). An
// error of ProviderToken is in that of the call: errors.Is finds it, and [WriteError]
// answers it.
//
// The client uses the transport of Config.HTTPClient. Its Timeout is Config.Timeout; set the
// field to another for APIs that take longer, or for long answers. Answers have no limit in
// size.
func (a *Auth) ProviderClient(ctx context.Context, hosts ...string) *http.Client {
	if len(hosts) == 0 {
		panic("oidcgate: core.Auth.ProviderClient needs the hosts that may get the provider's access token")
	}
	for _, host := range hosts {
		u, err := address.Absolute("https://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" || strings.Contains(host, "*") {
			panic(fmt.Sprintf("oidcgate: core.Auth.ProviderClient: %q is not a host: write host or host:port", address.Shown(host)))
		}
	}
	return &http.Client{
		Transport: &providerTransport{auth: a, whose: TokenFrom(ctx), hosts: slices.Clone(hosts)},
		Timeout:   a.config.Timeout,
	}
}

// providerTransport puts the provider's token of a session on requests.
type providerTransport struct {
	auth  *Auth
	whose Token
	hosts []string // that may get it
}

// RoundTrip implements http.RoundTripper. Redirects come here one by one.
func (t *providerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	raw := ""
	err := t.check(r)
	if err == nil {
		raw, err = t.auth.providerToken(r.Context(), t.whose, "")
	}
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	res, err := t.send(r, r.Body, raw)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		return res, err
	}
	return t.retry(r, res, raw)
}

// retry sends a request once more whose token was refused, if there is another token.
func (t *providerTransport) retry(r *http.Request, res *http.Response, refused string) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return res, nil
	}
	raw, err := t.auth.providerToken(r.Context(), t.whose, refused)
	if err == nil && raw == refused {
		return res, nil
	}
	// What is left of a short answer is read, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	body := r.Body
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.send(r, body, raw)
}

// send sends a copy, since the request is the caller's.
func (t *providerTransport) send(r *http.Request, body io.ReadCloser, token string) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body = body
	r.Header.Set("Authorization", "Bearer "+token)
	return t.auth.provider.HTTP.Transport().RoundTrip(r)
}

// check refuses a request that must not get the token.
func (t *providerTransport) check(r *http.Request) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("core.Auth.ProviderClient: the request was not sent: "+format, args...)
	}
	u := r.URL
	plain := u.Scheme == "http" && (t.auth.config.InsecureProviderHTTP || address.Loopback(u.Hostname()))
	allowed := func(host string) bool {
		origin := address.Origin(&url.URL{Scheme: u.Scheme, Host: host})
		return slices.ContainsFunc(t.hosts, func(h string) bool {
			return address.Origin(&url.URL{Scheme: u.Scheme, Host: h}) == origin
		})
	}
	switch {
	case u.Scheme != "https" && !plain:
		return refuse("it must be https, and is %s", u.Scheme)
	case !allowed(u.Host):
		return refuse("%s is not one of its hosts %q", u.Host, t.hosts)
	case r.Host != "" && !allowed(r.Host): // which decides behind a proxy
		return refuse("its header Host is %s, which is not one of its hosts %q", r.Host, t.hosts)
	case u.User != nil, r.Header.Get("Authorization") != "":
		return refuse("it has credentials of its own")
	}
	return nil
}
