package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/stdauth"
)

// sessions is how long requests take behind a guard that accepts a broker's token which
// it remembers, behind one that remembers besides that its session goes on, and behind
// one that remembers the session of a cookie.
type sessions struct {
	times map[string]times
	cost  map[string]cost
}

const (
	notLookedUp = "no CheckSession"
	remembering = "CheckSession, remembered"
	byCookie    = "cookie, remembered"
)

func lookUps(e effort, i *issuer) (sessions, error) {
	s := sessions{cost: map[string]cost{}}
	var contestants []contestant
	for _, row := range []struct {
		name   string
		broker core.Broker
		cookie *core.Browser
		signIn func(http.Handler) (header, value string, err error)
	}{
		{notLookedUp, core.Broker{}, nil, deviceLogin},
		{remembering, core.Broker{CheckSession: 30 * time.Second}, nil, deviceLogin},
		{byCookie, core.Broker{}, &core.Browser{}, browserLogin},
	} {
		auth, err := core.New(core.Config{
			Providers: []core.Provider{{Issuer: i.url, ClientID: audience}}, PublicURL: "https://shop.example.org/api",
			Broker: &row.broker, Browser: row.cookie, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return s, err
		}
		defer auth.Close()
		mux := http.NewServeMux()
		stdauth.Mount(mux, "", auth)
		mux.Handle("GET /guarded", stdauth.Required(auth)(http.HandlerFunc(done)))
		header, value, err := row.signIn(mux)
		if err != nil {
			return s, err
		}
		guarded := get(mux, "/guarded", header, value)
		if err := guarded(); err != nil { // now it is remembered
			return s, err
		}
		contestants = append(contestants, contestant{row.name, 1, func() { _ = guarded() }})
	}
	s.times = measure(e, processor, contestants)
	for _, c := range contestants {
		s.cost[c.name] = costOf(c.run)
	}
	return s, nil
}

// get sends the same request again and again.
func get(router http.Handler, path, header, value string) func() error {
	r, w := httptest.NewRequest(http.MethodGet, path, nil), &noBody{header: http.Header{}}
	r.Header.Set(header, value)
	return func() error {
		router.ServeHTTP(w, r)
		if w.status != http.StatusNoContent {
			return fmt.Errorf("%s answered %d", path, w.status)
		}
		return nil
	}
}

// noBody is an answer of which the status alone counts.
type noBody struct {
	header http.Header
	status int
}

func (n *noBody) Header() http.Header         { return n.header }
func (n *noBody) Write(p []byte) (int, error) { return len(p), nil }
func (n *noBody) WriteHeader(status int)      { n.status = status }

// deviceLogin gives the access token of a login that the issuer agrees to at once.
func deviceLogin(router http.Handler) (header, value string, err error) {
	var got struct {
		DeviceCode  string `json:"device_code"`
		AccessToken string `json:"access_token"`
	}
	for _, path := range []string{"/auth/v2/device", "/auth/v2/token"} {
		form := url.Values{}
		if got.DeviceCode != "" {
			form.Set("device_code", got.DeviceCode)
		}
		r, w := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode())), httptest.NewRecorder()
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		router.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			return "", "", fmt.Errorf("%s answered %d: %s", path, w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			return "", "", err
		}
	}
	return "Authorization", "Bearer " + got.AccessToken, nil
}

// browserLogin gives the cookie of a login by code.
func browserLogin(router http.Handler) (header, value string, err error) {
	begun := httptest.NewRecorder()
	router.ServeHTTP(begun, httptest.NewRequest(http.MethodGet, "/auth/v2/login", nil))
	authorize, err := begun.Result().Location()
	if err != nil {
		return "", "", fmt.Errorf("login answered %d: %w", begun.Code, err)
	}
	asked := authorize.Query()
	answer := url.Values{"state": {asked.Get("state")}, "code": {asked.Get("nonce")}}
	r, ended := httptest.NewRequest(http.MethodGet, "/auth/v2/callback?"+answer.Encode(), nil), httptest.NewRecorder()
	for _, cookie := range begun.Result().Cookies() {
		r.AddCookie(cookie)
	}
	router.ServeHTTP(ended, r)
	for _, cookie := range ended.Result().Cookies() {
		if cookie.MaxAge >= 0 {
			return "Cookie", cookie.Name + "=" + cookie.Value, nil
		}
	}
	return "", "", fmt.Errorf("the callback answered %d and no cookie: %s", ended.Code, ended.Body)
}

func (s sessions) table() table {
	t := table{title: "Requests behind a broker's guard, RS256, a hit, in the process", columns: []string{"sessions", "µs", "× no CheckSession", "allocations"}}
	for _, name := range []string{notLookedUp, remembering, byCookie} {
		t.add(name, micro(s.times[name]), s.times[name].over(s.times[notLookedUp]), s.cost[name].allocations)
	}
	return t
}
