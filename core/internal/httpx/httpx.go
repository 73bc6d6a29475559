// Package httpx makes the library's outgoing calls: each with a time limit and
// a size limit, and none that follows a redirect.
package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// MaxBody is the largest answer that is read, in bytes.
const MaxBody = 1 << 20

// ErrTooLarge is what Do answers for a body over MaxBody.
var ErrTooLarge = errors.New("the answer is larger than 1 MiB")

// ErrNotSent is in the error of a request that has surely not arrived, since there was
// no connection to send it over. After any other failure nobody knows.
var ErrNotSent = errors.New("there is no connection")

// Client makes bounded calls. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	timeout time.Duration
	owned   *http.Transport // nil when the transport is the application's
}

// Response is an answer that was read whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// New makes a Client that uses base's transport and gives each call, reading
// included, at most timeout. A nil base means a copy of net/http's default
// transport, which Close ends.
func New(base *http.Client, timeout time.Duration) *Client {
	c := &Client{timeout: timeout}
	if base == nil {
		base = &http.Client{}
		// A program may have put another transport, for tracing say, in the
		// place of net/http's; then that one is used as it is.
		if transport, ok := http.DefaultTransport.(*http.Transport); ok {
			c.owned = transport.Clone()
			c.owned.MaxResponseHeaderBytes = 64 << 10
			// All calls go to one or two hosts; the default of two idle
			// connections would open and close one for nearly every login.
			c.owned.MaxIdleConnsPerHost = 16
			base.Transport = c.owned
		}
	}
	own := *base
	// A redirect of an endpoint that receives credentials must not be
	// followed, and none of the others has a reason to move.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	c.http = &own
	return c
}

// Transport is what the calls are made over.
func (c *Client) Transport() http.RoundTripper {
	if c.http.Transport == nil {
		return http.DefaultTransport
	}
	return c.http.Transport
}

// Close ends the idle connections of a transport that is the client's own.
func (c *Client) Close() {
	if c.owned != nil {
		c.owned.CloseIdleConnections()
	}
}

// Do sends the request. It fails when there is no answer within the time
// limit or the answer is too large; any status is an answer.
func (c *Client) Do(ctx context.Context, req *http.Request) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	res, err := c.http.Do(req.WithContext(ctx))
	if err != nil && neverSent(err) {
		return Response{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if err != nil {
		return Response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err != nil {
		return Response{}, fmt.Errorf("reading the answer of %s: %w", req.URL.Redacted(), err)
	}
	if len(body) > MaxBody {
		return Response{}, ErrTooLarge
	}
	return Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// neverSent reports whether a request failed before there was a connection: refused,
// no such host, no route, no certificate that can be trusted. net/http makes a second
// connection for a request that is not idempotent only while nothing of it was sent.
func neverSent(err error) bool {
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	return errors.As(err, &certificate) || errors.As(err, &network) && (network.Op == "dial" || network.Op == "proxyconnect")
}

// Get fetches a document.
func (c *Client) Get(ctx context.Context, url string, header http.Header) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Response{}, err
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Accept", "application/json")
	return c.Do(ctx, req)
}
