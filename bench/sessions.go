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
)

// sessions is how long requests take behind a guard that accepts a broker's token which
// it remembers, and behind one that remembers besides that its session goes on.
type sessions struct {
	times map[string]times
	cost  map[string]cost
}

const (
	notLookedUp = "no CheckSession"
	remembering = "CheckSession, remembered"
)

func lookUps(e effort, i *issuer) (sessions, error) {
	s := sessions{cost: map[string]cost{}}
	var contestants []contestant
	for _, row := range []struct {
		name  string
		check time.Duration
	}{{notLookedUp, 0}, {remembering, 30 * time.Second}} {
		auth, err := core.New(core.Config{
			Providers: []core.Provider{{Issuer: i.url, ClientID: audience}}, PublicURL: "https://shop.example.org/api",
			Broker: &core.Broker{CheckSession: row.check}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return s, err
		}
		defer auth.Close()
		raw, err := deviceLogin(auth)
		if err != nil {
			return s, err
		}
		_, guarded := onStd(auth, "Bearer "+raw)
		guarded() // now it is remembered
		contestants = append(contestants, contestant{row.name, 1, guarded})
	}
	s.times = measure(e, processor, contestants)
	for _, c := range contestants {
		s.cost[c.name] = costOf(c.run)
	}
	return s, nil
}

// deviceLogin gives the access token of a login that the issuer agrees to at once.
func deviceLogin(auth *core.Auth) (string, error) {
	mux := http.NewServeMux()
	for _, e := range auth.Endpoints() {
		mux.Handle(e.Path, e.Handler)
	}
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
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			return "", fmt.Errorf("%s answered %d: %s", path, w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			return "", err
		}
	}
	return got.AccessToken, nil
}

func (s sessions) table() table {
	t := table{title: "Requests behind a broker's guard, RS256, a hit, in the process", columns: []string{"sessions", "µs", "× no CheckSession", "allocations"}}
	for _, name := range []string{notLookedUp, remembering} {
		t.add(name, micro(s.times[name]), s.times[name].over(s.times[notLookedUp]), s.cost[name].allocations)
	}
	return t
}
