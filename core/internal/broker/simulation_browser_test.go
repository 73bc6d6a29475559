package broker

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/stretchr/testify/require"
)

// This file has browsers in the world of the simulation. They come with several requests at
// once, to all instances, while somebody ends their session, and the provider takes a refresh
// token once only.

// strictTokens are the refresh tokens of a provider that rotates them, and stumbles.
type strictTokens struct {
	mu       sync.Mutex
	chances  *rand.Rand
	stumbles int                  // percent of the calls
	used     map[string]bool      // tokens
	flying   map[string]bool      // tokens
	dead     map[string]bool      // families
	lost     map[string]bool      // families of which an answer may have been lost
	answered map[string]time.Time // families
	unsaved  func() bool          // whether the application may have lost one
	broken   error
	calls    int
}

// family is the login to which a refresh token belongs: user1.7 of of-user1.7.3.
func family(token string) string { return token[len("of-"):strings.LastIndexByte(token, '.')] }

// errCut is the error of a connection that is cut.
var errCut = errors.New("the connection was cut")

// roundTrip answers a refresh, after a while.
func (s *strictTokens) roundTrip(p *worldProvider, r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	token := form.Get("refresh_token")
	s.mu.Lock()
	if s.flying[token] && !s.unsaved() {
		s.broken = fmt.Errorf("two calls at once with %s", token)
	}
	s.calls++
	s.flying[token] = true
	takes := time.Duration(s.chances.Int64N(int64(900 * time.Millisecond)))
	trouble := ""
	if s.chances.IntN(100) < s.stumbles {
		trouble = []string{"busy", "cut before", "cut after", "slow"}[s.chances.IntN(4)]
	}
	s.mu.Unlock()
	if trouble == "slow" {
		takes = time.Minute
	}
	select {
	case <-r.Context().Done(): // it is done all the same
		trouble = "cut after"
	case <-time.After(takes):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flying, token)
	switch trouble {
	case "busy":
		return answered(r, http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`), nil
	case "cut before":
		return nil, errCut
	}
	if s.used[token] {
		if !s.lost[family(token)] && !s.unsaved() {
			s.broken = fmt.Errorf("%s was used before", token)
		}
		s.dead[family(token)] = true
	}
	if s.dead[family(token)] {
		return answered(r, http.StatusBadRequest, `{"error":"invalid_grant"}`), nil
	}
	s.used[token] = true
	if last := s.answered[family(token)]; !last.IsZero() && time.Since(last) < 15*time.Minute-slack && !s.unsaved() {
		s.broken = fmt.Errorf("%s is asked for again after %s", family(token), time.Since(last))
	}
	if trouble == "cut after" {
		s.lost[family(token)] = true
		return nil, errCut
	}
	s.answered[family(token)] = time.Now()
	var generation int
	_, _ = fmt.Sscan(token[strings.LastIndexByte(token, '.')+1:], &generation)
	subject, _, _ := strings.Cut(family(token), ".")
	return answered(r, http.StatusOK, fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":300,"refresh_token":"of-%s.%d"}`,
		p.access(subject), family(token), generation+1)), nil
}

// knows reports what is known of a family.
func (s *strictTokens) knows(of map[string]bool, family string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of[family]
}

// worldBrowser is a browser that is signed in.
type worldBrowser struct {
	worldSession
	cookie    string
	family    string
	signedOut bool // it was told so, and nobody has ended the session for sure
}

// browsing has a world with browsers.
func (w *world) browsing() {
	w.provider.strict = &strictTokens{
		chances: rand.New(rand.NewPCG(w.seed, 2)), used: map[string]bool{}, flying: map[string]bool{}, dead: map[string]bool{}, lost: map[string]bool{}, answered: map[string]time.Time{},
		unsaved: func() bool { return w.everStumbled },
	}
	if w.chance(50) {
		w.usually = []int{1, 5, 20}[w.rng.IntN(3)]
		w.everStumbled = true
	}
	if w.chance(50) {
		w.provider.strict.stumbles = []int{5, 20, 60}[w.rng.IntN(3)]
	}
	w.stumbling(w.usually)
}

func (w *world) openBrowser() {
	in := w.anInstance()
	b := &worldBrowser{worldSession: worldSession{subject: fmt.Sprintf("user%d", w.rng.IntN(3)), began: time.Now()}}
	b.family = fmt.Sprintf("%s.%d", b.subject, len(w.browsers))
	id := claim.Of(nil, map[string]any{"sub": b.subject})
	id.Subject = b.subject
	tokens := Tokens{AccessToken: w.provider.access(b.subject), RefreshToken: "of-" + b.family + ".1"}
	cookie, whose, err := in.BeginBrowser(w.ctx, Device{}, tokens, id)
	w.logf("%s opens %s %s: %v", in.name, b.family, whose.Session, err)
	if err != nil {
		w.mayFail("a login", err)
		return
	}
	b.id, b.cookie = whose.Session, cookie
	w.browsers = append(w.browsers, b)
}

// endings are the ways in which somebody ends a session.
var endings = []func(w *world, in *instance, b *worldBrowser) error{
	func(w *world, in *instance, b *worldBrowser) error {
		_, err := in.End(w.ctx, Filter{Session: b.id}, session.ReasonRevoked)
		return err
	},
	func(w *world, in *instance, b *worldBrowser) error {
		_, err := in.Logout(w.ctx, "app", "", "", in.CookieSession(b.cookie))
		return err
	},
}

