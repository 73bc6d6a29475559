package core_test

import (
	"bufio"
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// modes gives a guarded application and a valid token of it, in either mode.
func modes(t *testing.T, attack func(t *testing.T, a *app, valid string)) {
	t.Run("passthrough", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}))
		require.NoError(t, a.auth.Start(t.Context()))
		attack(t, a, a.provider.AccessToken(t, "alice"))
	})
	t.Run("broker", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		attack(t, a, a.signIn("alice").AccessToken)
	})
}

// sendRaw sends a request that is written by hand, since http.Client would mend it or refuse to
// send it.
func (a *app) sendRaw(t *testing.T, request string) answer {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(a.api, "http://"), "/api")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	method, rest, _ := strings.Cut(request, "\n")
	go io.WriteString(conn, method+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+strings.ReplaceAll(rest, "\n", "\r\n"))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	a.log.add(string(body) + res.Header.Get("WWW-Authenticate"))
	got := answer{Response: res, body: string(body)}
	_ = json.Unmarshal(body, &got.json)
	return got
}

func TestATokenIsTakenFromOneAuthorizationHeaderOnly(t *testing.T) {
	modes(t, func(t *testing.T, a *app, valid string) {
		a.guarded("/required", a.auth.Required())
		a.guarded("/optional", a.auth.Optional())
		bad := valid[:len(valid)-8] + "AAAAAAAA"
		a.log.keep(valid, bad)
		const form = "Content-Type: application/x-www-form-urlencoded\n"
		body := "access_token=" + valid
		get := func(headers string) string { return "GET /api/%s\n" + headers + "\n" }
		for name, row := range map[string]struct {
			request  string // with a place for the route
			required string // a body, or an error's code
		}{
			"as it should be":                   {get("Authorization: Bearer " + valid + "\n"), "user-alice"},
			"scheme in lower case":              {get("Authorization: bearer " + valid + "\n"), "user-alice"},
			"scheme in capitals":                {get("Authorization: BEARER " + valid + "\n"), "user-alice"},
			"header in other cases":             {get("aUTHORIZATION: bEaReR " + valid + "\n"), "user-alice"},
			"several spaces":                    {get("Authorization:   Bearer    " + valid + "   \n"), "user-alice"},
			"a tab at the end":                  {get("Authorization: Bearer " + valid + "\t\n"), "user-alice"},
			"a tab for the space":               {get("Authorization: Bearer\t" + valid + "\n"), "missing_token"},
			"a tab after the space":             {get("Authorization: Bearer \t" + valid + "\n"), "invalid_token"},
			"a no-break space":                  {get("Authorization: Bearer\u00a0" + valid + "\n"), "missing_token"},
			"a no-break space after the space":  {get("Authorization: Bearer \u00a0" + valid + "\n"), "invalid_token"},
			"no space":                          {get("Authorization: Bearer" + valid + "\n"), "missing_token"},
			"a colon":                           {get("Authorization: Bearer: " + valid + "\n"), "missing_token"},
			"an equals sign":                    {get("Authorization: Bearer token=" + valid + "\n"), "invalid_token"},
			"a name":                            {get(`Authorization: Bearer token="` + valid + `"` + "\n"), "invalid_token"},
			"no scheme":                         {get("Authorization: " + valid + "\n"), "missing_token"},
			"Bearer alone":                      {get("Authorization: Bearer\n"), "missing_token"},
			"Bearer and spaces":                 {get("Authorization: Bearer    \n"), "missing_token"},
			"Bearer twice":                      {get("Authorization: Bearer Bearer " + valid + "\n"), "invalid_token"},
			"two tokens":                        {get("Authorization: Bearer " + valid + " " + valid + "\n"), "invalid_token"},
			"joined with a comma":               {get("Authorization: Bearer " + valid + ", Bearer " + valid + "\n"), "invalid_token"},
			"joined with a comma, no space":     {get("Authorization: Bearer " + valid + ",Bearer " + bad + "\n"), "invalid_token"},
			"joined with another scheme":        {get("Authorization: Bearer " + valid + ", Basic YTpi\n"), "invalid_token"},
			"joined, the other scheme first":    {get("Authorization: Basic YTpi, Bearer " + valid + "\n"), "missing_token"},
			"a comma at the end":                {get("Authorization: Bearer " + valid + ",\n"), "invalid_token"},
			"twice the same":                    {get("Authorization: Bearer " + valid + "\nAuthorization: Bearer " + valid + "\n"), "invalid_request"},
			"a valid one, then a bad one":       {get("Authorization: Bearer " + valid + "\nAuthorization: Bearer " + bad + "\n"), "invalid_request"},
			"a bad one, then a valid one":       {get("Authorization: Bearer " + bad + "\nAuthorization: Bearer " + valid + "\n"), "invalid_request"},
			"another scheme beside it":          {get("Authorization: Basic YTpi\nAuthorization: Bearer " + valid + "\n"), "invalid_request"},
			"an empty one beside it":            {get("Authorization:\nAuthorization: Bearer " + valid + "\n"), "invalid_request"},
			"in other cases of the name":        {get("Authorization: Bearer " + valid + "\nauthorization: Bearer " + valid + "\n"), "invalid_request"},
			"no header":                         {get(""), "missing_token"},
			"another scheme":                    {get("Authorization: Basic YTpi\n"), "missing_token"},
			"scheme DPoP":                       {get("Authorization: DPoP " + valid + "\n"), "missing_token"},
			"scheme Token":                      {get("Authorization: Token " + valid + "\n"), "missing_token"},
			"a look-alike of the scheme":        {get("Authorization: Веarer " + valid + "\n"), "missing_token"},
			"in the header of a proxy":          {get("Proxy-Authorization: Bearer " + valid + "\nX-Forwarded-Authorization: Bearer " + valid + "\nX-Access-Token: " + valid + "\n"), "missing_token"},
			"in a cookie":                       {get("Cookie: access_token=" + valid + "; token=" + valid + "; Authorization=Bearer " + valid + "\n"), "missing_token"},
			"in the query":                      {"GET /api/%s?access_token=" + valid + "&bearer_token=" + valid + "\n\n", "missing_token"},
			"in the query, beside a bad header": {"GET /api/%s?access_token=" + valid + "\n" + "Authorization: Bearer " + bad + "\n\n", "invalid_token"},
			"in a form":                         {"POST /api/%s\n" + form + fmt.Sprintf("Content-Length: %d\n\n", len(body)) + body, "missing_token"},
			"in a form, beside a valid header":  {"POST /api/%s\nAuthorization: Bearer " + valid + "\n" + form + fmt.Sprintf("Content-Length: %d\n\n", len(body)) + body, "user-alice"},
		} {
			t.Run(name, func(t *testing.T) {
				asked, keys := a.provider.Requests(""), a.provider.Requests(oidctest.KeysPath)
				got := a.sendRaw(t, strings.Replace(row.request, "%s", "required", 1))
				optional := a.sendRaw(t, strings.Replace(row.request, "%s", "optional", 1))
				fetched := a.provider.Requests(oidctest.KeysPath) - keys // for a bad signature
				require.Equal(t, asked, a.provider.Requests("")-fetched)
				if row.required == "user-alice" {
					require.Equal(t, row.required, got.body)
					require.Equal(t, row.required, optional.body)
					return
				}
				status := http.StatusUnauthorized
				if row.required == "invalid_request" {
					status = http.StatusBadRequest
				}
				requireError(t, got, status, row.required)
				if row.required == "missing_token" {
					require.NotContains(t, got.Header.Get("WWW-Authenticate"), "error", "nothing was tried")
				}
				require.Equal(t, "anonymous", optional.body)
			})
		}
	})
}

