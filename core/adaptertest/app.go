package adaptertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// patience is how long anything may take. It is for adapters that hang, not for
// slow ones.
const patience = 30 * time.Second

// quiet gets what servers say about handlers that panic.
var quiet = log.New(io.Discard, "", 0)

// suite is what a rule is given.
type suite struct {
	*testing.T
	serve func(t *testing.T, listener net.Listener, app App)
}

// app is an application that the adapter serves, beside its provider.
type app struct {
	*testing.T
	App
	provider *oidctest.Provider
	address  string // that it listens on
	mount    string // the path of the prefix, parameters filled in
	base     string // the URL of the mount
	client   *http.Client
}

// options say what an application is like. The zero value is one in passthrough
// mode below /api.
type options struct {
	prefix    string // "": /api
	root      bool   // no prefix at all
	provider  *oidctest.Provider
	configure func(*core.Config)
	routes    []Route // nil: ownRouteTable
}

// users of every provider. The third has no name.
var users = []oidctest.User{
	{Username: "alice", Claims: map[string]any{"email": "alice@example.com", "email_verified": true, "groups": []any{"admin", "users"}}},
	{Username: "bob", Claims: map[string]any{"email": "bob@example.com", "groups": []any{"users"}}},
	{Username: "nameless", Claims: map[string]any{"preferred_username": nil}},
}

// newProvider starts a provider. Its algorithm is the one that costs least.
func (s suite) newProvider(o oidctest.Options) *oidctest.Provider {
	o.SigningAlgorithm = "ES256"
	if o.Users == nil {
		o.Users = users
	}
	return oidctest.New(s.T, o)
}

// start has the adapter serve an application.
func (s suite) start(o options) *app {
	s.Helper()
	if o.provider == nil {
		o.provider = s.newProvider(polled)
	}
	if o.prefix == "" && !o.root {
		o.prefix = "/api"
	}
	if o.routes == nil {
		o.routes = ownRouteTable
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	a := &app{T: s.T, provider: o.provider, address: listener.Addr().String(), mount: strings.ReplaceAll(o.prefix, "{tenant}", "acme")}
	a.base = "http://" + a.address + a.mount
	config := core.Config{
		Providers: []core.Provider{{Issuer: o.provider.Issuer, ClientID: o.provider.ClientID, ClientSecret: o.provider.ClientSecret}},
		PublicURL: a.base, Secrets: []string{"c2VjcmV0IG9uZSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"},
		Logger: slog.New(slog.DiscardHandler),
	}
	if o.configure != nil {
		o.configure(&config)
	}
	auth, err := core.New(config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := auth.Close(); err != nil {
			s.Errorf("closing the Auth: %v", err)
		}
	})
	a.App = App{Auth: auth, Prefix: o.prefix, Routes: o.routes}
	s.serve(s.T, listener, a.App)
	a.client = a.browser()
	return a
}

// broker puts an application into broker mode, with token exchange.
func broker(c *core.Config) { c.Broker = &core.Broker{Algorithm: "ES256", Exchange: true} }

