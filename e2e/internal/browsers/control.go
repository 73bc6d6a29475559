package browsers

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// control lets scenarios do to a shop what no browser can. Each answer tells what has happened
// so far.
func (s *shop) control() http.Handler {
	mux := http.NewServeMux()
	do := func(path string, act func(*http.Request) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := act(r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			s.report(w)
		})
	}
	do("/look", func(*http.Request) error { return nil })
	do("/later", func(r *http.Request) error {
		by, err := time.ParseDuration(r.FormValue("by"))
		s.ahead.Add(int64(by))
		return err
	})
	do("/provider", func(r *http.Request) error {
		s.provider.Down(r.FormValue("down") == "true")
		return nil
	})
	do("/revoke", func(r *http.Request) error {
		_, err := s.auth.Revoke(r.Context(), core.Who{Subject: r.FormValue("subject")})
		return err
	})
	return mux
}

// report tells how often something was ordered, and the provider asked for tokens.
func (s *shop) report(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"orders": s.orders.Load(), "tokens": s.provider.Requests(oidctest.TokenPath), "logins": s.provider.Requests(oidctest.AuthorizePath),
	})
}