// What a stranger sends costs what its size is worth, and a token over the limit
// nothing but a look at its length.
func TestHugeAndDeepTokensCostLittle(t *testing.T) {
	const limit = 16 << 10
	modes(t, func(t *testing.T, a *app, valid string) {
		parts := strings.Split(valid, ".")
		header, payload, signature := parts[0], parts[1], parts[2]
		guard := a.auth.Required()
		// deep is a JSON object, of a header for example, with a deep member more.
		deep := func(object, open, close string, levels int) string {
			return encode(strings.TrimSuffix(object, "}") + `,"x":` + strings.Repeat(open, levels) + strings.Repeat(close, levels) + "}")
		}
		head, claims := decode(t, header), decode(t, payload)
		const most = 64 * limit // of memory, for a token that is within the limit
		for name, row := range map[string]struct {
			raw   string
			bytes uint64
		}{
			"a byte over the limit":             {strings.Repeat("A", limit+1), 8 << 10},
			"a megabyte":                        {strings.Repeat("A", 1<<20), 8 << 10},
			"a megabyte of a token":             {header + "." + strings.Repeat("A", 1<<20) + "." + signature, 8 << 10},
			"a megabyte of a header":            {encode(`{"alg":"`+strings.Repeat("x", 1<<20)) + "." + payload + "." + signature, 8 << 10},
			"a megabyte of a signature":         {header + "." + payload + "." + strings.Repeat("A", 1<<20), 8 << 10},
			"a million dots":                    {strings.Repeat(".", 1_000_000), 8 << 10},
			"a million parts":                   {strings.Repeat("AA.", 1_000_000), 8 << 10},
			"100,000 lists in the payload":      {header + "." + deep(claims, "[", "]", 100_000) + "." + signature, 8 << 10},
			"100,000 objects in the payload":    {header + "." + deep(claims, `{"":`, "}", 100_000) + "." + signature, 8 << 10},
			"100,000 lists in the header":       {deep(head, "[", "]", 100_000) + "." + payload + "." + signature, 8 << 10},
			"100,000 objects in the header":     {deep(head, `{"":`, "}", 100_000) + "." + payload + "." + signature, 8 << 10},
			"the limit of dots":                 {strings.Repeat(".", limit), most},
			"the limit of letters":              {strings.Repeat("A", limit), most},
			"the limit of parts":                {strings.Repeat("AA.", limit/3), most},
			"lists in the payload that fit":     {header + "." + deep(claims, "[", "]", 5000) + "." + signature, most},
			"objects in the payload that fit":   {header + "." + deep(claims, `{"a":`, "}", 1500) + "." + signature, most},
			"open lists in the payload":         {header + "." + deep(claims, "[", "", 10_500) + "." + signature, most},
			"lists in the header that fit":      {deep(head, "[", "]", 5000) + "." + payload + "." + signature, most},
			"open lists in the header":          {deep(head, "[", "", 10_500) + "." + payload + "." + signature, most},
			"members in the payload":            {header + "." + encode(`{`+members(1000)+`}`) + "." + signature, most},
			"a number of many digits":           {header + "." + encode(`{"exp":`+strings.Repeat("9", 10_000)+`}`) + "." + signature, most},
			"a number with a huge exponent":     {header + "." + encode(`{"exp":1e`+strings.Repeat("9", 9000)+`}`) + "." + signature, most},
			"a list of audiences":               {header + "." + encode(`{"aud":["a"`+strings.Repeat(`,""`, 3500)+`]}`) + "." + signature, most},
			"a scope of spaces":                 {header + "." + encode(`{"scope":"`+strings.Repeat("a ", 5000)+`"}`) + "." + signature, most},
			"a string of escapes":               {header + "." + encode(`{"iss":"`+strings.Repeat(`\u0041`, 1700)+`"}`) + "." + signature, most},
			"a MAC of a megabyte, by a secret":  {authenticated(crypto.SHA256, `{"alg":"HS256"}`, strings.Repeat("x", 1<<20), []byte("x")), 8 << 10},
			"a signature as long as a token is": {header + "." + payload + "." + strings.Repeat("AAAA", (limit-len(header)-len(payload)-2)/4), most},
		} {
			t.Run(name, func(t *testing.T) {
				tooLong := len(row.raw) > limit
				require.Equal(t, row.bytes < most, tooLong, "%d bytes", len(row.raw))
				requireRefused(t, a, guard, row.raw)
				got := serve(guard, bearer(row.raw))
				require.Equal(t, tooLong, strings.Contains(got.body, "too long"), got.body)

				const times = 5
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range times {
					_, _ = a.auth.Verify(t.Context(), row.raw)
				}
				runtime.ReadMemStats(&after)
				require.Less(t, (after.TotalAlloc-before.TotalAlloc)/times, row.bytes)
			})
		}
	})
}

