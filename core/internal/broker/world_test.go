package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	cryptorand "crypto/rand"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// This file is the world of the simulation in simulation_test.go: some instances of one
// broker over one store that stumbles, and a provider in the process. Time is that of a
// bubble of testing/synctest, and the clocks of the instances are apart.

const (
	worldIssuer   = "https://id.example.org"
	worldAudience = "https://app.example.org/api"
)

// worldProvider answers as a provider does whose refresh tokens never change, but for those
// that are strict.
type worldProvider struct {
	key    *jose.PrivateKey
	strict *strictTokens // nil: there are none
}

// worldKey is the provider's, and the same in all worlds.
var worldKey = sync.OnceValue(func() *jose.PrivateKey {
	key, err := jose.Generate("EdDSA")
	if err != nil {
		panic(err)
	}
	return key
})

func (p *worldProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.strict != nil && r.URL.Path == "/token" {
		return p.strict.roundTrip(p, r)
	}
	var body string
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		body = `{"issuer":"` + worldIssuer + `","authorization_endpoint":"` + worldIssuer + `/authorize","token_endpoint":"` + worldIssuer + `/token","jwks_uri":"` + worldIssuer + `/keys"}`
	case "/keys":
		public, err := p.key.Public()
		if err != nil {
			return nil, err
		}
		body = `{"keys":[` + string(public) + `]}`
	case "/token":
		form, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_, subject, _ := strings.Cut(string(form), "refresh_token=of-")
		subject, _, _ = strings.Cut(subject, "&")
		token := p.access(subject)
		body = fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":300}`, token)
	}
	return answered(r, http.StatusOK, body), nil
}