// browser is a client that keeps cookies and shows redirects.
func (a *app) browser() *http.Client {
	transport := &http.Transport{DisableCompression: true}
	a.Cleanup(transport.CloseIdleConnections)
	jar, _ := cookiejar.New(nil) // fails only for options that are not used
	return &http.Client{
		Transport: transport, Jar: jar, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request is one to the application.
type request struct {
	method string
	path   string   // below the mount, with its query; one that begins with // is below the root
	header []string // name, value, name, value …
	body   string
}

func get(path string, header ...string) request {
	return request{method: http.MethodGet, path: path, header: header}
}

// post is a form of name, value, name, value …
func post(path string, fields ...string) request {
	return postBody(path, formType, form(fields...).Encode())
}

func postBody(path, contentType, body string) request {
	return request{method: http.MethodPost, path: path, header: []string{"Content-Type", contentType}, body: body}
}

// with gives a copy with further headers.
func (r request) with(header ...string) request {
	r.header = slices.Concat(r.header, header)
	return r
}

const formType = "application/x-www-form-urlencoded"

func form(fields ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return values
}

func bearer(token string) string { return "Bearer " + token }

// build makes the request for a client, which may also write it by hand.
func (a *app) build(r request) *http.Request {
	target := a.base + r.path
	if path, ok := strings.CutPrefix(r.path, "//"); ok {
		target = "http://" + a.address + "/" + path
	}
	built, err := http.NewRequest(r.method, target, strings.NewReader(r.body))
	if err != nil {
		panic(err) // a mistake in the suite
	}
	for i := 0; i < len(r.header); i += 2 {
		built.Header.Add(r.header[i], r.header[i+1])
	}
	return built
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (got answer) String() string {
	return fmt.Sprintf("%d %v %.300s", got.status, got.header, got.body)
}

// field gives a member of a JSON body, "" for one that is not there or no text.
func (got answer) field(name string) string {
	var body map[string]any
	_ = json.Unmarshal([]byte(got.body), &body)
	text, _ := body[name].(string)
	return text
}

func readAnswer(res *http.Response) (answer, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}, err
}

// as sends a request as a client that has its own cookies.
func (a *app) as(client *http.Client, r request) answer {
	a.Helper()
	res, err := client.Do(a.build(r))
	if err != nil {
		a.Fatalf("%s %.200s: %v", r.method, r.path, err)
	}
	got, err := readAnswer(res)
	if err != nil {
		a.Fatalf("%s %.200s: reading the answer: %v", r.method, r.path, err)
	}
	return got
}

func (a *app) ask(r request) answer { a.Helper(); return a.as(a.client, r) }

// coreHeaders are those that core sets.
var coreHeaders = []string{
	"Access-Control-Allow-Origin", "Allow", "Cache-Control", "Content-Type", "Etag", "Location",
	"Referrer-Policy", "Retry-After", "Set-Cookie", "Www-Authenticate", "X-Content-Type-Options",
}

// same sends a request and holds the answer against what core answers by itself.
// The request must be one that changes nothing, and whose answer has nothing
// random in it.
func (a *app) same(r request, status int) answer {
	a.Helper()
	want := a.reference(r) // first, for it leaves the client's cookies as they are
	got := a.ask(r)
	if want.status != status {
		a.Fatalf("%s %.200s: the suite expects %d, but core answers %v", r.method, r.path, status, want)
	}
	if got.status != want.status || got.body != want.body {
		a.Fatalf("%s %.200s: the answer is\n%v, core's is\n%v", r.method, r.path, got, want)
	}
	for _, name := range coreHeaders {
		got, want := got.header.Values(name), want.header.Values(name)
		if name == "Retry-After" && len(got) == 1 && len(want) == 1 {
			continue // it counts down
		}
		if name == "Content-Type" && want == nil {
			continue // of the application's own answers net/http makes a guess
		}
		if !slices.Equal(got, want) {
			a.Fatalf("%s %.200s: the header %s is %q, core's is %q", r.method, r.path, name, got, want)
		}
	}
	return got
}

// refused is same for a row of the table of errors.
func (a *app) refused(r request, status int, code string) {
	a.Helper()
	got := a.same(r, status)
	a.isError(r, got, status, code)
}

// isError holds an answer against a row of the table of errors.
func (a *app) isError(r request, got answer, status int, code string) {
	a.Helper()
	a.isProtected(r, got)
	if got.status != status || got.header.Get("Content-Type") != "application/json" || got.field("error") != code {
		a.Fatalf("%s %.200s: the answer is %v, not the error %d %s", r.method, r.path, got, status, code)
	}
	if got.field("detail") == "" || got.field("detail") != got.field("error_description") {
		a.Fatalf("%s %.200s: the answer does not tell what is wrong: %v", r.method, r.path, got)
	}
	if (status == http.StatusServiceUnavailable) != (got.header.Get("Retry-After") != "") {
		a.Fatalf("%s %.200s: Retry-After belongs to 503: %v", r.method, r.path, got)
	}
	if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); status == http.StatusServiceUnavailable && (err != nil || seconds < 1) {
		a.Fatalf("%s %.200s: Retry-After is no number of seconds: %v", r.method, r.path, got)
	}
}

// isProtected looks for the headers of every answer to one person.
func (a *app) isProtected(r request, got answer) {
	a.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if values := got.header.Values(name); len(values) != 1 || values[0] != want {
			a.Fatalf("%s %.200s: the header %s is %q, not %q", r.method, r.path, name, values, want)
		}
	}
}

