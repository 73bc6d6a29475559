package oidctest

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

func newSession(user *User) *session {
	return &session{user: user, id: rand.Text(), authTime: time.Now()}
}

// session returns the session of the browser that sent r, or nil.
func (p *Provider) session(r *http.Request) *session {
	cookie, err := r.Cookie(p.cookie)
	if err != nil {
		return nil
	}
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	return p.storage.sessions[cookie.Value]
}

// signedIn starts a session in the browser, or makes the one it has with the
// same user young again.
func (p *Provider) signedIn(w http.ResponseWriter, r *http.Request, user *User) *session {
	started := newSession(user)
	if old := p.session(r); old != nil && old.user == user {
		started.id = old.id
	}
	value := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: p.cookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})

	s := p.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	if cookie, err := r.Cookie(p.cookie); err == nil {
		delete(s.sessions, cookie.Value)
	}
	s.sessions[value] = started
	return started
}

// acceptsSession tells whether a session will do for an authorization request, or
// the person must be asked again (OpenID Connect Core, section 3.1.2.1).
func (si *signIn) acceptsSession(by *session) bool {
	if by == nil || (si.hint != "" && si.hint != by.user.Subject) {
		return false
	}
	for _, prompt := range si.request.Prompt {
		if prompt == oidc.PromptLogin || prompt == oidc.PromptSelectAccount {
			return false
		}
	}
	maxAge := si.request.MaxAge
	return maxAge == nil || time.Since(by.authTime).Seconds() < float64(*maxAge)
}

// endSession ends the sessions whose sid is among those asked for, and the codes
// and refresh tokens that were given out in them.
func (s *storage) endSession(which func(sid string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value, by := range s.sessions {
		if which(by.id) {
			delete(s.sessions, value)
		}
	}
	s.endFamilies(func(f *family) bool { return which(f.session) })
	s.endings = append(s.endings, which)
	for code, si := range s.codes {
		if which(si.session) {
			delete(s.codes, code)
		}
	}
}

// EndSessions ends all sessions: every browser must sign in again, and every refresh token
// and unused code is answered with invalid_grant. Access tokens stay valid until they
// expire.
func (p *Provider) EndSessions() {
	p.storage.endSession(func(string) bool { return true })
}
