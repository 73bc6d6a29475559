package core

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// rfc8037Key is the key of RFC 8037 A.1: the processes of a fuzz run have to
// agree on one. An Ed25519 signature has one spelling.
const rfc8037Key = `{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`

const goodClaims = `{"iss":"https://id.example.org","aud":"app","sub":"alice","exp":2000000300,"iat":2000000000,"scope":"openid"}`

// fuzzGuards are guards of an application in either mode, beside a provider with
// that key, and what each takes: of the provider's tokens and of the broker's.
func fuzzGuards(f *testing.F) (passthrough, broker *Auth, key *jose.PrivateKey, own string) {
	key, err := jose.ParsePrivateKey([]byte(rfc8037Key))
	if err != nil {
		f.Fatal(err)
	}
	public, err := key.Public()
	if err != nil {
		f.Fatal(err)
	}
	online := func(c *Config) { c.HTTPClient.Transport = published{fmt.Appendf(nil, `{"keys":[%s]}`, public)} }
	passthrough = fuzzAuth(f, online)
	broker = fuzzAuth(f, online, func(c *Config) { c.Broker = &Broker{Algorithm: "EdDSA"} })
	for _, a := range []*Auth{passthrough, broker} {
		if err := a.Start(f.Context()); err != nil {
			f.Fatal(err)
		}
	}
	own, err = broker.Mint(f.Context(), Identity{Subject: "alice"}, MintOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return passthrough, broker, key, own
}

// guarded sends a request with this header and tells whether it was let through.
func guarded(t testing.TB, a *Auth, header string) (through bool) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = []string{header}
	a.Required().Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { through = true })).ServeHTTP(w, r)
	if t, ok := t.(*testing.T); ok {
		requireContract(t, w)
	}
	if !through && w.Code != http.StatusUnauthorized {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return through
}

// A guard whose keys are known lets nothing through but what was signed, as it
// was signed.
func FuzzBearerHeaderIsGoodAsItWasSignedOnly(f *testing.F) {
	passthrough, broker, key, own := fuzzGuards(f)
	good, err := key.Sign("JWT", []byte(goodClaims))
	if err != nil {
		f.Fatal(err)
	}
	if !guarded(f, passthrough, "Bearer "+good) || !guarded(f, broker, "Bearer "+own) || guarded(f, broker, "Bearer "+good) || guarded(f, passthrough, "Bearer "+own) {
		f.Fatal("each takes its own")
	}
	for _, raw := range []string{good, own} {
		signed, signature := raw[:strings.LastIndexByte(raw, '.')+1], raw[strings.LastIndexByte(raw, '.')+1:]
		for _, seed := range []string{
			raw, raw + "=", raw + ".", raw + " ", raw + "\n", raw + "\t", " " + raw, raw[:len(raw)-1], raw[:len(raw)-1] + "B", signed, signed + strings.Repeat("A", 86), raw[:20] + "\n" + raw[20:],
			strings.NewReplacer("-", "+", "_", "/").Replace(raw), strings.ToUpper(raw), raw + "," + raw, raw + " " + raw, "Bearer " + raw, `"` + raw + `"`,
			"eyJhbGciOiJub25lIn0" + raw[strings.IndexByte(raw, '.'):], "eyJhbGciOiJFZERTQSJ9" + raw[strings.IndexByte(raw, '.'):], signed + signature + signature,
		} {
			f.Add("Bearer " + seed)
		}
		f.Add("bearer " + raw)
		f.Add("Bearer\t" + raw)
		f.Add(raw)
	}
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "bearer x.y.z", "Bearer  a", "Basic YTpi", "Bearer\tx", "Bearer eyJhbGciOiJub25lIn0.e30.AA",
		"Bearer " + strings.Repeat(".", 5000), "Bearer " + strings.Repeat("a", 20000), "Bearer a,b", "Bearer x Bearer y", "Bearer \x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		scheme, rest, _ := strings.Cut(header, " ")
		raw := strings.TrimLeft(rest, " ")
		bearer := strings.EqualFold(scheme, "Bearer")
		if got := guarded(t, passthrough, header); got != (bearer && raw == good) {
			t.Fatalf("%q: %t", header, got)
		}
		if got := guarded(t, broker, header); got != (bearer && raw == own) {
			t.Fatalf("%q: %t at the broker", header, got)
		}
	})
}