func answered(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// access is an access token of the provider's that says all there is to say.
func (p *worldProvider) access(subject string) string {
	now := time.Now()
	token, err := p.key.Sign("at+jwt", fmt.Appendf(nil,
		`{"iss":%q,"sub":%q,"aud":"app","exp":%d,"iat":%d,"preferred_username":%q,"roles":["user"],"scope":"openid"}`,
		worldIssuer, subject, now.Add(time.Hour).Unix(), now.Add(-time.Minute).Unix(), subject))
	if err != nil {
		panic(err)
	}
	return token
}

// stumblingStore fails now and then, before or after it has done what it was asked for.
type stumblingStore struct {
	store.Store
	world *world
}

var errStumbled = errors.New("the store stumbles")

func (s stumblingStore) call(do func() error) error {
	before, after := s.world.stumbles()
	if before {
		return errStumbled
	}
	err := do()
	if after {
		return errStumbled
	}
	return err
}

func (s stumblingStore) Get(ctx context.Context, kind, id string) (r store.Record, err error) {
	err = s.call(func() (err error) { r, err = s.Store.Get(ctx, kind, id); return err })
	return r, err
}

func (s stumblingStore) Find(ctx context.Context, kind, key, after string, limit int) (r []store.Record, err error) {
	err = s.call(func() (err error) { r, err = s.Store.Find(ctx, kind, key, after, limit); return err })
	return r, err
}

func (s stumblingStore) Put(ctx context.Context, r store.Record) (version int64, err error) {
	err = s.call(func() (err error) { version, err = s.Store.Put(ctx, r); return err })
	return version, err
}

func (s stumblingStore) Delete(ctx context.Context, kind, id string, version int64) error {
	return s.call(func() error { return s.Store.Delete(ctx, kind, id, version) })
}

// world is one run.
type world struct {
	seed      uint64
	rng       *rand.Rand
	instances []*instance
	provider  *worldProvider
	log       bytes.Buffer // of the run, for people

	mu       sync.Mutex // guards what follows: instances load their keys in the background
	chances  *rand.Rand // of the store
	stumbled int        // percent of the calls that fail

	ctx   context.Context
	check time.Duration // Broker.CheckSession

	usually      int  // percent of the store's calls that fail in this run
	everStumbled bool // some may have failed
	far          bool // the run takes days

	sessions  []*worldSession
	browsers  []*worldBrowser
	tokens    []*worldToken
	rotations []*worldRotation
	switched  time.Time // of the last rotation
	serial    int       // of the last logout token
	reached   map[string]int
	broken    error

	ends          map[string][]string // for which reasons sessions were ended, as events tell
	providerEnded map[string]bool     // logins that have ended at the provider
}

// instance is one process, with a clock of its own.
type instance struct {
	*Broker
	name   string
	offset time.Duration
	tasks  *background.Tasks
}

// clocksApart is how far the clocks of instances are apart at most.
const clocksApart = 4 * time.Second

func newWorld(ctx context.Context, seed uint64) (*world, error) {
	w := &world{
		ctx:  ctx,
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), chances: rand.New(rand.NewPCG(seed, 1)),
		provider: &worldProvider{key: worldKey()}, reached: map[string]int{}, ends: map[string][]string{}, providerEnded: map[string]bool{},
	}
	w.check = []time.Duration{0, time.Second, 30 * time.Second, 5 * time.Minute}[w.rng.IntN(4)]
	records := memory.New()
	for i := range 2 + w.rng.IntN(2) {
		in := &instance{name: string(rune('A' + i)), offset: time.Duration(w.rng.Int64N(int64(clocksApart)))}
		now := func() time.Time { return time.Now().Add(in.offset) }
		logger := slog.New(slog.DiscardHandler)
		in.tasks = background.New(logger)
		client := httpx.New(&http.Client{Transport: w.provider}, time.Second)
		var err error
		in.Broker, err = New(Options{
			PublicURL: worldAudience, ClientID: "app", Audience: worldAudience, Algorithm: "EdDSA", RoleClaims: []string{"roles"},
			Provider: provider.New(provider.Options{
				Issuer: worldIssuer, ClientID: "app", DiscoveryURL: worldIssuer + "/.well-known/openid-configuration",
				HTTP: client, Now: now, Tasks: in.tasks, Logger: logger,
				Verifier: func(keys verify.KeySource) *verify.Verifier {
					return &verify.Verifier{
						Issuer: verify.NewIssuerName(worldIssuer), Keys: keys, ClientID: "app", Leeway: 30 * time.Second, Now: now,
						Audience: verify.Audience{ClientID: "app"}, Roles: claim.RolePaths{"roles"}.In,
					}
				},
			}),
			TokenLifetime: 15 * time.Minute, SessionLifetime: 24 * time.Hour, SessionIdle: 6 * time.Hour, RefreshGrace: time.Minute,
			KeyLifetime: 48 * time.Hour, CheckSession: w.check, CheckBrowser: max(w.check, time.Second), StaleFor: time.Hour,
			Store: stumblingStore{records, w}, Secrets: [][]byte{make([]byte, 32)},
			Leeway: 30 * time.Second, Timeout: time.Second, Now: now, Rand: cryptorand.Reader, Tasks: in.tasks, Logger: logger,
			Note: func(context.Context, string, error) {}, GiveBack: func(context.Context, string) {},
			Tell: w.tell, RequestID: func(context.Context) string { return "" },
		})
		if err != nil {
			return nil, err
		}
		w.instances = append(w.instances, in)
	}
	return w, nil
}

// tell takes an event.
func (w *world) tell(_ context.Context, event Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if event.Kind == Ended {
		w.ends[event.Session] = append(w.ends[event.Session], event.Reason)
	}
}

func (w *world) close() {
	for _, in := range w.instances {
		in.tasks.Close()
	}
}

func (w *world) stumbles() (before, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chances.IntN(100) < w.stumbled, w.chances.IntN(100) < w.stumbled
}

// stumbling sets how many percent of the store's calls fail.
func (w *world) stumbling(percent int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stumbled = percent
}

func (w *world) logf(format string, args ...any) {
	fmt.Fprintf(&w.log, "%s %s\n", time.Now().UTC().Format("02 15:04:05.000"), fmt.Sprintf(format, args...))
}

// fail notes the first rule that was broken.
func (w *world) fail(format string, args ...any) {
	if w.broken == nil {
		w.broken = fmt.Errorf(format, args...)
		w.logf("BROKEN: %v", w.broken)
	}
}

func (w *world) anInstance() *instance { return w.instances[w.rng.IntN(len(w.instances))] }

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func anyOf[T any](w *world, list []T) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return list[w.rng.IntN(len(list))], true
}