// visit has some requests of a browser come at once, and sometimes the end of its session with
// them.
func (w *world) visit() {
	if len(w.browsers) == 0 {
		return
	}
	b := w.browsers[max(0, len(w.browsers)-1-w.rng.IntN(4))]
	was, wasBy, wasUnsure := b.ended, b.by, b.unsure
	ending := was.IsZero() && w.chance(10)
	var all sync.WaitGroup
	for range 1 + w.rng.IntN(6) {
		in, later := w.anInstance(), time.Duration(w.rng.Int64N(int64(200*time.Millisecond)))
		all.Go(func() {
			time.Sleep(later)
			now := time.Now()
			s, err := in.Browser(w.ctx, b.cookie)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.logf("%s sees %s: %v", in.name, b.family, err)
			w.holdVisit(in, b, s, err, now, was, wasBy, ending || wasUnsure)
		})
	}
	if ending {
		in, end, later := w.anInstance(), endings[w.rng.IntN(len(endings))], time.Duration(w.rng.Int64N(int64(time.Second)))
		all.Go(func() {
			time.Sleep(later)
			err := end(w, in, b)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.logf("%s ends %s: %v", in.name, b.family, err)
			w.mayFail("an end", err)
			if b.unsure = err != nil; err == nil {
				b.ended, b.by = time.Now(), in
				w.reach("ended among visits")
			}
		})
	}
	all.Wait()
	if b.signedOut {
		w.holdReason(b)
	}
	if broken := w.provider.strict.broken; broken != nil {
		w.fail("%v", broken)
	}
}

// holdVisit holds the rules for what a guard has answered. was and by tell of an end before the
// visit; maybe: there may have been another one.
func (w *world) holdVisit(in *instance, b *worldBrowser, s *BrowserSession, err error, now, was time.Time, by *instance, maybe bool) {
	switch {
	case err == nil:
		w.reach("accepted")
		if got := s.Token.Claims.Subject; got != b.subject {
			w.fail("a cookie of %s is one of %s", b.subject, got)
		}
		if !was.IsZero() && (in == by || now.Sub(was) > in.CheckBrowser) {
			w.fail("%s is accepted %s after its end", b.family, now.Sub(was))
		}
	case unavailable(err):
		w.reach("unavailable")
		if w.provider.strict.stumbles == 0 {
			w.mayFail("a visit", err)
		}
	case !errors.Is(err, fault.InvalidToken):
		w.fail("a visit fails with %v", err)
	case !was.IsZero() || maybe || now.Sub(b.began) > 5*time.Hour:
		w.reach("refused")
	default:
		b.signedOut = true
	}
}

// holdReason holds that nobody is signed out without a reason, which an event tells.
func (w *world) holdReason(b *worldBrowser) {
	time.Sleep(10 * time.Second) // whoever ended it may still be waiting for the store
	w.mu.Lock()
	defer w.mu.Unlock()
	b.signedOut, b.unsure = false, true
	lost := w.everStumbled || w.provider.strict.knows(w.provider.strict.lost, b.family)
	ended := w.providerEnded[b.family]
	reasons := w.ends[b.id]
	if len(reasons) != 1 {
		w.fail("%s was signed out for %q", b.family, reasons)
		return
	}
	w.reach(reasons[0])
	switch session.Reason(reasons[0]) {
	case session.ReasonUnknown:
		ended = ended && w.provider.strict.stumbles > 0
	case session.ReasonRefused:
	default:
		lost, ended = false, false
	}
	if !lost && !ended {
		w.fail("%s was signed out for %s", b.family, reasons[0])
	}
}

// endAtProvider ends a login at the provider, without a word.
func (w *world) endAtProvider() {
	if len(w.browsers) == 0 {
		return
	}
	b := w.browsers[w.rng.IntN(len(w.browsers))]
	s := w.provider.strict
	s.mu.Lock()
	s.dead[b.family] = true
	s.mu.Unlock()
	w.providerEnded[b.family] = true
	w.logf("the provider ends %s", b.family)
}

func (w *world) runBrowsers() {
	w.browsing()
	acts := []struct {
		weight int
		do     func()
	}{{12, w.openBrowser}, {55, w.visit}, {3, w.endAtProvider}, {30, w.pass}}
	for range 40 + w.rng.IntN(60) {
		n := w.rng.IntN(100)
		for _, act := range acts {
			if n -= act.weight; n < 0 {
				act.do()
				break
			}
		}
		if w.broken != nil {
			return
		}
	}
	if w.provider.strict.calls > 0 {
		w.reach("refreshed")
	}
}

func TestBrowsersAtAllInstancesUseARefreshTokenOnceAndNoEndedSessionComesBack(t *testing.T) {
	const seeds = 400
	var mu sync.Mutex
	reached := map[string]int{}
	workers := uint64(runtime.GOMAXPROCS(0))
	t.Run("seeds", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed := worker; seed < seeds; seed += workers {
					var w *world
					synctest.Test(t, func(t *testing.T) {
						var err error
						w, err = newWorld(t.Context(), seed)
						require.NoError(t, err)
						w.runBrowsers()
						w.close()
					})
					mu.Lock()
					for what, n := range w.reached {
						reached[what] += n
					}
					mu.Unlock()
					if w.broken != nil {
						t.Fatalf("seed %d: %v\n%s", seed, w.broken, w.log.String())
					}
				}
			})
		}
	})
	for _, what := range []string{
		"accepted", "refused", "refreshed", "unavailable", "ended among visits",
		string(session.ReasonRefused), string(session.ReasonUnknown),
	} {
		require.GreaterOrEqual(t, reached[what], 20, "%s: of %v in %v", what, slices.Sorted(maps.Keys(reached)), reached)
	}
}
