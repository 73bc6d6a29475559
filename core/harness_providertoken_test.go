package core_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// tokenLife is how long the application takes access tokens of expiring for valid.
const tokenLife = 5 * time.Minute

// expiring starts a provider whose access tokens outlive every test's clock. What hears says
// of them decides when the application refreshes them.
func expiring(t *testing.T) *oidctest.Provider {
	return newProvider(t, oidctest.Options{StrictRefresh: true, AccessTokenLifetime: 1000 * time.Hour})
}

// hears overhears the provider, and has it say that its access tokens are valid for tokenLife.
func (a *app) hears() map[string]any {
	return a.overhear(func(body map[string]any) { body["expires_in"] = int(tokenLife.Seconds()) })
}

// behind gives the context of a request behind a guard, by the access token in these tokens.
func (a *app) behind(ours tokens) context.Context {
	a.t.Helper()
	token, err := a.auth.Verify(a.t.Context(), ours.AccessToken)
	require.NoError(a.t, err)
	return core.WithToken(a.t.Context(), token)
}

// behindCookie gives the context of a request behind a guard, by a browser's cookie.
func (a *app) behindCookie(client *http.Client) context.Context {
	a.t.Helper()
	cookie := a.cookieOf(client)
	token, err := a.auth.Required().Check(a.t.Context(), core.Request{Method: "GET", Cookie: []string{cookie.Name + "=" + cookie.Value}})
	require.NoError(a.t, err)
	return core.WithToken(a.t.Context(), token)
}

// providerToken is the provider's token of a context's session, which has to be there.
func (a *app) providerToken(ctx context.Context) string {
	a.t.Helper()
	raw, err := a.auth.ProviderToken(ctx)
	require.NoError(a.t, err)
	return raw
}

// providerTokenFails gives the error of a session that has no token.
func (a *app) providerTokenFails(ctx context.Context) error {
	a.t.Helper()
	raw, err := a.auth.ProviderToken(ctx)
	require.Empty(a.t, raw)
	require.Error(a.t, err)
	a.log.add(err.Error())
	return err
}

// asked is how often the provider was asked for tokens.
func (a *app) asked() int { return a.provider.Requests(oidctest.TokenPath) }

// otherAPI is an API that takes the provider's tokens.
type otherAPI struct {
	*httptest.Server
	host string

	mu     sync.Mutex
	tokens []string // the values of the headers Authorization that came
	bodies []string
	answer http.HandlerFunc // nil: 200
	refuse string           // the token that is answered 401; "": none
}

func newOtherAPI(t *testing.T) *otherAPI {
	api := &otherAPI{}
	api.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		api.mu.Lock()
		api.tokens = append(api.tokens, r.Header["Authorization"]...)
		api.bodies = append(api.bodies, string(body))
		answer, refused := api.answer, api.refuse != "" && r.Header.Get("Authorization") == "Bearer "+api.refuse
		api.mu.Unlock()
		switch {
		case refused:
			w.WriteHeader(http.StatusUnauthorized)
		case answer != nil:
			answer(w, r)
		}
	}))
	t.Cleanup(api.Close)
	u, err := url.Parse(api.URL)
	require.NoError(t, err)
	api.host = u.Host
	return api
}

// got is what came in headers Authorization since the last call.
func (o *otherAPI) got() (tokens []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	tokens, o.tokens = o.tokens, nil
	return tokens
}

// refuses has the API answer 401 to a token.
func (o *otherAPI) refuses(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuse = token
}

// answers has the API answer in another way.
func (o *otherAPI) answers(answer http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}