// ok sends a request whose answer is random and must be a good one.
func (a *app) ok(client *http.Client, r request, status int) answer {
	a.Helper()
	got := a.as(client, r)
	if got.status != status {
		a.Fatalf("%s %.200s: the answer is %v, not %d", r.method, r.path, got, status)
	}
	a.isProtected(r, got)
	return got
}

// reference is what core answers by itself.
func (a *app) reference(r request) answer {
	built := a.build(r)
	built.RequestURI = built.URL.RequestURI()
	if cookies := a.client.Jar.Cookies(built.URL); built.Header.Get("Cookie") == "" {
		for _, cookie := range cookies {
			built.AddCookie(cookie)
		}
	}
	w := httptest.NewRecorder()
	a.handler(built).ServeHTTP(w, built)
	if r.method == http.MethodHead {
		w.Body.Reset()
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}

func (a *app) handler(r *http.Request) http.Handler {
	for _, e := range a.Auth.RootEndpoints() {
		if r.URL.Path == e.Path {
			return e.Handler
		}
	}
	for _, e := range a.Auth.Endpoints() {
		if r.URL.Path == a.mount+e.Path {
			return e.Handler
		}
	}
	for _, route := range a.Routes {
		if r.URL.Path == a.mount+route.Path && r.Method == route.Method {
			return guarded(a.Auth, route)
		}
	}
	panic("the suite expects nothing at " + r.URL.Path)
}

// guarded is how core itself guards a route.
func guarded(auth *core.Auth, route Route) http.Handler {
	for _, guard := range Guards(auth, route, (*core.Auth).Required, (*core.Auth).Optional) {
		return guard.Handler(route)
	}
	return route
}

// ownRouteTable are the application's own routes in most rules.
var ownRouteTable = []Route{
	{http.MethodGet, "/open", Unguarded, nil, whoami},
	{http.MethodGet, "/mine", Required, nil, whoami},
	{http.MethodPost, "/mine", Required, nil, func(ctx context.Context) (int, string) {
		return http.StatusCreated, "created by " + core.TokenFrom(ctx).Subject()
	}},
	{http.MethodDelete, "/mine/nested/thing", Required, nil, whoami},
	{http.MethodGet, "/admin", Required, []core.Constraint{core.AnyRole("admin", "chief")}, whoami},
	{http.MethodGet, "/orders", Required, []core.Constraint{core.Scopes("orders:read", "orders:write"), core.AnyRole("users")}, whoami},
	{http.MethodGet, "/verified", Required, []core.Constraint{core.Claim("email_verified", true)}, whoami},
	{http.MethodGet, "/hello", Optional, nil, whoami},
	{http.MethodGet, "/hello/admin", Optional, []core.Constraint{core.AnyRole("admin")}, whoami},
	{http.MethodGet, "/hello/strict", Optional, []core.Constraint{core.RefuseBadTokens}, whoami},
	{http.MethodGet, "/panic", Unguarded, nil, func(context.Context) (int, string) { panic("a handler of the application panics") }},
	{http.MethodGet, "/mine/panic", Required, nil, func(context.Context) (int, string) { panic("a guarded handler panics") }},
}

func whoami(ctx context.Context) (int, string) {
	if token := core.TokenFrom(ctx); token.Valid() {
		return http.StatusOK, token.Subject()
	}
	return http.StatusOK, "anonymous"
}

// conn is a keep-alive connection, on which requests can be sent before earlier
// ones are answered.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (a *app) dial() (*conn, error) {
	c, err := net.DialTimeout("tcp", a.address, patience)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, c.SetDeadline(time.Now().Add(patience))
}

// pipeline sends all requests on one connection and then reads the answers, which
// come in that order.
func (a *app) pipeline(requests []request) ([]answer, error) {
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		for _, r := range requests {
			var text bytes.Buffer
			err := a.build(r).Write(&text)
			if err == nil {
				_, err = c.Write(text.Bytes())
			}
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	var answers []answer
	for i, r := range requests {
		got, err := c.read(r.method)
		if err != nil {
			c.Close() // ends the writing, too
			<-sent
			return nil, fmt.Errorf("the answer to request %d of %d: %w", i+1, len(requests), err)
		}
		answers = append(answers, got)
	}
	return answers, <-sent
}

// read reads the next answer.
func (c *conn) read(method string) (answer, error) {
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	return readAnswer(res)
}
