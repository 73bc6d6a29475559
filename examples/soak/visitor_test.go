package soak_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// visitor is a browser: its user is signed in by a cookie, and opens pages in several tabs
// at any replica. It knows nothing of refreshes, which the replicas do when they are due.
type visitor struct {
	*client
	began time.Time // when the session did
}

func visitorName(i int) string { return fmt.Sprintf("visitor-%02d", i) }

func (s *soak) newVisitor(i int) *visitor {
	name := visitorName(i)
	return &visitor{client: &client{s: s, name: name, subject: "user-" + name, random: s.rand(200 + i), jar: map[string]string{}}}
}

// live does what people do while there is trouble. When that is over, everything must work.
func (v *visitor) live(rough context.Context) {
	for rough.Err() == nil {
		v.act()
	}
	select {
	case <-v.s.calm:
	case <-v.s.ctx.Done():
		return
	}
	for v.session == "" && v.s.ctx.Err() == nil {
		v.signIn()
	}
	v.open(1)
	if v.session != "" {
		v.signOut()
	}
}

func (v *visitor) act() {
	if v.session == "" {
		v.signIn()
		return
	}
	switch fate := v.random.IntN(100); {
	case fate < 60:
		v.open(1)
	case fate < 90:
		v.open(2 + v.random.IntN(6))
	case fate < 94:
		v.signInAgain()
	case fate < 98:
		v.signOut()
	default:
		v.signOutAmidPages()
	}
}

// signIn signs the user in, and begins anew whenever that is interrupted.
func (v *visitor) signIn() {
	started := v.send(v.any(), http.MethodGet, "/auth/v2/login?prompt=login&return_to=/somewhere", "", nil, http.StatusFound)
	if started.status != http.StatusFound {
		return
	}
	target, err := v.atProvider(started.location)
	if err != nil {
		return // it stumbles
	}
	a := v.send(v.any(), http.MethodGet, "/auth/v2/callback?"+target.RawQuery, "", nil, http.StatusSeeOther)
	if a.status != http.StatusSeeOther {
		return // what the code led to is lost with the answer
	}
	if a.location != "/somewhere" {
		v.broken("a login leads back to where it began", a.location)
	}
	v.began = time.Now()
	for v.session = ""; v.session == "" && v.s.ctx.Err() == nil; {
		a := v.send(v.any(), http.MethodGet, "/me", "", nil, http.StatusOK, http.StatusUnauthorized)
		switch a.status {
		case http.StatusOK:
			v.session = a.session
		case http.StatusUnauthorized:
			return // a refresh that was due at once has failed
		}
	}
	v.s.count("sign-ins of browsers", 1)
}

// open opens pages at once, each in a tab.
func (v *visitor) open(tabs int) {
	answers := make([]answer, tabs)
	var all sync.WaitGroup
	for i := range answers {
		replica := v.any()
		all.Go(func() {
			answers[i] = v.send(replica, http.MethodGet, "/me", "", nil, http.StatusOK, http.StatusUnauthorized)
		})
	}
	all.Wait()
	v.s.count("pages by cookie", tabs)
	for _, a := range answers {
		switch {
		case a.status == http.StatusOK && (a.session != v.session || a.subject != v.subject):
			v.broken("a page is of the session of its cookie", a.String())
		case a.status == http.StatusUnauthorized:
			v.lose(answers)
			return
		}
	}
}

// lose keeps account of a session that was refused, with what may explain it. Its refresh
// may have been at any time, without a tab that waited for it.
func (v *visitor) lose(answers []answer) {
	l := loss{at: time.Now(), client: v.client, session: v.session}
	if v.s.killedSince(v.began) {
		l.cause, l.cut = "after a kill", true
	}
	if v.s.provider.lostSince(v.subject, v.began) {
		l.cause = "after the provider's answer was lost"
	}
	if !v.s.strict {
		v.broken("no session is lost that its browser did not end", fmt.Sprint(answers))
	}
	v.s.mu.Lock()
	v.s.losses = append(v.s.losses, l)
	v.s.mu.Unlock()
	v.session = ""
}

// signInAgain begins another session in the same browser. The first one ends.
func (v *visitor) signInAgain() {
	v.s.expectEnd(v.session)
	before := v.cookie()
	v.signIn()
	if after := v.cookie(); after == before || v.s.ctx.Err() != nil {
		return // it has not come to that
	}
	v.isRefused(before)
}

// signOut sends a logout until it is answered. From then on nothing opens a page.
func (v *visitor) signOut() {
	before := v.cookie()
	for n := v.any(); v.s.ctx.Err() == nil; n++ {
		if v.send(n, http.MethodPost, "/auth/v2/logout", "", url.Values{}, http.StatusFound).status == http.StatusFound {
			break
		}
	}
	v.s.count("sign-outs of browsers", 1)
	v.isRefused(before)
	v.session = ""
}

// signOutAmidPages does so while pages are opened, one of which may be refreshing the session.
func (v *visitor) signOutAmidPages() {
	v.s.expectEnd(v.session)
	tab := &visitor{client: &client{s: v.s, name: v.name, subject: v.subject, random: v.s.rand(int(v.random.Uint32())), session: v.session}, began: v.began}
	tab.jar = map[string]string{}
	for name, value := range v.jar {
		tab.jar[name] = value
	}
	var both sync.WaitGroup
	both.Go(func() {
		for range 5 {
			tab.send(tab.any(), http.MethodGet, "/me", "", nil, http.StatusOK, http.StatusUnauthorized)
		}
	})
	v.signOut()
	both.Wait()
}

// isRefused holds that a cookie opens nothing any more, at any replica: a replica remembers
// the session for as long as a token lives at most.
func (v *visitor) isRefused(cookie string) {
	old := &client{s: v.s, name: v.name, subject: v.subject, session: v.session, random: v.random, sent: cookie}
	for i := range v.s.replicas {
		forgotten := time.Now().Add(tokenLifetime)
		for v.s.ctx.Err() == nil {
			a := old.send(i, http.MethodGet, "/me", "", nil, http.StatusOK, http.StatusUnauthorized)
			if a.status == http.StatusUnauthorized {
				break
			}
			if a.status == http.StatusOK && a.begun.After(forgotten) {
				v.broken("a cookie whose session has ended opens no page", a.String())
				return
			}
		}
	}
}

// cookie is that of the session, among the others.
func (v *visitor) cookie() string {
	for name, value := range v.jar {
		if strings.Contains(name, "oidcgate-session-") {
			return name + "=" + value
		}
	}
	return ""
}

// expectEnd notes that a session may end by its own browser while it is refreshed.
func (s *soak) expectEnd(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contested[session] = true
}

// killedSince tells whether a process was killed since then.
func (s *soak) killedSince(t time.Time) bool {
	return slices.ContainsFunc(s.replicas, func(r *replica) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.killed.After(t)
	})
}
