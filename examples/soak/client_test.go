package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// client is somebody's program, which asks any replica, and another one when that
// doesn't answer.
type client struct {
	s       *soak
	name    string // also the user's
	subject string
	random  *rand.Rand
	// What it has of its session; no access token: it has none.
	session         string
	access, refresh string
	previous        string            // the refresh token before
	jar             map[string]string // of a browser: its cookies; nil: it keeps none
	sent            string            // cookies that are sent whatever there is
	renewed         time.Time
}

func username(i int) string { return fmt.Sprintf("client-%02d", i) }

// any is a replica by chance.
func (c *client) any() int { return c.random.IntN(len(c.s.replicas)) }

func (c *client) broken(rule, detail string) {
	c.s.broken(rule, fmt.Sprintf("%s, session %s: %s", c.name, c.session, detail), c.session, c.subject)
}

func (s *soak) newClient(i int) *client {
	return &client{s: s, name: username(i), subject: "user-" + username(i), random: s.rand(100 + i)}
}

// live does what clients do while there is trouble. When that is over, everything
// must work.
func (c *client) live(rough context.Context) {
	for rough.Err() == nil {
		c.act()
	}
	select {
	case <-c.s.calm:
	case <-c.s.ctx.Done():
		return
	}
	for c.access == "" && c.s.ctx.Err() == nil {
		c.login()
	}
	c.redeem(1)
	c.isGoodEverywhere()
	if c.random.IntN(2) == 0 && c.access != "" {
		c.logout()
	}
}

func (c *client) act() {
	if c.access == "" {
		c.login()
		return
	}
	switch fate := c.random.IntN(100); {
	case fate < 50:
		c.redeem(1)
	case fate < 70:
		c.redeem(2 + c.random.IntN(3)) // as many tabs of a browser
	case fate < 80:
		c.redeemAgain()
	case fate < 90:
		c.isGoodEverywhere()
	case fate < 95:
		c.logout()
	default:
		c.logoutAmidRefresh()
	}
}

// login signs the user in, and begins anew whenever that is interrupted, as a
// person does.
func (c *client) login() {
	const back = "http://127.0.0.1/after-login" // nothing listens there
	verifier := oauth2.GenerateVerifier()
	query := url.Values{
		"redirect_uri": {back}, "state": {"my state"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}
	started := c.send(c.any(), http.MethodGet, "/auth/v2/login?"+query.Encode(), "", nil, http.StatusFound)
	if started.status != http.StatusFound {
		return
	}
	target, err := c.atProvider(started.location)
	if err != nil {
		return // it stumbles
	}
	code := target.Query().Get("code")
	a := c.send(c.any(), http.MethodPost, "/auth/v2/token", "", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {back}, "code_verifier": {verifier},
	}, http.StatusOK)
	if a.status != http.StatusOK {
		return
	}
	c.session, c.previous = claimsOf(a.tokens.AccessToken).Session, ""
	c.take(a)
	c.s.count("logins", 1)
}

