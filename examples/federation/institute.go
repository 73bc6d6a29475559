package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

// fleet is the one audience that all tokens of a federation with brokers of
// py-oidc-auth have. Where there are none, leave Broker.Audience empty and name the
// peers in Broker.PeerAudiences: docs/federation.md tells why.
const fleet = "fleet"

// guests is a further audience of all tokens, which institutes accept of each other's
// users and not of their own. A client that visits a peer gets a token for guests alone,
// so that the peer can't use it at the user's home.
const guests = "guests"

// institute is an organization with users, a provider that knows them, and an
// application, which runs as several instances with one store.
type institute struct {
	url      string // of the application, and the issuer of its tokens
	provider *oidctest.Provider
	file     string // of the store
	secrets  []string

	server    *http.Server
	next      atomic.Uint64 // whose turn it is
	down      atomic.Bool
	mu        sync.RWMutex // held while instances come, go or are chosen
	instances []*instance
}

// instance is one process of an application, or would be.
type instance struct {
	auth    *core.Auth
	records store.Store
	handler http.Handler
}

func newInstitute(ctx context.Context, name, addr, folder string, instances int) (*institute, error) {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{StrictRefresh: true})
	if err != nil {
		return nil, err
	}
	listener, origin, err := listen(addr)
	if err != nil {
		provider.Close()
		return nil, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	i := &institute{
		url: origin + "/api", provider: provider, file: filepath.Join(folder, name+".db"),
		secrets: []string{base64.StdEncoding.EncodeToString(secret)},
	}
	i.server = &http.Server{Handler: i, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go i.server.Serve(listener) // ends by close
	for range instances {
		if err := i.grow(ctx, nil); err != nil {
			i.close()
			return nil, err
		}
	}
	return i, nil
}

// ServeHTTP has the instances take turns, as a load balancer would.
func (i *institute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i.down.Load() {
		panic(http.ErrAbortHandler) // cuts the connection
	}
	if chosen := i.choose(r.URL.Query().Get("instance")); chosen != nil {
		chosen.handler.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

// choose gives the instance of that number, or the next one; nil when there is none.
func (i *institute) choose(number string) *instance {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if len(i.instances) == 0 {
		return nil
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		n = int(i.next.Add(1) % uint64(len(i.instances)))
	}
	return i.instances[n%len(i.instances)]
}

// grow starts one more instance.
func (i *institute) grow(ctx context.Context, peers []core.Issuer) error {
	records := sqlite.New(i.file)
	auth, err := core.New(core.Config{
		Providers:      []core.Provider{{Issuer: i.provider.Issuer, ClientID: i.provider.ClientID, ClientSecret: i.provider.ClientSecret}},
		PublicURL:      i.url,
		Secrets:        i.secrets,
		Broker:         &core.Broker{Store: records, Audience: fleet, PeerAudiences: []string{guests}, PythonPeers: true, Exchange: true},
		TrustedIssuers: peers,
		Logger:         slog.New(slog.DiscardHandler), // nearly all that happens here is provoked
	})
	if err != nil {
		return err
	}
	if err := auth.Start(ctx); err != nil {
		return errors.Join(err, auth.Close(), records.Close())
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.instances = append(i.instances, &instance{auth, records, routes(auth)})
	return nil
}

// shrink stops all instances but the first n.
func (i *institute) shrink(n int) error {
	i.mu.Lock()
	gone := i.instances[n:]
	i.instances = i.instances[:n:n]
	i.mu.Unlock()
	var problems []error
	for _, each := range gone {
		problems = append(problems, each.auth.Close(), each.records.Close())
	}
	return errors.Join(problems...)
}

// trust tells every instance whose tokens count from now on. Who runs several
// processes reads the list from a file or a table, in each of them.
func (i *institute) trust(peers ...core.Issuer) error {
	for _, each := range i.instances {
		if err := each.auth.SetTrustedIssuers(peers); err != nil {
			return err
		}
	}
	return nil
}

func (i *institute) close() {
	_ = i.server.Close()
	_ = i.shrink(0)
	_ = i.provider.Close()
}

// routes are the application's: federation is nothing that they notice.
func routes(auth *core.Auth) http.Handler {
	api := chiauth.Router(auth)
	api.With(chiauth.Required(auth)).Get("/me", me)
	api.With(chiauth.Required(auth, core.AnyRole("user", "visitor"))).Get("/library", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"message": "You may read here."})
	})
	api.With(chiauth.Required(auth, core.AnyRole("admin"))).Get("/peers", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, auth.Health().Issuers)
	})
	router := chi.NewRouter()
	router.Mount("/api", api)
	return router
}

// me tells whom the token is about. A user is known by issuer and subject together.
func me(w http.ResponseWriter, r *http.Request) {
	token := core.TokenFrom(r.Context())
	writeJSON(w, map[string]any{
		"issuer": token.Issuer(), "subject": token.Subject(), "username": token.Username(), "roles": token.Roles(),
	})
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has gone
}
