package core

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/text"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// offline is a transport to a provider that can't be reached.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("offline") }

// zeros is no randomness at all, so that what the processes of a fuzz run seal
// is the same.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0
	}
	return len(p), nil
}

func fuzzAuth(f *testing.F, change ...func(*Config)) *Auth {
	config := Config{
		Providers: []Provider{{Issuer: "https://id.example.org", ClientID: "app", AllowedScopes: []string{"orders"}}}, PublicURL: "https://app.example.org/api",
		RedirectURIs: []string{"https://app.example.org/done"},
		Secrets:      []string{strings.Repeat("A", 43)}, Logger: slog.New(slog.DiscardHandler),
		HTTPClient: &http.Client{Transport: offline{}},
		Rand:       zeros{}, Now: func() time.Time { return time.Unix(2000000000, 0) },
	}
	for _, f := range change {
		f(&config)
	}
	a, err := New(config)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = a.Close() })
	return a
}

// published is a transport to a provider of which the documents can be had and
// nothing else.
type published struct{ keys []byte }

func (p published) RoundTrip(r *http.Request) (*http.Response, error) {
	body := p.keys
	switch r.URL.Path {
	case "/keys":
	case "/.well-known/openid-configuration":
		body = []byte(`{"issuer":"https://id.example.org","authorization_endpoint":"https://id.example.org/a","token_endpoint":"https://id.example.org/t","jwks_uri":"https://id.example.org/keys"}`)
	default:
		return nil, errors.New("offline")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// fuzzBroker is an application in broker mode, and the provider's key.
func fuzzBroker(f *testing.F) (*Auth, *jose.PrivateKey) {
	key, err := jose.Generate("ES256")
	if err != nil {
		f.Fatal(err)
	}
	public, err := key.Public()
	if err != nil {
		f.Fatal(err)
	}
	a := fuzzAuth(f, func(c *Config) {
		c.HTTPClient.Transport = published{fmt.Appendf(nil, `{"keys":[%s]}`, public)}
		c.Broker = &Broker{Algorithm: "ES256", Exchange: true}
	})
	if err := a.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	return a, key
}

// requireContract fails when an answer is none that the contract knows: a 500,
// a redirect to nowhere allowed, or an error that is not JSON.
func requireContract(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code == http.StatusInternalServerError {
		t.Fatalf("500: %s", w.Body)
	}
	if w.Code >= 400 {
		var body struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
			Detail      string `json:"detail"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Detail == "" || body.Detail != body.Description {
			t.Fatalf("%d with a body of no error: %s", w.Code, w.Body)
		}
	}
}

func FuzzStateOpensOnlyWhatWasSealed(f *testing.F) {
	a := fuzzAuth(f)
	sealed, err := a.sealState(loginState{Kind: loginNative, Verifier: "v", Expires: a.now().Add(time.Hour).Unix()})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "og1.", "og1.AAAA", sealed[:len(sealed)-1], sealed + "A", sealed + "=", strings.ToUpper(sealed), "og1." + strings.Repeat("A", 100), "x|" + sealed} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, state string) {
		if _, err := a.openState(state); err == nil && state != sealed {
			t.Fatalf("a forged state opened: %q", state)
		} else if err != nil && !errors.Is(err, ErrInvalidGrant) {
			t.Fatal(err)
		}
	})
}

func FuzzNonceRecognizesOnlyItsOwn(f *testing.F) {
	a := fuzzAuth(f)
	age := 60
	good := a.challengeNonce(a.client, "challenge", "uri", asked{"openid orders", &age})
	mac, memory, _ := strings.Cut(good, ".")
	for _, seed := range []string{"", ".", good[:20], mac, mac + ".", mac + "." + memory[1:], mac + "." + memory + "A", good + ".60", "." + good, memory} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, nonce string) {
		login, ok := a.checkChallengeNonce(a.client, nonce, "challenge", "uri")
		if ok != (nonce == good) {
			t.Fatalf("%q: %t", nonce, ok)
		}
		if ok && (login.scope != "openid orders" || *login.maxAge != 60) {
			t.Fatalf("the login asked for %v", login)
		}
	})
}

func FuzzFormsAreAnsweredByTheContract(f *testing.F) {
	a := fuzzAuth(f)
	for _, seed := range []string{
		"", "code=x", "code=x&code_verifier=" + strings.Repeat("v", 43) + "&redirect_uri=http://localhost/", "refresh_token=x&refresh-token=y",
		"grant_type=refresh_token&refresh_token=%00", "device_code=x&client_id=app&client_secret=y", "a=%zz", ";", "&&&===", "scope=%ff",
		"code=x&code_verifier=og1.AAAA", "resource=a&resource=b&code=x", "post_logout_redirect_uri=https://app.example.org/x&state=s", strings.Repeat("a=b&", 1000),
	} {
		f.Add(seed, "application/x-www-form-urlencoded")
	}
	f.Add("refresh_token=x", "multipart/form-data")
	f.Add("refresh_token=x", "a/b; c=\"")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		for _, e := range a.Endpoints() {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			e.Handler.ServeHTTP(w, r)
			requireContract(t, w)
			if w.Code < 400 {
				t.Fatalf("%s answered %d without a provider", e.Name, w.Code)
			}
		}
	})
}

// genuineRefreshToken is one that fuzzBroker's secret has made, of a session that never was.
const genuineRefreshToken = "ogr1.TGG1FQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAC-1lqOvo8qX7iNM6CksFe9IImmc2-fKMj_B11wVXWhiQ"

// Nobody gets a token of the broker for what he can make up: a refresh token
// that the broker did not make, a subject token that the provider did not sign.
func FuzzTokenRouteOfABrokerIsAnsweredByTheContract(f *testing.F) {
	a, key := fuzzBroker(f)
	const genuine = genuineRefreshToken
	payload := `{"iss":"https://id.example.org","aud":"app","sub":"alice","exp":2000000600,"preferred_username":"alice","scope":"openid"}`
	signed, err := key.Sign("JWT", []byte(payload))
	if err != nil {
		f.Fatal(err)
	}
	unsigned := signed[:strings.LastIndexByte(signed, '.')]
	const exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token="
	for _, seed := range []string{
		"", "refresh_token=" + genuine, "refresh-token=" + genuine[:len(genuine)-1], "refresh_token=ogr1.", "refresh_token=ogr1." + strings.Repeat("A", 102),
		"refresh_token=OGR1." + genuine[5:], "refresh_token=" + genuine + "&subject_token=x", "subject_token=x&actor_token=y", exchange, exchange + "x.y.z",
		exchange + unsigned + ".AAAA", exchange + unsigned + "." + strings.Repeat("A", 86), exchange + "x&audience=a&audience=b&resource=c", exchange + "x&audience=&resource=",
		exchange + "x&scope=admin&subject_token_type=urn:ietf:params:oauth:token-type:jwt", exchange + "x&requested_token_type=refresh_token", exchange + strings.Repeat("A", 17000),
	} {
		f.Add(seed)
	}
	endpoints := a.Endpoints()
	route := endpoints[slices.IndexFunc(endpoints, func(e Endpoint) bool { return e.Name == "token" })]
	ask := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		route.Handler.ServeHTTP(w, r)
		return w
	}
	if w := ask(exchange + signed); w.Code != http.StatusOK {
		f.Fatalf("what the provider signed was refused: %s", w.Body)
	}
	if w := ask("refresh_token=" + genuine); !strings.Contains(w.Body.String(), "The session has ended") {
		f.Fatalf("the refresh token is not genuine: %s", w.Body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		w := ask(body)
		requireContract(t, w)
		// The signature is random, and nobody else has seen it.
		if w.Code < 400 {
			t.Fatalf("%q was answered with %d: %s", body, w.Code, w.Body)
		}
	})
}

func FuzzQueriesAreAnsweredByTheContract(f *testing.F) {
	a := fuzzAuth(f)
	for _, seed := range []string{
		"", "redirect_uri=http://localhost/&scope=orders", "state=og1.AAAA&code=x", "error=access_denied&state=x", "code_challenge=x&code_challenge_method=S256",
		"max_age=1&prompt=none", "offline_access=true", "iss=x&state=y&code=z", "%zz", "a;b", "state=" + strings.Repeat("a", 5000), "post_logout_redirect_uri=//x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, e := range a.Endpoints() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL.RawQuery = query
			w := httptest.NewRecorder()
			e.Handler.ServeHTTP(w, r)
			requireContract(t, w)
			if w.Code < 400 {
				t.Fatalf("%s answered %d without a provider", e.Name, w.Code)
			}
		}
	})
}

func FuzzRedirectURIsStayWithinTheList(f *testing.F) {
	a := fuzzAuth(f)
	for _, seed := range []string{
		"", "http://localhost/", "http://127.0.0.1:1/x", "http://[::1]/", "https://app.example.org/done", "https://app.example.org/api/auth/v2/callback",
		"http://localhost@evil.org", "http://localhost\\@evil.org", "//localhost", "javascript://localhost/%0aalert(1)", "http://localhost%00.evil.org/", "http://localhost:x/", "http://[::1%25x]/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		kind, err := a.client.redirectKind(uri)
		if err != nil {
			if !errors.Is(err, ErrInvalidRequest) {
				t.Fatal(err)
			}
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q was allowed as %s and is no URL", uri, kind)
		}
		listed := uri == "https://app.example.org/done" || uri == "https://app.example.org/api/auth/v2/callback"
		if !listed && !address.Loopback(u.Hostname()) || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q was allowed as %s", uri, kind)
		}
	})
}

func FuzzScopes(f *testing.F) {
	a := fuzzAuth(f)
	for _, seed := range []string{"", "orders", "orders openid orders", " orders\t", "admin", "a\"b", "\xff", "ä", "orders\x00", "orders\u00a0openid", "orders\u2003openid", "orders\vopenid"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, named string) {
		list := text.Words(named)
		scopes, err := a.client.requestedScopes(list, false)
		if err != nil {
			if !errors.Is(err, ErrInvalidScope) {
				t.Fatal(err)
			}
			return
		}
		seen := map[string]bool{}
		for _, scope := range scopes {
			if seen[scope] || !text.ValidScope(scope) || len(list) > 0 && scope != "openid" && scope != "orders" {
				t.Fatalf("%q became %q", named, scopes)
			}
			seen[scope] = true
		}
	})
}

func FuzzClaims(f *testing.F) {
	constraints := []Constraint{Scopes("orders"), AnyRole("admin"), Claim("a.b", "x", true, 1), ClaimAll("a.b.c", "x", 1)}
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"iss":"i","exp":1}`, `{"exp":1e400}`, `{"exp":-1}`, `{"exp":"1"}`, `{"exp":1,"exp":2}`, `{"aud":["a",1]}`, `{"aud":{}}`, `{"scope":["a b","c"]}`,
		`{"realm_access":{"roles":["admin",1,null]},"resource_access":{"x":{"roles":"y"}},"groups":{}}`, `{"a":{"b":[1,"x",{}]},"a.b":true}`, "{\"a\":\"\xff\"}",
		strings.Repeat(`{"a":`, 5000), strings.Repeat("[", 20000), `{"preferred-username":"x","name":" "}`,
		`{"Preferred_Username":7,"UID":9007199254740993,"Email":"m@x","auth_time":"x","client_id":7,"cnf":null,"token_use":"id"}`,
		`{"roles":{"admin":{},"x":false},"groups":"staff","a.b":{"c":["x",1]},"a":{"b.c":"x"},"scope":"a\u00a0b\tc","scp":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := claim.Parse(payload)
		if err != nil {
			return
		}
		if !jsontext.Value(payload).IsValid() {
			t.Fatalf("invalid JSON became claims: %q", payload)
		}
		token := Token{verify.NewToken(c, &verify.Verifier{Roles: claim.RolePaths{"realm_access.roles", "groups", "roles"}.In})}
		_ = judge(token, rulesOf(constraints))
		_ = claim.ReadProfile(c.All(), []string{"a", "a.b"})
		_ = token.Username() + token.Email() + token.SessionID() + token.ClientID()
		for _, scope := range token.Scopes() {
			if scope == "" || strings.ContainsAny(scope, " \t") {
				t.Fatalf("scopes %q", token.Scopes())
			}
		}
		for i, role := range token.Roles() {
			if role == "" || i > 0 && token.Roles()[i-1] >= role {
				t.Fatalf("roles %q", token.Roles())
			}
		}
	})
}
