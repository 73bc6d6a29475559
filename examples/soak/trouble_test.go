package soak_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// mercy keeps trouble from going on and on for one client: what is promised within
// the grace period of a refresh token can't be had by who is kept from asking for
// longer than that.
type mercy struct {
	mu    sync.Mutex
	since map[*client]time.Time // who tries in vain, and since when
}

// enough is how long a client may try in vain before there is no new trouble. The
// lease of a process that was killed can take calmFor more, and the grace period of
// the demonstration is 20 seconds.
const enough = 4 * time.Second

// begin notes that a client tries from now on, and gives what ends that.
func (m *mercy) begin(c *client) (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since[c].IsZero() {
		m.since[c] = time.Now()
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.since, c)
	}
}

// wait waits until nobody has tried for too long.
func (m *mercy) wait(rough context.Context) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for m.tries() > enough {
		select {
		case <-again.C:
		case <-rough.Done():
			return
		}
	}
}

// tries is how long somebody has tried in vain by now.
func (m *mercy) tries() (longest time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, since := range m.since {
		longest = max(longest, time.Since(since))
	}
	return longest
}

// provider is one that stumbles.
type provider struct {
	*oidctest.Provider

	mu     sync.Mutex
	random *rand.Rand           // nil: it doesn't stumble any more
	lost   map[string]time.Time // by subject: when an answer last got lost
}

func newProvider(t *testing.T, strict bool, random *rand.Rand) *provider {
	options := oidctest.Options{StrictRefresh: strict, SigningAlgorithm: "ES256"}
	for i := range clients {
		options.Users = append(options.Users, oidctest.User{Username: username(i)})
	}
	for i := range visitors {
		options.Users = append(options.Users, oidctest.User{Username: visitorName(i)})
	}
	p := &provider{Provider: oidctest.New(t, options), random: random, lost: map[string]time.Time{}}
	p.Answer(oidctest.TokenPath, p.token)
	return p
}

// stumble has the provider go away, or be slow, from time to time.
func (p *provider) stumble(rough context.Context, random *rand.Rand, m *mercy) {
	for pause(rough, random, time.Second, 4*time.Second) {
		m.wait(rough)
		switch random.IntN(3) {
		case 0:
			p.Down(true)
			pause(rough, random, 100*time.Millisecond, 800*time.Millisecond)
			p.Down(false)
		case 1:
			p.Delay(between(random, 0, 500*time.Millisecond))
			pause(rough, random, 500*time.Millisecond, 2*time.Second)
		case 2:
			p.Delay(timeout + 500*time.Millisecond)
			pause(rough, random, 100*time.Millisecond, 300*time.Millisecond)
		}
		p.Delay(0)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.random = nil
}

// token answers most requests as it should, after a moment, in which a process can
// be killed. Others it refuses to look at, or loses the answer.
func (p *provider) token(w http.ResponseWriter, r *http.Request, real http.Handler) {
	p.mu.Lock()
	fate, wait := 99, time.Duration(0)
	if p.random != nil {
		fate, wait = p.random.IntN(100), between(p.random, 0, 200*time.Millisecond)
	}
	p.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	<-timer.C
	if fate < 3 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	recorded := httptest.NewRecorder()
	real.ServeHTTP(recorded, r)
	answer := recorded.Body.Bytes()
	if fate < 6 || r.Context().Err() != nil { // or nobody waits any more
		p.lose(answer)
	}
	if fate < 5 {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection in silence
	}
	maps.Copy(w.Header(), recorded.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(recorded.Code)
	if fate < 6 { // a half of it arrives
		_, _ = w.Write(answer[:len(answer)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(answer) // fails only when nobody waits any more
}

// lose notes whose answer is about to get lost.
func (p *provider) lose(answer []byte) {
	var tokens oidctest.Tokens
	if json.Unmarshal(answer, &tokens) != nil || tokens.IDToken == "" {
		return // a refusal
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost[claimsOf(tokens.IDToken).Subject] = time.Now()
}

// lostSince tells whether an answer for somebody has got lost since then.
func (p *provider) lostSince(subject string, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost[subject].After(since)
}

// postgres is a server of the soak's own, since others would mind its outages.
type postgres struct{ url, control string }

func startPostgres(t *testing.T) *postgres {
	// The server lives for as long as cat, which ends with this process if not before.
	cmd := exec.Command("../../scripts/with-postgres", "sh", "-c", `printf '%s\n%s\n' "$TEST_POSTGRES_URL" "$TEST_POSTGRES_CONTROL"; exec cat`)
	cmd.Env = foreign()
	var said strings.Builder
	cmd.Stderr = &said
	hold, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	reader := bufio.NewReader(out)
	url, _ := reader.ReadString('\n') // what is missing shows below
	control, _ := reader.ReadString('\n')
	stop := func() {
		hold.Close()
		_, _ = io.Copy(io.Discard, reader)
		_ = cmd.Wait() // with-postgres says itself what went wrong
	}
	p := &postgres{strings.TrimSpace(url), strings.TrimSpace(control)}
	if p.url != "" && p.control != "" {
		t.Cleanup(stop)
		return p
	}
	stop()
	if os.Getenv("CI") == "true" {
		t.Fatal(said.String())
	}
	t.Skip(said.String())
	return nil
}

// fail stops the server again and again, and starts it soon afterwards, well
// within the grace period of the demonstration's refresh tokens.
func (p *postgres) fail(rough context.Context, random *rand.Rand, f *findings, m *mercy) error {
	for pause(rough, random, time.Second, 5*time.Second) {
		m.wait(rough)
		f.count("outages of Postgres", 1)
		if random.IntN(2) == 0 {
			if err := p.do("restart"); err != nil {
				return err
			}
			continue
		}
		if err := p.do("stop"); err != nil {
			return err
		}
		pause(rough, random, 100*time.Millisecond, 2*time.Second)
		if err := p.do("start"); err != nil {
			return err
		}
	}
	return nil
}

func (p *postgres) do(what string) error {
	if out, err := exec.Command(p.control, what).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", what, err, out)
	}
	return nil
}
