package core_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// calling starts an application whose user calls another API.
func calling(t *testing.T, configure ...func(*core.Config)) (a *app, api *otherAPI, ctx context.Context, last map[string]any) {
	a, api = newApp(t, expiring(t), append([]func(*core.Config){brokered()}, configure...)...), newOtherAPI(t)
	last = a.hears()
	return a, api, a.behind(a.signIn("alice")), last
}

// request makes a request to be sent by a ProviderClient.
func request(t *testing.T, ctx context.Context, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	return r
}

// status is that of an answer, whose body is done with.
func status(t *testing.T, client *http.Client, r *http.Request) int {
	t.Helper()
	res, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// refused gives the error of a request that is not sent, and holds that no error tells a
// secret.
func (a *app) refused(client *http.Client, r *http.Request) error {
	a.t.Helper()
	res, err := client.Do(r)
	if err == nil {
		_ = res.Body.Close()
	}
	require.Error(a.t, err)
	a.log.add(err.Error())
	return err
}

func TestAProviderClientSendsTheTokenToItsHosts(t *testing.T) {
	a, api, ctx, last := calling(t)
	second := newOtherAPI(t)
	client := a.auth.ProviderClient(ctx, api.host, second.host)
	r := request(t, ctx, "GET", api.URL+"/me", nil)
	require.Equal(t, http.StatusOK, status(t, client, r))
	require.Empty(t, r.Header, "the request is the caller's")
	require.Equal(t, http.StatusOK, status(t, client, request(t, ctx, "POST", second.URL, strings.NewReader("x"))))
	want := []string{"Bearer " + last["access_token"].(string)}
	require.Equal(t, want, api.got())
	require.Equal(t, want, second.got())
	require.Equal(t, core.DefaultTimeout, client.Timeout)
}

func TestAProviderClientSendsNothingElsewhere(t *testing.T) {
	a, api, ctx, _ := calling(t)
	thief := newOtherAPI(t)
	_, port, _ := strings.Cut(thief.host, ":")
	for name, change := range map[string]func(r *http.Request){
		"another port":                func(r *http.Request) { r.URL.Host, r.Host = thief.host, "" },
		"another name":                func(r *http.Request) { r.URL.Host, r.Host = "localhost:"+port, "" },
		"no port":                     func(r *http.Request) { r.URL.Host, r.Host = "127.0.0.1", "" },
		"the host as a user":          func(r *http.Request) { *r = *request(t, ctx, "GET", "http://"+api.host+"@"+thief.host, nil) },
		"a user":                      func(r *http.Request) { *r = *request(t, ctx, "GET", "http://bob:pw@"+api.host, nil) },
		"another header Host":         func(r *http.Request) { r.Host = thief.host },
		"http":                        func(r *http.Request) { r.URL.Host, r.Host = "api.example.org", "" },
		"a scheme":                    func(r *http.Request) { r.URL.Scheme = "ftp" },
		"an authorization of its own": func(r *http.Request) { r.Header.Set("Authorization", "Bearer of-the-application") },
	} {
		r := request(t, ctx, "POST", api.URL, strings.NewReader("x"))
		change(r)
		err := a.refused(a.auth.ProviderClient(ctx, api.host, "api.example.org"), r)
		require.ErrorContains(t, err, "the request was not sent", name)
		require.NotContains(t, err.Error(), "of-the-application", name)
		require.Empty(t, append(api.got(), thief.got()...), name)
	}
	require.Empty(t, thief.bodies)
}

func TestARedirectTakesTheTokenNowhereElse(t *testing.T) {
	a, api, ctx, last := calling(t)
	thief := newOtherAPI(t)
	client := a.auth.ProviderClient(ctx, api.host)
	for _, code := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		api.answers(http.RedirectHandler(thief.URL+"/x", code).ServeHTTP)
		err := a.refused(client, request(t, ctx, "POST", api.URL, strings.NewReader("x")))
		require.ErrorContains(t, err, thief.host+" is not one of its hosts")
		require.Len(t, api.got(), 1)
		require.Empty(t, thief.bodies, "not even the request")
	}
	mux := http.NewServeMux()
	mux.Handle("/a", http.RedirectHandler("/b", http.StatusFound))
	mux.Handle("/b", http.NotFoundHandler())
	api.answers(mux.ServeHTTP)
	require.Equal(t, http.StatusNotFound, status(t, client, request(t, ctx, "GET", api.URL+"/a", nil)))
	token := "Bearer " + last["access_token"].(string)
	require.Equal(t, []string{token, token}, api.got(), "on the same host it is followed")
}

