package broker

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/stretchr/testify/require"
)

// This file is what happens in the world, and the rules that hold there.

// worldSession is what an honest client, and we, know of a session.
type worldSession struct {
	id, subject, sid string
	refresh          string
	began            time.Time
	// ended is when it had surely ended, the zero time while nothing has ended it for sure.
	ended time.Time
	by    *instance
	// unsure: something failed, and it may have ended.
	unsure bool
}

// worldToken is an access token that somebody has got.
type worldToken struct {
	raw, kid string
	of       *worldSession
	minted   time.Time
	expires  time.Time
}

// worldRotation is a rotation that has withdrawn the keys before it.
type worldRotation struct {
	began, ended time.Time // zero: it failed, and may have happened
	by           *instance
	kids         []string // that were published before
}

// slack is what the clocks of instances may add to a time.
const slack = clocksApart + time.Second

func unavailable(err error) bool { return errors.Is(err, fault.Unavailable) }

func (w *world) login() {
	in := w.anInstance()
	s := &worldSession{subject: fmt.Sprintf("user%d", w.rng.IntN(3)), sid: fmt.Sprintf("sid%d", w.rng.IntN(4)), began: time.Now()}
	id := claim.Of(nil, map[string]any{"sub": s.subject, "sid": s.sid})
	id.Subject = s.subject
	body, whose, err := in.Begin(w.ctx, "app", Device{}, Tokens{AccessToken: w.provider.access(s.subject), RefreshToken: "of-" + s.subject}, id, Narrowing{})
	w.logf("%s login %s %s: %v", in.name, s.subject, whose.Session, err)
	if err != nil {
		w.mayFail("a login", err)
		return
	}
	s.id, s.refresh = whose.Session, body.RefreshToken
	w.sessions = append(w.sessions, s)
	w.issued(in, s, body)
}

// issued notes a token that an instance has made, and holds whose key has signed it.
func (w *world) issued(in *instance, s *worldSession, body Tokens) {
	token, err := jose.Cut(body.AccessToken)
	if err != nil {
		w.fail("a token that is none: %v", err)
		return
	}
	kid, now := token.Header.KeyID, time.Now()
	w.tokens = append(w.tokens, &worldToken{raw: body.AccessToken, kid: kid, of: s, minted: now, expires: body.Expires})
	w.signs(in, kid, now)
}

func (w *world) refresh() {
	s, ok := anyOf(w, w.sessions)
	if !ok {
		return
	}
	in := w.anInstance()
	was := s.ended
	body, _, err := in.Refresh(w.ctx, "app", s.refresh, Narrowing{})
	w.logf("%s refresh %s: %v", in.name, s.id, err)
	switch {
	case err == nil:
		if !was.IsZero() {
			w.fail("a session that was ended at %s is refreshed", was)
		}
		s.refresh = body.RefreshToken
		w.issued(in, s, body)
		w.reach("refreshed")
	case unavailable(err):
		s.unsure = true
		w.mayFail("a refresh", err)
	case was.IsZero() && !s.unsure && time.Since(s.began) < 5*time.Hour:
		w.fail("a session that nobody has ended can't be refreshed: %v", err)
	}
}

// present shows a token to a guard.
func (w *world) present() {
	if len(w.tokens) == 0 {
		return
	}
	token := w.tokens[max(0, len(w.tokens)-1-w.rng.IntN(12))]
	in := w.anInstance()
	now := time.Now()
	err := in.guard(w, token.raw)
	w.logf("%s sees a token of %s by %.6s: %v", in.name, token.of.id, token.kid, err)
	switch {
	case unavailable(err):
		w.mayFail("a guard", err)
	case err == nil:
		w.reach("accepted")
		w.mustBeRefused(in, token, now)
	default:
		w.reach("refused")
		w.mayBeRefused(token, now, err)
	}
}

// guard is what a guard does: the token by itself, then its session.
func (in *instance) guard(w *world, raw string) error {
	c, err := verify.Read(raw, MaxToken, in.Now())
	if err != nil {
		return err
	}
	if err := in.own.AccessToken(w.ctx, c); err != nil {
		return err
	}
	if w.check == 0 {
		return nil
	}
	return in.Live(w.ctx, c.Claims.Text("sid"))
}

// mustBeRefused holds that nothing works for longer than it may.
func (w *world) mustBeRefused(in *instance, token *worldToken, now time.Time) {
	if now.After(token.expires.Add(in.Leeway + slack)) {
		w.fail("a token is accepted %s after it has expired", now.Sub(token.expires))
	}
	if ended := token.of.ended; w.check > 0 && !ended.IsZero() && (now.Sub(ended) > w.check || in == token.of.by) {
		w.fail("a token is accepted %s after its session was ended, and CheckSession is %s", now.Sub(ended), w.check)
	}
	for _, r := range w.rotations {
		known := r.ended.Add(provider.RefreshKeys + slack)
		if slices.Contains(r.kids, token.kid) && !r.ended.IsZero() && (in == r.by || now.After(known) && !w.everStumbled) {
			w.fail("a token of a compromised key is accepted %s after that was withdrawn", now.Sub(r.ended))
		}
	}
}

