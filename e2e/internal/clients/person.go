package clients

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// servePerson lets programs ask a person to act, until the suite ends. GET /sign-in
// signs in at the login that the parameter url names, and answers with the URL that the
// browser was sent to; GET /device decides about a device.
func servePerson(r *harness.Run, who harness.Person) (string, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) {
		back, err := signIn(r.Context(), r.FormValue("url"), who)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, back)
	})
	mux.HandleFunc("GET /device", func(w http.ResponseWriter, r *http.Request) {
		if err := decide(r.Context(), r.FormValue("uri"), r.FormValue("code"), r.FormValue("decision") == "approve", who); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	r.Cleanup(func() { _ = server.Close() })
	go server.Serve(listener)
	return "http://" + listener.Addr().String(), nil
}

// signIn opens a login in a new browser, and gives the URL at which it stops: the
// client's redirect URI, with the answer in its query.
func signIn(ctx context.Context, login string, who harness.Person) (*url.URL, error) {
	address, err := url.Parse(login)
	if err != nil {
		return nil, err
	}
	return harness.NewBrowser(address.Query().Get("redirect_uri")).Back(ctx, login, who)
}

// decide opens a device's page, and approves or refuses.
func decide(ctx context.Context, page, code string, approve bool, who harness.Person) error {
	who.Code, who.Refuses = code, !approve
	return harness.NewBrowser().SignIn(ctx, page, who).Is(http.StatusOK, "")
}