// Of parts that are whatever they are, put together as a token, one is good if
// the signature is by the standard library, and then it says what any decoder
// reads in it.
func FuzzTokenIsGoodIfItsSignatureIsAndSaysWhatWasSigned(f *testing.F) {
	a, broker, _, _ := fuzzGuards(f)
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		f.Fatal(err)
	}
	const header = `{"alg":"EdDSA","kid":"a","typ":"JWT"}`
	for _, seed := range [][2]string{
		{header, goodClaims}, {`{"alg":"EdDSA"}`, goodClaims}, {`{"alg":"none"}`, goodClaims}, {`{"alg":"HS256","kid":"a"}`, goodClaims}, {`{"alg":"EdDSA","crit":[]}`, goodClaims},
		{`{"alg":"EdDSA","alg":"none"}`, goodClaims}, {`{"alg":"EdDSA","kid":null}`, goodClaims}, {`{"alg":["EdDSA"]}`, goodClaims}, {`null`, `null`}, {`[]`, `[]`}, {`{`, `{`},
		{header, strings.Replace(goodClaims, `"iss"`, `"iss":"x","\u0069ss"`, 1)}, {header, strings.Replace(goodClaims, `"app"`, `["x","app"]`, 1)}, {header, strings.Replace(goodClaims, `2000000300`, `1e400`, 1)},
		{header, strings.Replace(goodClaims, `"iat"`, `"nbf":2000000030.5,"iat"`, 1)}, {header, strings.Replace(goodClaims, `"sub"`, `"SUB":"x","sub"`, 1)}, {header, "\ufeff" + goodClaims}, {header, goodClaims + goodClaims},
		{header, strings.Replace(goodClaims, `"sub"`, `"x":{"a":1,"a":2},"sub"`, 1)}, {header, strings.Replace(goodClaims, `"sub"`, `"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`,"sub"`, 1)},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]), make([]byte, ed25519.SignatureSize), false)
		f.Add([]byte(seed[0]), []byte(seed[1]), []byte(nil), true)
	}
	private, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header, payload, signature []byte, sign bool) {
		signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
		if sign {
			signature = ed25519.Sign(ed25519.NewKeyFromSeed(private), []byte(signed))
		}
		raw := signed + "." + base64.RawURLEncoding.EncodeToString(signature)
		if _, err := broker.Verify(t.Context(), raw); err == nil {
			t.Fatalf("a broker took %q", raw)
		}
		token, err := a.Verify(t.Context(), raw)
		if err != nil {
			if !errors.Is(err, ErrInvalidToken) {
				t.Fatal(err)
			}
			return
		}
		if !ed25519.Verify(public, []byte(signed), signature) {
			t.Fatalf("forged: %q", raw)
		}
		_, _, _ = token.Roles(), token.Username(), token.SessionID()
		// encoding/json takes the last of several members, and ignores case, so that
		// a map shows what is spelled as it should be.
		var head, claims map[string]any
		decoder := stdjson.NewDecoder(bytes.NewReader(payload))
		decoder.UseNumber()
		if err := stdjson.Unmarshal(header, &head); err != nil || head["alg"] != "EdDSA" || head["crit"] != nil || head["b64"] != nil {
			t.Fatalf("header %q", header)
		}
		if err := decoder.Decode(&claims); err != nil || decoder.More() {
			t.Fatalf("payload %q", payload)
		}
		subject, _ := claims["sub"].(string)
		number, _ := claims["exp"].(stdjson.Number)
		expires, err := number.Float64()
		if claims["iss"] != "https://id.example.org" || token.Issuer() != claims["iss"] || token.Subject() != subject || err != nil || expires <= 2000000000-30 || claims["events"] != nil {
			t.Fatalf("payload %q", payload)
		}
	})
}