// mayBeRefused holds that no good token is refused.
func (w *world) mayBeRefused(token *worldToken, now time.Time, err error) {
	switch {
	case !token.of.ended.IsZero(), token.of.unsure, now.After(token.expires.Add(-slack)), now.Sub(token.of.began) > 5*time.Hour:
		return
	}
	for _, r := range w.rotations {
		// A token of a key that is withdrawn, or may be.
		withdrawn := slices.Contains(r.kids, token.kid) || r.ended.IsZero() && token.minted.Before(r.began.Add(provider.RefreshKeys+slack))
		// One of its successor, until others may ask the store again.
		early := now.Sub(r.ended) < 15*time.Second
		if withdrawn || early {
			return
		}
	}
	w.fail("a good token of %s is refused: %v", token.of.id, err)
}

func (w *world) rotate() {
	in := w.anInstance()
	compromised := w.chance(40)
	r := &worldRotation{began: time.Now(), by: in}
	before, err := in.SigningKeys(w.ctx)
	for _, key := range before {
		r.kids = append(r.kids, key.ID)
	}
	if err == nil {
		err = in.RotateSigningKey(w.ctx, Rotation{Compromised: compromised})
	}
	w.logf("%s rotates, compromised %v: %v", in.name, compromised, err)
	w.mayFail("a rotation", err)
	w.switched = time.Now()
	if compromised {
		if err == nil {
			r.ended = time.Now()
			w.reach("withdrawn")
		}
		w.rotations = append(w.rotations, r)
	} else if err == nil {
		w.reach("rotated")
	}
}

// signs holds that instances sign with the same key at the same time, but for the time
// that it takes to learn of a withdrawal.
func (w *world) signs(in *instance, kid string, now time.Time) {
	w.stumbling(0)
	keys, err := in.SigningKeys(w.ctx)
	w.stumbling(w.usually)
	if err != nil {
		w.fail("no keys: %v", err)
		return
	}
	i := slices.IndexFunc(keys, func(k SigningKey) bool { return k.ID == kid })
	if i < 0 {
		if !w.everStumbled && now.Sub(w.switched) > provider.RefreshKeys+slack {
			w.fail("a token is signed with a key that was withdrawn long ago")
		}
		return
	}
	key := keys[i]
	early := !key.Signs.IsZero() && now.Before(key.Signs.Add(-slack))
	late := !key.Retires.IsZero() && now.After(key.Retires.Add(slack))
	if early || late && (w.everStumbled || now.Sub(w.switched) > provider.RefreshKeys+slack) {
		w.fail("%s signs with a key out of its time: from %s to %s", in.name, key.Signs, key.Retires)
	}
}

func (w *world) reach(what string) { w.reached[what]++ }

// mayFail holds that nothing fails while the store does not stumble.
func (w *world) mayFail(what string, err error) {
	if err == nil {
		return
	}
	if w.usually == 0 && !w.everStumbled {
		w.fail("%s fails though all is well: %v", what, err)
	}
	w.reach(what + " fails")
}

func (w *world) pass() {
	longest := []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, 40 * time.Minute}[w.rng.IntN(5)]
	d := time.Duration(w.rng.Int64N(int64(longest)))
	if w.far && w.chance(30) {
		d = w.untilNextKey(d)
	}
	w.logf("%s pass", d)
	time.Sleep(d)
	synctest.Wait()
}

// untilNextKey is how long it is until about the time at which the next key signs, where
// there is one.
func (w *world) untilNextKey(otherwise time.Duration) time.Duration {
	keys, err := w.anInstance().SigningKeys(w.ctx)
	if err != nil || len(keys) == 0 {
		return otherwise
	}
	d := time.Until(keys[len(keys)-1].Signs) + time.Duration(w.rng.Int64N(int64(2*time.Minute))) - time.Minute
	if d <= 0 {
		return otherwise
	}
	w.reach("a key's turn")
	return d
}

func (w *world) run() {
	if w.chance(50) {
		w.usually = []int{1, 5, 20}[w.rng.IntN(3)]
	}
	w.far = w.chance(8)
	acts := []struct {
		weight int
		do     func()
	}{{12, w.login}, {20, w.refresh}, {40, w.present}, {3, w.rotate}, {3, w.revoke}, {2, w.providerLogout}, {2, w.signOutAgain}, {18, w.pass}}
	for range 30 + w.rng.IntN(50) {
		n := w.rng.IntN(100)
		for _, act := range acts {
			if n -= act.weight; n < 0 {
				w.stumbling(w.usually)
				w.everStumbled = w.everStumbled || w.usually > 0
				act.do()
				break
			}
		}
		if w.broken != nil {
			return
		}
	}
}

func simulate(t *testing.T, seed uint64) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		w, err = newWorld(t.Context(), seed)
		require.NoError(t, err)
		w.run()
		w.close()
	})
	return w
}

func TestInstancesAgreeAndNothingOutlivesItsEndAndNoGoodTokenIsRefused(t *testing.T) {
	const seeds = 2_000
	var mu sync.Mutex
	reached := map[string]int{}
	workers := uint64(runtime.GOMAXPROCS(0))
	t.Run("seeds", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed := worker; seed < seeds; seed += workers {
					w := simulate(t, seed)
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
		"refreshed", "accepted", "refused", "rotated", "a key's turn", "withdrawn", "revoked", "signed out by the provider",
		"a login fails", "a refresh fails", "a guard fails", "a rotation fails", "a revocation fails", "a logout at the provider fails",
	} {
		require.GreaterOrEqual(t, reached[what], 20, "%s: of %v in %v", what, slices.Sorted(maps.Keys(reached)), reached)
	}
}
