package core_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// app is an application with oidcgate in it, on a port of its own, beside a
// real provider.
type app struct {
	t        *testing.T
	auth     *core.Auth
	provider *oidctest.Provider
	clock    *clock
	log      *journal
	server   *httptest.Server
	mux      *http.ServeMux
	api      string // where the routes are mounted
}

// native is a redirect URI on which nothing listens: a program's own.
const native = "http://127.0.0.1:9/done"

// newProvider starts a provider whose ID tokens outlive every test's clock.
func newProvider(t *testing.T, o oidctest.Options) *oidctest.Provider {
	if o.IDTokenLifetime == 0 {
		o.IDTokenLifetime = 1000 * time.Hour
	}
	if o.DeviceInterval == 0 {
		o.DeviceInterval = -1
	}
	return oidctest.New(t, o)
}

// newApp starts an application; configure may change its Config first.
func newApp(t *testing.T, provider *oidctest.Provider, configure ...func(*core.Config)) *app {
	t.Helper()
	a := &app{t: t, provider: provider, clock: &clock{now: time.Now()}, log: &journal{}, mux: http.NewServeMux()}
	a.server = httptest.NewUnstartedServer(a.mux)
	a.api = "http://" + a.server.Listener.Addr().String() + "/api"
	config := core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: a.api,
		Secrets:   []string{"c2VjcmV0IG9uZSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"},
		Now:       a.clock.Now,
		Logger:    slog.New(slog.NewJSONHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe:   a.log.observe,
	}
	for _, change := range configure {
		change(&config)
	}
	var err error
	a.auth, err = core.New(config)
	require.NoError(t, err)
	for _, e := range a.auth.Endpoints() {
		a.mux.Handle("/api"+e.Path, e.Handler)
	}
	a.server.Start()
	t.Cleanup(func() {
		a.server.Close()
		require.NoError(t, a.auth.Close())
		a.log.check(t)
	})
	a.log.keep(provider.ClientSecret)
	return a
}

// brokered puts an application into broker mode.
func brokered(change ...func(*core.Broker)) func(*core.Config) {
	return func(c *core.Config) {
		c.Broker = &core.Broker{Algorithm: "ES256"} // RS256 is slow to make keys for
		for _, f := range change {
			f(c.Broker)
		}
	}
}

// answer is what a route answered.
type answer struct {
	*http.Response
	body string
	json map[string]any
}

func (a *app) do(client *http.Client, req *http.Request) answer {
	a.t.Helper()
	res, err := client.Do(req)
	require.NoError(a.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(a.t, err)
	got := answer{Response: res, body: string(body)}
	_ = json.Unmarshal(body, &got.json)
	if res.StatusCode >= 400 {
		// Whatever may not be logged may not be in an error either.
		a.log.add(got.body + res.Header.Get("WWW-Authenticate"))
	}
	if res.StatusCode == http.StatusServiceUnavailable {
		require.NotEmpty(a.t, res.Header.Get("Retry-After"), "whoever is told to come again is told when: %s", got.body)
	}
	return got
}

// get asks a route, with "name: value" headers.
func (a *app) get(client *http.Client, path string, headers ...string) answer {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodGet, a.api+path, nil)
	require.NoError(a.t, err)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Add(name, value)
	}
	return a.do(client, req)
}

// post sends a form of name, value, name, value …
func (a *app) post(client *http.Client, path string, fields ...string) answer {
	a.t.Helper()
	return a.postBody(client, path, form(fields...).Encode(), "application/x-www-form-urlencoded")
}

func (a *app) postBody(client *http.Client, path, body, contentType string) answer {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.api+path, strings.NewReader(body))
	require.NoError(a.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return a.do(client, req)
}

func form(fields ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return values
}

// browser is a client with cookies that shows redirects.
func browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// begin begins a login and gives the parameters of the authorization request.
func (a *app) begin(client *http.Client, fields ...string) url.Values {
	a.t.Helper()
	got := a.get(client, "/auth/v2/login?"+form(fields...).Encode())
	require.Equal(a.t, http.StatusFound, got.StatusCode, got.body)
	u, err := url.Parse(got.Header.Get("Location"))
	require.NoError(a.t, err)
	return u.Query()
}

// authorize walks through a login as the user until the code is there.
func (a *app) authorize(client *http.Client, user string, fields ...string) (code, state string) {
	a.t.Helper()
	u := a.provider.Authorize(a.t, client, a.api+"/auth/v2/login?"+form(fields...).Encode(), user)
	code, state = u.Query().Get("code"), u.Query().Get("state")
	require.NotEmpty(a.t, code, u.String())
	a.log.keep(code, state)
	return code, state
}

