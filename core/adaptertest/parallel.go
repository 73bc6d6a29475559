package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

const (
	connections   = 8
	perConnection = 48
)

// together calls f once for each connection, at the same time.
func together(f func(connection int) error) error {
	errs := make([]error, connections)
	var wait sync.WaitGroup
	for i := range connections {
		wait.Go(func() { errs[i] = f(i) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// guardIsAskedAnew uses one connection, on which a router may keep what it likes,
// for requests with and without a token in turn.
func guardIsAskedAnew(s suite) {
	a := s.start(options{})
	alice, bob := bearer(a.provider.AccessToken(a.T, "alice")), bearer(a.provider.AccessToken(a.T, "bob"))
	var requests []request
	var want []string
	for range 5 {
		for _, row := range []struct{ path, token, want string }{
			{"/mine", alice, "200 user-alice"}, {"/hello", "", "200 anonymous"}, {"/open", "", "200 anonymous"},
			{"/admin", bob, "403"}, {"/admin", alice, "200 user-alice"}, {"/hello", bob, "200 user-bob"},
			{"/mine", "", "401"}, {"/hello", "Bearer garbage", "200 anonymous"}, {"/open", alice, "200 anonymous"},
			{userinfoRoute, bob, "200"}, {"/hello", "", "200 anonymous"}, {userinfoRoute, "", "401"},
		} {
			r := get(row.path)
			if row.token != "" {
				r = r.with("Authorization", row.token)
			}
			requests, want = append(requests, r), append(want, row.want)
		}
	}
	answers, err := a.pipeline(requests)
	if err != nil {
		a.Fatal(err)
	}
	for i, got := range answers {
		if text := fmt.Sprint(got.status, " ", got.body); !strings.HasPrefix(text, want[i]) {
			a.Fatalf("request %d, %s %.60q: the answer is %v, not %s", i, requests[i].path, requests[i].header, got, want[i])
		}
	}
}

// rendezvous has as many wait for each other as there are connections.
type rendezvous struct {
	mu      sync.Mutex
	waiting int
	round   chan struct{}
}

func (r *rendezvous) meet(ctx context.Context) {
	r.mu.Lock()
	if r.round == nil {
		r.round = make(chan struct{})
	}
	round := r.round
	if r.waiting++; r.waiting == connections {
		close(round)
		r.waiting, r.round = 0, nil
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-round:
	case <-ctx.Done():
	}
}

// remembered is what a handler keeps of a request, as a program may.
type remembered struct {
	token   core.Token
	subject string // at the time of the request, a copy
}

// tokensAreNotMixedUp has as many users as requests. The handlers of all connections
// wait for each other between guard and answer, and keep the tokens, whose claims
// must be the same when thousands of other requests have gone by.
func tokensAreNotMixedUp(s suite) {
	var mu sync.Mutex
	var kept []remembered
	var meeting rendezvous
	whoMet := func(ctx context.Context) (int, string) {
		token := core.TokenFrom(ctx)
		meeting.meet(ctx)
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, remembered{token, strings.Clone(core.TokenFrom(ctx).Subject())})
		return http.StatusOK, token.Subject()
	}
	a := s.start(options{routes: []Route{
		{http.MethodGet, "/required", Required, nil, whoMet},
		{http.MethodPost, "/optional", Optional, nil, whoMet},
	}})
	subject := func(c, i int) string { return fmt.Sprintf("user-%d-%d-%s", c, i, strings.Repeat("x", (c*i)%50)) }
	var all [connections][]request
	for c := range connections {
		for i := range perConnection {
			raw := a.provider.SignedToken(a.T, nil, a.provider.Claims("alice", map[string]any{"sub": subject(c, i), "preferred_username": subject(c, i)}))
			r := get("/required?who="+subject(c, i), "Authorization", bearer(raw), "X-Who", subject(c, i))
			if (c+i)%2 == 1 {
				r.method, r.path = http.MethodPost, "/optional"
			}
			all[c] = append(all[c], r)
		}
	}
	err := together(func(c int) error {
		answers, err := a.pipeline(all[c])
		for i, got := range answers {
			if got.status != http.StatusOK || got.body != subject(c, i) {
				return fmt.Errorf("connection %d, request %d: %s is taken for %v", c, i, subject(c, i), got)
			}
		}
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
	// The same again at another route, to have every buffer used anew.
	err = together(func(c int) error {
		for i := range all[c] {
			all[c][i].method, all[c][i].path = http.MethodGet, userinfoRoute
		}
		answers, err := a.pipeline(all[c])
		for i, got := range answers {
			if got.status != http.StatusOK || got.field("sub") != subject(c, i) || got.field("username") != subject(c, i) {
				return fmt.Errorf("connection %d, request %d: %s is told %v", c, i, subject(c, i), got)
			}
		}
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
	if len(kept) != connections*perConnection {
		a.Fatalf("the handlers have kept %d tokens", len(kept))
	}
	seen := map[string]bool{}
	for _, k := range kept {
		var claims struct {
			Subject string `json:"sub"`
		}
		if err := k.token.Decode(&claims); err != nil || claims.Subject != k.subject || k.token.Subject() != k.subject || k.token.Username() != k.subject {
			a.Fatalf("the token of %q has become that of %q (%v)", k.subject, claims.Subject, err)
		}
		seen[k.subject] = true
	}
	if len(seen) != len(kept) {
		a.Fatalf("%d users have %d tokens", len(seen), len(kept))
	}
}

// loginsAreNotMixedUp looks at what comes out at the other end of the login route,
// in both ways to log in.
func loginsAreNotMixedUp(s suite) {
	a := s.start(options{})
	challenge := challengeOf(strings.Repeat("v", 43))
	err := together(func(c int) error {
		var requests []request
		id := func(i int) string { return fmt.Sprintf("%d-%d-%s", c, i, strings.Repeat("x", (c*i)%70)) }
		for i := range perConnection {
			fields := form("redirect_uri", native+"/"+id(i), "login_hint", id(i))
			if i%3 == 0 {
				fields.Set("code_challenge", challenge)
				fields.Set("code_challenge_method", "S256")
				fields.Set("state", id(i))
			}
			requests = append(requests, get(loginRoute+"?"+fields.Encode(), "Cookie", "id="+id(i)))
		}
		answers, err := a.pipeline(requests)
		states := map[string]bool{}
		for i, got := range answers {
			to, err := url.Parse(got.header.Get("Location"))
			if err != nil || got.status != http.StatusFound {
				return fmt.Errorf("connection %d, request %d: %v", c, i, got)
			}
			q := to.Query()
			if q.Get("redirect_uri") != native+"/"+id(i) || q.Get("login_hint") != id(i) || i%3 == 0 && q.Get("state") != id(i) || states[q.Get("state")] {
				return fmt.Errorf("connection %d, request %d: the login of %s leads to %s", c, i, id(i), to)
			}
			states[q.Get("state")] = true
		}
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
}

// sessionsAreNotMixedUp refreshes the sessions of many users side by side. The
// refresh goes on when its request is over, so that what an adapter hands in must
// not be used again by others.
func sessionsAreNotMixedUp(s suite) {
	var many []oidctest.User
	for i := range connections {
		many = append(many, oidctest.User{Username: fmt.Sprintf("person%d", i)})
	}
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: configure, provider: s.newProvider(oidctest.Options{Users: many, DeviceInterval: -1})})
			var tokens [connections]oidctest.Tokens
			for i, user := range many {
				tokens[i] = a.signIn(user.Username)
			}
			err := together(func(i int) error {
				c, err := a.dial()
				if err != nil {
					return err
				}
				defer c.Close()
				for range 12 {
					if err := a.build(post(tokenRoute, "refresh_token", tokens[i].RefreshToken, "pad", strings.Repeat("x", i*37))).Write(c); err != nil {
						return err
					}
					got, err := c.read(http.MethodPost)
					if err != nil {
						return err
					}
					raw := got.field("access_token")
					if got.status != http.StatusOK || claims(raw)["sub"] != "user-"+many[i].Username || claims(raw)["sid"] != claims(tokens[i].AccessToken)["sid"] {
						return fmt.Errorf("the refresh of %s gives %d for %v", many[i].Username, got.status, claims(raw)["sub"])
					}
					tokens[i].RefreshToken = got.field("refresh_token")
				}
				return nil
			})
			if err != nil {
				a.Fatal(err)
			}
		})
	}
}

// panicEndsOneRequest has handlers panic on connections that others go on using.
// A router may answer 500 or cut the connection.
func panicEndsOneRequest(s suite) {
	a := s.start(options{})
	alice, bob := bearer(a.provider.AccessToken(a.T, "alice")), bearer(a.provider.AccessToken(a.T, "bob"))
	for i := range 10 {
		r := get("/panic")
		if i%2 == 1 {
			r = get("/mine/panic", "Authorization", alice)
		}
		if answers, err := a.pipeline([]request{r}); err == nil && answers[0].status != http.StatusInternalServerError {
			a.Fatalf("a handler that panics is answered for with %v", answers[0])
		}
		a.refused(get("/mine/panic"), http.StatusUnauthorized, "missing_token")
		for _, row := range []struct{ path, token, who string }{{"/mine", bob, "user-bob"}, {"/hello", "", "anonymous"}, {"/mine", alice, "user-alice"}} {
			r := get(row.path)
			if row.token != "" {
				r = r.with("Authorization", row.token)
			}
			if got := a.same(r, http.StatusOK); got.body != row.who {
				a.Fatalf("after a panic %s answers %v, not %s", row.path, got, row.who)
			}
		}
	}
	a.signIn("alice")
}
