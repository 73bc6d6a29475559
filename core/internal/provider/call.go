package provider

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/zitadel/oidc/v3/pkg/client"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
)

// Fetch gets a public document.
func Fetch(ctx context.Context, client *httpx.Client, location string) (httpx.Response, error) {
	res, err := client.Get(ctx, location, nil)
	if err != nil {
		return httpx.Response{}, answerFailed(err)
	}
	return res, refused(location, res)
}

// post sends an OAuth request (one of zitadel/oidc's types) as the client that
// we are, and gives the body of a successful answer. sent are the values of the
// request that no error may repeat.
func (p *Provider) post(ctx context.Context, endpoint string, request any, sent ...string) ([]byte, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Accept": {"application/json"}}
	var secrets []string
	prove := httphelper.FormAuthorization(func(form url.Values) {
		secrets, err = p.authenticator(m).authenticate(endpoint, header, form)
	})
	req, failed := httphelper.FormRequest(ctx, endpoint, request, client.Encoder, prove)
	if err = cmp.Or(err, failed); err != nil {
		return nil, fault.Provider.New("The request to the provider could not be made.").From(err)
	}
	maps.Copy(req.Header, header)
	res, err := p.HTTP.Do(ctx, req)
	if err != nil {
		return nil, answerFailed(err)
	}
	return goodBody(endpoint, res, append(secrets, sent...))
}

// goodBody gives the body of an answer that went well: any 2xx without an error member,
// which some providers (GitHub, Slack) send with status 200. No error repeats what was
// sent.
func goodBody(location string, res httpx.Response, sent []string) ([]byte, error) {
	fields, _ := parseForeign(res.Body)
	code := fields.text("error")
	// Auth0 tells a device to wait with 429.
	waiting := code == Pending || code == SlowDown
	if err := unavailable(res); err != nil && !(waiting && res.Status == http.StatusTooManyRequests) {
		return nil, err
	}
	// A server that breaks may say so in a member of that name, in words of its own.
	broken := res.Status >= http.StatusInternalServerError && !slices.Contains(registered, code)
	if code != "" && !broken {
		return nil, RefusalOf(code, fields.text("error_description"), sent)
	}
	return res.Body, refused(location, res)
}

// answerFailed is the error of a call that had no answer, or one too large.
func answerFailed(err error) error {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, httpx.ErrTooLarge):
		return fault.Provider.New("The provider's answer is too large.").From(err)
	case errors.As(err, &certificate):
		err = fmt.Errorf("%w; if the provider's certificate is right, let the transport of Config.HTTPClient trust who signed it", err)
	}
	return ErrDown.From(err)
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
	e := ErrBusy.From(fmt.Errorf("it answered %d", res.Status))
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