// guarded adds a route behind a guard.
func (a *app) guarded(path string, guard *core.Guard) {
	a.mux.Handle("/api"+path, guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := core.TokenFrom(r.Context())
		if !token.Valid() {
			io.WriteString(w, "anonymous")
			return
		}
		io.WriteString(w, token.Subject())
	})))
}

// requireError holds an answer against a row of the table of errors.
func requireError(t *testing.T, got answer, status int, code string) {
	t.Helper()
	require.Equal(t, status, got.StatusCode, got.body)
	if code == "" {
		require.NotContains(t, got.json, "error")
	} else {
		require.Equal(t, code, got.json["error"], got.body)
	}
	description, _ := got.json["error_description"].(string)
	require.NotEmpty(t, description)
	require.Equal(t, description, got.json["detail"])
	require.True(t, strings.HasSuffix(description, ".") || !strings.HasPrefix(description, "The "), "a sentence: %q", description)
	requireProtected(t, got)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, status == http.StatusServiceUnavailable, got.Header.Get("Retry-After") != "", "every 503 has Retry-After, and nothing else")
}

// requireProtected looks for the headers that every answer to one person has.
func requireProtected(t *testing.T, got answer) {
	t.Helper()
	require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", got.Header.Get("Referrer-Policy"))
}

// clock is the clock of an application.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// journal is all that an application logs, observes and answers as errors. At
// the end of each test it must contain none of the secrets that were used.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
	events  []core.Event
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) add(text string) { _, _ = j.Write([]byte(text + "\n")) }

func (j *journal) keep(secrets ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.secrets = append(j.secrets, secrets...)
}

func (j *journal) observe(_ context.Context, event core.Event) {
	j.mu.Lock()
	j.events = append(j.events, event)
	j.mu.Unlock()
	text, _ := json.Marshal(event)
	j.add(string(text))
	if event.Error != nil {
		j.add(event.Error.Error())
	}
}

// last gives the latest event.
func (j *journal) last(t *testing.T) core.Event {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	require.NotEmpty(t, j.events)
	return j.events[len(j.events)-1]
}

func (j *journal) check(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, secret := range j.secrets {
		if len(secret) > 8 {
			require.NotContains(t, j.text.String(), secret, "a secret came out")
		}
	}
}

// tokens are the fields of the token body.
type tokens struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	Expires          int64  `json:"expires"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshToken     string `json:"refresh_token"`
	RefreshExpires   int64  `json:"refresh_expires"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	Scope            string `json:"scope"`
	IDToken          string `json:"id_token"`
}

func (a *app) tokens(got answer) tokens {
	a.t.Helper()
	require.Equal(a.t, http.StatusOK, got.StatusCode, got.body)
	requireProtected(a.t, got)
	var body tokens
	require.NoError(a.t, json.Unmarshal([]byte(got.body), &body))
	a.log.keep(body.AccessToken, body.RefreshToken, body.IDToken)
	return body
}

// signIn gets tokens in the way of the Python client: a native login, whose
// sealed state is posted as the verifier.
func (a *app) signIn(user string) tokens {
	a.t.Helper()
	client := browser()
	code, state := a.authorize(client, user, "redirect_uri", native)
	return a.tokens(a.post(client, "/auth/v2/token", "code", code, "redirect_uri", native, "code_verifier", state))
}

// tamper changes the JSON of the provider's answers at a path.
func tamper(provider *oidctest.Provider, path string, change func(body map[string]any)) {
	provider.Answer(path, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		recorded := httptest.NewRecorder()
		real.ServeHTTP(recorded, r)
		var body map[string]any
		if recorded.Code != http.StatusOK || json.Unmarshal(recorded.Body.Bytes(), &body) != nil {
			w.WriteHeader(recorded.Code)
			_, _ = w.Write(recorded.Body.Bytes())
			return
		}
		change(body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	})
}

// fail has the provider answer a path with a status and a body.
func fail(provider *oidctest.Provider, path string, status int, body string) {
	provider.Answer(path, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// resign gives a token of the provider with some claims and header fields
// changed, signed by the provider's own key; nil takes one away.
func resign(t *testing.T, provider *oidctest.Provider, raw string, header, claims map[string]any) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	require.NoError(t, err)
	all := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&all))
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return provider.SignedToken(t, header, all)
}

// challengeOf is the S256 challenge of a verifier.
func challengeOf(verifier string) string { return oauth2.S256ChallengeFromVerifier(verifier) }

func newAnswer(w *httptest.ResponseRecorder) answer {
	got := answer{Response: w.Result(), body: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &got.json)
	return got
}