func TestATokenThatAnAPIRefusesIsRefreshedOnceAndTriedOnceMore(t *testing.T) {
	a, api, ctx, last := calling(t)
	first := last["access_token"].(string)
	a.clock.Add(time.Minute)
	api.refuses(first)
	asked := a.asked()
	client := a.auth.ProviderClient(ctx, api.host)
	require.Equal(t, http.StatusOK, status(t, client, request(t, ctx, "POST", api.URL, strings.NewReader("the body"))))
	require.Equal(t, asked+1, a.asked())
	second := last["access_token"].(string)
	require.Equal(t, []string{"Bearer " + first, "Bearer " + second}, api.got())
	require.Equal(t, []string{"the body", "the body"}, api.bodies)

	// A new token is not refused for its age, and no refresh helps.
	api.refuses(second)
	require.Equal(t, http.StatusUnauthorized, status(t, client, request(t, ctx, "GET", api.URL, nil)))
	require.Len(t, api.got(), 1)
	require.Equal(t, asked+1, a.asked())

	// What comes once can't be sent twice.
	a.clock.Add(time.Minute)
	once := io.MultiReader(strings.NewReader("x"))
	require.Equal(t, http.StatusUnauthorized, status(t, client, request(t, ctx, "POST", api.URL, once)))
	require.Equal(t, asked+1, a.asked())
}

func TestManyWhoseTokenIsRefusedCostOneRefresh(t *testing.T) {
	a, api, ctx, last := calling(t)
	a.clock.Add(time.Minute)
	api.refuses(last["access_token"].(string))
	asked := a.asked()
	client := a.auth.ProviderClient(ctx, api.host)
	var done sync.WaitGroup
	for range 32 {
		done.Go(func() {
			res, err := client.Get(api.URL)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Error(res, err)
				return
			}
			_ = res.Body.Close()
		})
	}
	done.Wait()
	require.Equal(t, asked+1, a.asked())
}

func TestTheErrorOfACallOutTellsWhatToAnswer(t *testing.T) {
	a, api, ctx, last := calling(t)
	client := a.auth.ProviderClient(ctx, api.host)
	requireAnswer := func(code int) {
		t.Helper()
		w := httptest.NewRecorder()
		core.WriteError(w, a.refused(client, request(t, ctx, "GET", api.URL, nil)))
		require.Equal(t, code, w.Code, w.Body)
	}
	a.clock.Add(time.Minute)
	a.provider.Down(true)
	api.refuses(last["access_token"].(string))
	requireAnswer(http.StatusServiceUnavailable)
	a.provider.Down(false)
	a.provider.EndSessions()
	requireAnswer(http.StatusUnauthorized)
	requireAnswer(http.StatusUnauthorized)
	require.Len(t, api.got(), 2, "then there is nothing to send")
	client = a.auth.ProviderClient(t.Context(), api.host)
	require.ErrorIs(t, a.refused(client, request(t, ctx, "GET", api.URL, nil)), core.ErrMissingToken)
}

func TestAProviderClientUsesTheTransportOfTheConfiguration(t *testing.T) {
	hosts := make(chan string, 100)
	a, api, ctx, _ := calling(t, func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			hosts <- r.URL.Host
			return http.DefaultTransport.RoundTrip(r)
		})}
	})
	for len(hosts) > 0 {
		<-hosts
	}
	require.Equal(t, http.StatusOK, status(t, a.auth.ProviderClient(ctx, api.host), request(t, ctx, "GET", api.URL, nil)))
	require.Equal(t, api.host, <-hosts)
}

func TestAProviderClientNeedsHosts(t *testing.T) {
	a := newApp(t, expiring(t), brokered())
	require.Panics(t, func() { a.auth.ProviderClient(t.Context()) })
	for _, bad := range []string{"", "https://api.example.org", "api.example.org/v1", "u:p@api.example.org", "*.example.org", "api.example.org:99999", ":443", "api.example.org?x", "ä.example"} {
		require.Panics(t, func() { a.auth.ProviderClient(t.Context(), "api.example.org", bad) }, bad)
	}
	for _, good := range []string{"api.example.org", "API.example.org:8443", "[::1]:8080", "localhost"} {
		require.NotPanics(t, func() { a.auth.ProviderClient(t.Context(), good) }, good)
	}
}

func TestTheDefaultPortOfAHostMayBeLeftOut(t *testing.T) {
	reached := ""
	a, _, ctx, _ := calling(t, func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Hostname() != "127.0.0.1" {
				reached = r.URL.Host
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
			}
			return http.DefaultTransport.RoundTrip(r)
		})}
	})
	client := a.auth.ProviderClient(ctx, "a.example.org", "B.example.org:443", "c.example.org:8443", "localhost:443")
	for url, want := range map[string]bool{
		"https://a.example.org": true, "https://A.EXAMPLE.ORG:443": true, "https://b.example.org": true, "https://c.example.org:8443": true,
		"https://a.example.org:8443": false, "https://c.example.org": false, "http://localhost": false, "https://a.example.org.": false, "https://x.a.example.org": false,
	} {
		reached = ""
		res, err := client.Get(url)
		if err == nil {
			_ = res.Body.Close()
		}
		require.Equal(t, want, err == nil, fmt.Sprint(url, err))
		require.Equal(t, want, reached != "", url)
	}
}
