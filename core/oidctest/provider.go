package oidctest

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Provider is a running OpenID provider. [New] and [Start] make one. Its methods are safe
// for concurrent use. The fields must not be changed.
type Provider struct {
	// Issuer is the issuer identifier. The discovery document is at Issuer and
	// DiscoveryPath.
	Issuer string

	// ClientID and ClientSecret are those of the registered client. The secret
	// of a public client is empty.
	ClientID     string
	ClientSecret string

	options Options // complete
	url     string
	prefix  string // the path of the issuer
	cookie  string
	storage *storage
	op      *op.Provider
	mux     *http.ServeMux
	trouble trouble
	server  *server
}

// New starts a provider on a free port of 127.0.0.1 and closes it when the test ends. If it
// can't start, the test fails.
func New(tb testing.TB, o Options) *Provider {
	tb.Helper()
	p, err := Start("127.0.0.1:0", o)
	if err != nil {
		tb.Fatalf("oidctest.New: %v", err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("oidctest: closing the provider: %v", err)
		}
	})
	return p
}

// Start starts a provider that listens on addr, for examples and programs. Port 0 takes a
// free port. The host of addr becomes part of the issuer. If the host is empty or stands for
// every address, the issuer's host is localhost. The error lists everything that is wrong
// with the options, or says why the provider can't listen. The caller must call
// [Provider.Close].
func Start(addr string, o Options) (*Provider, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	p, err := newProvider(reachable(addr, listener.Addr()), o)
	if err != nil {
		listener.Close()
		return nil, err
	}
	p.server = serve(listener, p)
	return p, nil
}

// reachable is the URL of a listener, with the host that was asked for if a
// client can connect to it.
func reachable(addr string, actual net.Addr) string {
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(actual.String())
	return "http://" + net.JoinHostPort(host, port)
}

func newProvider(address string, o Options) (*Provider, error) {
	o, err := o.complete(address)
	if err != nil {
		return nil, err
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	p := &Provider{
		Issuer:       o.Issuer,
		ClientID:     o.ClientID,
		ClientSecret: o.ClientSecret,
		options:      o,
		url:          address,
		prefix:       issuer.EscapedPath(),
		// Cookies do not tell ports apart, so that another provider, or the
		// application, would see one with the same name.
		cookie: "oidctest-" + rand.Text()[:8],
		mux:    http.NewServeMux(),
	}
	p.storage = newStorage(&p.options)

	config := &op.Config{
		CodeMethodS256:        true,
		AuthMethodPost:        true,
		GrantTypeRefreshToken: true,
		DeviceAuthorization:   p.options.deviceConfig(p.prefix),
	}
	_, _ = rand.Read(config.CryptoKey[:]) // documented never to fail
	p.op, err = op.NewProvider(config, p.storage, op.StaticIssuer(p.Issuer),
		op.WithAllowInsecure(),
		op.WithCustomEndpoints(op.NewEndpoint(AuthorizePath), op.NewEndpoint(TokenPath), op.NewEndpoint(UserinfoPath),
			op.NewEndpoint(RevokePath), op.NewEndpoint(EndSessionPath), op.NewEndpoint(KeysPath)),
		op.WithCustomIntrospectionEndpoint(op.NewEndpoint(IntrospectPath)),
		op.WithCustomDeviceAuthorizationEndpoint(op.NewEndpoint(DeviceAuthorizationPath)),
		op.WithAccessTokenVerifierOpts(op.WithSupportedAccessTokenSigningAlgorithms(o.SigningAlgorithm)),
		op.WithIDTokenHintVerifierOpts(op.WithSupportedIDTokenHintSigningAlgorithms(o.SigningAlgorithm)),
	)
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	for path, handler := range map[string]http.HandlerFunc{
		DiscoveryPath:           p.discovery,
		AuthorizePath:           p.authorize,
		LoginPath:               p.login,
		TokenPath:               p.token,
		UserinfoPath:            p.userinfo,
		KeysPath:                func(w http.ResponseWriter, r *http.Request) { op.Keys(w, r, p.storage) },
		IntrospectPath:          func(w http.ResponseWriter, r *http.Request) { op.Introspect(w, r, p.op) },
		RevokePath:              func(w http.ResponseWriter, r *http.Request) { op.Revoke(w, r, p.op) },
		EndSessionPath:          p.endSession,
		DeviceAuthorizationPath: p.deviceAuthorization,
		DevicePath:              p.devicePage,
	} {
		p.mux.HandleFunc(path, handler)
	}
	return p, nil
}

// URL is the address that the provider listens on, without a slash at its end.
// It is the Issuer unless Options.Issuer says otherwise; requests are answered
// there with the issuer's path and without.
func (p *Provider) URL() string { return p.url }

// Close stops the provider: it cuts every connection and waits until the
// handlers have returned, those of [Provider.Answer] included. Closing it again
// does nothing but return the first error.
func (p *Provider) Close() error { return p.server.close(p.storage.keys.release) }

// ServeHTTP answers as the provider does over its own listener, trouble
// included, so that it can be put behind a server with TLS.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := p.path(r.URL.Path)
	hook := p.trouble.arrive(r, path)
	r = r.WithContext(op.ContextWithIssuer(r.Context(), p.Issuer))
	u := *r.URL
	u.Path, u.RawPath = path, ""
	r.URL = &u
	if hook != nil {
		hook(w, r, p.mux)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// path takes the issuer's path off.
func (p *Provider) path(path string) string {
	if rest, ok := strings.CutPrefix(path, p.prefix); ok && strings.HasPrefix(rest, "/") {
		return rest
	}
	return cmp.Or(path, "/")
}

// server is the provider's HTTP server, with an account of its connections.
type server struct {
	http   http.Server
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing accepts connections any more
	once   sync.Once
	err    error

	mu    sync.Mutex
	conns map[net.Conn]http.ConnState
	open  sync.WaitGroup
}

func serve(listener net.Listener, handler http.Handler) *server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{cancel: cancel, done: make(chan struct{}), conns: map[net.Conn]http.ConnState{}}
	s.http = http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Minute,
		ConnState:         s.connState,
		// A request whose body is not read does not notice that its connection
		// is closed.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // ends when the server is closed
	}()
	return s
}

func (s *server) connState(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.open.Add(1)
		s.conns[conn] = state
	case http.StateClosed, http.StateHijacked:
		if _, ok := s.conns[conn]; ok {
			delete(s.conns, conn)
			s.open.Done()
		}
	default:
		s.conns[conn] = state
	}
}

// closeIdle closes the connections that carry no request.
func (s *server) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn, state := range s.conns {
		if state == http.StateIdle || state == http.StateNew {
			_ = conn.Close() // its reader notices and accounts for it
		}
	}
}

func (s *server) close(after func()) error {
	s.once.Do(func() {
		s.cancel()
		s.err = s.http.Close()
		<-s.done
		s.open.Wait()
		after()
	})
	return s.err
}