// atProvider fills in the provider's page, and gives the address that it leads to.
func (c *client) atProvider(page string) (target *url.URL, err error) {
	browser := *c.s.http
	browser.CheckRedirect = func(_ *http.Request, via []*http.Request) error {
		if via[len(via)-1].Method == http.MethodPost {
			return http.ErrUseLastResponse
		}
		return nil
	}
	send := func(method, address string, form url.Values) (*http.Response, error) {
		request, err := http.NewRequestWithContext(c.s.ctx, method, address, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := browser.Do(request)
		if err == nil {
			response.Body.Close()
		}
		return response, err
	}
	shown, err := send(http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	sent, err := send(http.MethodPost, shown.Request.URL.String(), url.Values{"username": {c.name}, "password": {c.name}})
	if err != nil {
		return nil, err
	}
	return sent.Location()
}

// take keeps the tokens of an answer, which must be about this client.
func (c *client) take(a answer) {
	claims := claimsOf(a.tokens.AccessToken)
	if claims.Subject != c.subject || claims.Session != c.session || a.tokens.RefreshToken == "" {
		c.broken("tokens are of the session that they were asked for", fmt.Sprintf("%+v", claims))
	}
	c.access, c.refresh, c.renewed = a.tokens.AccessToken, a.tokens.RefreshToken, time.Now()
}

// redeem refreshes the session, in so many tabs at once.
func (c *client) redeem(tabs int) {
	token := c.refresh
	a, lost := c.ask(token, tabs)
	switch {
	case lost:
		c.forget()
	case a.status == http.StatusOK:
		c.s.count("refreshes", 1)
		c.take(a)
		c.previous = token
	}
}

// redeemAgain brings the last token once more, as a client does that the answer
// did not reach. It is early enough in the grace period to be served.
func (c *client) redeemAgain() {
	if c.previous == "" || time.Since(c.renewed) > 5*time.Second {
		return
	}
	if _, lost := c.ask(c.previous, 1); lost {
		c.forget()
	}
	c.s.count("repeats", 1)
}

// ask redeems a token in some tabs, and gives an answer that all of them have got.
func (c *client) ask(token string, tabs int) (a answer, lost bool) {
	begun := time.Now()
	answers := make([][]answer, tabs)
	var all sync.WaitGroup
	for i := range answers {
		first := c.any()
		all.Go(func() { answers[i] = c.insist(token, first) })
	}
	all.Wait()
	for _, asked := range answers {
		a = asked[len(asked)-1]
		switch a.status {
		case http.StatusOK:
			c.isSuccessor(token, a)
		case http.StatusBadRequest:
			c.lose(begun, slices.Concat(answers...))
			return a, true
		}
	}
	return a, false
}

// insist sends a refresh token until there is an answer, and gives all that was
// said.
func (c *client) insist(token string, first int) (asked []answer) {
	defer c.s.mercy.begin(c)()
	for n := first; ; n++ {
		a := c.send(n, http.MethodPost, "/auth/v2/token", "", url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {token},
		}, http.StatusOK, http.StatusBadRequest)
		asked = append(asked, a)
		if a.status == http.StatusBadRequest && a.code != "invalid_grant" {
			c.broken("a refresh is refused with invalid_grant", a.String())
		}
		if a.status == http.StatusOK || a.status == http.StatusBadRequest || c.s.ctx.Err() != nil {
			return asked
		}
	}
}

// isSuccessor holds that a refresh token has one successor, whoever gives it.
func (c *client) isSuccessor(token string, a answer) {
	c.s.mu.Lock()
	if c.s.successors[token] == "" {
		c.s.successors[token] = a.tokens.RefreshToken
	}
	known := c.s.successors[token]
	c.s.mu.Unlock()
	if a.tokens.RefreshToken != known || a.tokens.RefreshToken == token {
		c.broken("a refresh token has one successor, and is not its own", fmt.Sprintf("the first was …%s, and then came %s", tail(known), a))
	}
}

// lose keeps account of a session that was refused, with what may explain it.
func (c *client) lose(begun time.Time, asked []answer) {
	l := loss{at: time.Now(), client: c, session: c.session}
	for _, a := range asked {
		switch {
		case a.from != nil && !a.late && a.from.doomed.Load():
			l.cause, l.cut = "after a kill", l.cut || a.status == 0
		}
	}
	if c.s.provider.lostSince(c.subject, begun) {
		l.cause = "after the provider's answer was lost"
	}
	if !c.s.strict {
		c.broken("no session is lost that its client did not end", fmt.Sprint(asked))
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.losses = append(c.s.losses, l)
}

// isFresh tells whether the access token will be valid for a while.
func (c *client) isFresh() bool { return time.Since(c.renewed) < tokenLifetime }

func (c *client) forget() { c.session, c.access, c.refresh, c.previous = "", "", "", "" }

// isGoodEverywhere holds that every replica takes the access token, whoever has
// made it.
func (c *client) isGoodEverywhere() {
	if c.access != "" && !c.isFresh() {
		c.redeem(1)
	}
	for i := range c.s.replicas {
		for c.access != "" && c.s.ctx.Err() == nil {
			a := c.send(i, http.MethodGet, "/me", c.access, nil, http.StatusOK)
			if a.status == http.StatusOK {
				break
			}
		}
	}
	c.s.count("tokens tried at every replica", 1)
}

// logout ends the session. From then on no token of it is good for a refresh.
func (c *client) logout() {
	c.signOut()
	c.isOver(c.refresh, c.previous)
	c.forget()
}

// logoutAmidRefresh does so while the session is being refreshed.
func (c *client) logoutAmidRefresh() {
	c.s.expectEnd(c.session)
	var asked []answer
	var both sync.WaitGroup
	first := c.any()
	both.Go(func() { asked = c.insist(c.refresh, first) })
	answered := c.signOut()
	both.Wait()
	last := asked[len(asked)-1]
	if last.status == http.StatusOK {
		c.isSuccessor(c.refresh, last)
		if last.begun.After(answered) {
			c.broken("after a logout nothing is refreshed", last.String())
		}
	}
	c.isOver(c.refresh, last.tokens.RefreshToken)
	c.forget()
}

// signOut sends a logout until it is answered, and gives the time of that.
func (c *client) signOut() time.Time {
	form, bearer := url.Values{"refresh_token": {c.refresh}}, ""
	if c.random.IntN(2) == 0 && c.isFresh() {
		form, bearer = url.Values{}, c.access
	}
	for n := c.any(); c.s.ctx.Err() == nil; n++ {
		if c.send(n, http.MethodPost, "/auth/v2/logout", bearer, form, http.StatusFound).status == http.StatusFound {
			break
		}
	}
	c.s.count("logouts", 1)
	return time.Now()
}

// isOver holds that a session has ended. Userinfo comes first: a refresh would end
// the session itself, for the provider has been told of the logout.
func (c *client) isOver(refreshTokens ...string) {
	for n := c.any(); c.s.ctx.Err() == nil; n++ {
		a := c.send(n, http.MethodGet, "/auth/v2/userinfo", c.access, nil, http.StatusUnauthorized)
		if a.status == http.StatusUnauthorized {
			break
		}
	}
	for _, token := range refreshTokens {
		if token == "" {
			continue
		}
		asked := c.insist(token, c.any())
		if last := asked[len(asked)-1]; last.status == http.StatusOK {
			c.broken("after a logout nothing is refreshed", last.String())
		}
	}
}