// members are the members of an object, each with a name of its own.
func members(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"%d":0`, i))
	}
	return strings.Join(all, ",")
}

func TestTokensOfOtherKindsAreRefused(t *testing.T) {
	t.Run("of a broker, everything but its access token", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		last := a.overhear(nil)
		own := a.signIn("alice")
		for name, raw := range map[string]string{
			"refresh token": own.RefreshToken, "the provider's access token": last["access_token"].(string), "the provider's ID token": last["id_token"].(string),
			"the provider's refresh token": last["refresh_token"].(string), "a sealed state": a.begin(browser()).Get("state"), "a nonce": a.begin(browser()).Get("nonce"),
		} {
			t.Run(name, func(t *testing.T) { requireRefused(t, a, a.auth.Required(), raw) })
		}
	})
	t.Run("of a provider, everything but its access token", func(t *testing.T) {
		x := newTarget(t, "ES256")
		other := newTarget(t, "ES256")
		own := newApp(t, newProvider(t, oidctest.Options{}), brokered()).signIn("alice")
		for name, raw := range map[string]string{
			"another issuer's": other.valid(), "another issuer's that claims to be this one": other.token(t, x.header(), x.claims(nil)),
			"this one's that claims to be of another": x.token(t, x.header(), other.claims(nil)), "a broker's": own.AccessToken, "a broker's refresh token": own.RefreshToken,
		} {
			t.Run(name, func(t *testing.T) { x.requireRefused(t, raw) })
		}
	})
}
