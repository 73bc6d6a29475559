// Package soak_test runs the demonstration as an application is run: replicas of
// it on one store, with clients that do what clients do. Meanwhile everything
// fails that can: processes are killed, the database is stopped, the provider
// stumbles. What the documents promise for that has to hold.
//
//	go test ./examples/soak -soak 2m
//	go test ./examples/soak -run /postgres_strict -seed 4711
package soak_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

var (
	length = flag.Duration("soak", 15*time.Second, "how long the soak takes, its preparations aside")
	seed   = flag.Uint64("seed", 0, "decides what happens when, as far as that can be decided; a failure tells its seed. 0: another one each time")
)

const (
	clients    = 32
	visitors   = 16
	perRequest = time.Second / 100 // for all clients of a case together

	// timeout is OIDC_TIMEOUT. A process that is killed leaves leases behind that
	// last for twice as long and 5 s more; the last part of a soak, without any
	// trouble, is for these.
	timeout = 2 * time.Second

	// tokenLifetime is short, so that the sessions of browsers are often refreshed.
	// Guards accept a token for half a minute more.
	tokenLifetime = 5 * time.Second
	calmFor       = 2*timeout + 5*time.Second

	// patience is how long an answer may take, and how long after the last trouble
	// a client may still be refused.
	patience = 90 * time.Second
)

// TestSoak holds that whatever dies, no session is lost that its user did not end,
// or, with a provider that rotates refresh tokens, that each loss is a documented
// one, and told.
func TestSoak(t *testing.T) {
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program := build(t)
	chosen := *seed
	if chosen == 0 {
		chosen = rand.Uint64()
	}
	// Side by side whatever -parallel says: mostly they wait.
	var all sync.WaitGroup
	for _, s := range []*soak{
		{name: "postgres lax", database: true},
		{name: "postgres strict", database: true, strict: true},
		{name: "sqlite lax"},
		{name: "sqlite strict", strict: true},
	} {
		all.Go(func() {
			t.Run(s.name, func(t *testing.T) {
				s.seed = chosen
				s.run(ctx, t, program)
			})
		})
	}
	all.Wait()
	if ctx.Err() != nil && t.Context().Err() == nil {
		t.Error("interrupted")
	}
}

// soak is one case: a store, a kind of provider, and all that is going on.
type soak struct {
	name     string
	database bool // Postgres and three replicas, instead of SQLite and one process
	strict   bool // the provider rotates refresh tokens, and detects their reuse
	seed     uint64

	ctx      context.Context // ends with the first broken rule
	end      context.CancelFunc
	calm     chan struct{} // closed when the last trouble is over
	overdue  <-chan struct{}
	provider *provider
	replicas []*replica
	log      *logbook
	requests *time.Ticker
	http     *http.Client

	mercy mercy
	findings
}

func (s *soak) run(ctx context.Context, t *testing.T, program string) {
	s.ctx, s.end = context.WithCancel(ctx)
	defer s.end()
	s.findings = findings{counts: map[string]int{}, successors: map[string]string{}, contested: map[string]bool{}}
	s.mercy.since = map[*client]time.Time{}
	s.log = &logbook{alarm: func(process, line string) {
		s.broken("no process panics, and none has a data race", line, process)
	}}
	s.calm = make(chan struct{})
	s.requests = time.NewTicker(perRequest)
	defer s.requests.Stop()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	s.http = &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.provider = newProvider(t, s.strict, s.rand(0))

	store, count := "sqlite:"+filepath.Join(t.TempDir(), "app.db"), 1
	var server *postgres
	if s.database {
		server = startPostgres(t)
		store, count = server.url, 3
	}
	for i := range count {
		s.replicas = append(s.replicas, &replica{s: s, number: i, program: program, env: environment(s.provider.Provider, store)})
	}
	defer s.killAll()

	rough, over := context.WithTimeout(s.ctx, max(*length-calmFor, *length/2))
	defer over()
	var troubles, people sync.WaitGroup
	for i, r := range s.replicas {
		troubles.Go(func() { r.live(rough, s.rand(1+i)) })
	}
	troubles.Go(func() { s.provider.stumble(rough, s.rand(10), &s.mercy) })
	if server != nil {
		troubles.Go(func() {
			if err := server.fail(rough, s.rand(11), &s.findings, &s.mercy); err != nil {
				s.broken("Postgres can be stopped and started", err.Error())
			}
		})
	}
	for i := range clients {
		people.Go(func() { s.newClient(i).live(rough) })
	}
	for i := range visitors {
		people.Go(func() { s.newVisitor(i).live(rough) })
	}
	troubles.Wait()
	late, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.overdue = late.Done()
	close(s.calm)
	people.Wait()
	if s.ctx.Err() == nil {
		s.stopAll()
	}
	s.killAll()
	if ctx.Err() == nil {
		s.judge(t)
	}
}

// rand makes the random decisions of one who acts here.
func (s *soak) rand(actor int) *rand.Rand { return rand.New(rand.NewPCG(s.seed, uint64(actor))) }

// pause waits for a time between two, and tells whether the troubles go on.
func pause(ctx context.Context, r *rand.Rand, from, to time.Duration) bool {
	timer := time.NewTimer(between(r, from, to))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

// environment is what every process of a case is configured by. Nothing listens
// at its public URL: clients come by each process's own address.
func environment(p *oidctest.Provider, store string) []string {
	return append(foreign(),
		"OIDC_ISSUER="+p.Issuer, "OIDC_CLIENT_ID="+p.ClientID, "OIDC_CLIENT_SECRET="+p.ClientSecret,
		"OIDC_PUBLIC_URL=https://soak.example/api", "OIDC_SECRETS="+strings.Repeat("soak", 16),
		"OIDC_STORE="+store, fmt.Sprintf("OIDC_TIMEOUT=%s", timeout),
	)
}
