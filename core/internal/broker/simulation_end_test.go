package broker

import (
	"fmt"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/session"
)

// This file has the ways in which a session ends in the simulation.

func (w *world) revoke() {
	s, ok := anyOf(w, w.sessions)
	if !ok {
		return
	}
	in := w.anInstance()
	var who Filter
	switch w.rng.IntN(4) {
	case 0:
		who.Session = s.id
	case 1:
		who.Subject = s.subject
	case 2:
		who.ProviderSession = s.sid
	case 3:
		who.Client, who.Before = "app", s.began.Add(in.offset)
	}
	before := time.Now()
	count, err := in.End(w.ctx, who, session.ReasonRevoked)
	w.logf("%s ends %+v: %d %v", in.name, who, count, err)
	w.mayFail("a revocation", err)
	for _, s := range w.sessions {
		matches := who.Session == s.id || who.Subject == s.subject || who.ProviderSession == s.sid ||
			!who.Before.IsZero() && s.began.Before(who.Before.Add(-slack))
		maybe := !who.Before.IsZero() && s.began.Before(who.Before.Add(slack))
		switch {
		case matches && err == nil && s.ended.IsZero() && !s.began.After(before):
			s.ended = time.Now()
			if !s.unsure { // else another may have ended it, and this instance learns that later
				s.by = in
			}
			w.reach("revoked")
		case matches, maybe:
			s.unsure = true
		}
	}
}

// providerLogout is a logout token of the provider's, which is sent twice.
func (w *world) providerLogout() {
	s, ok := anyOf(w, w.sessions)
	if !ok {
		return
	}
	in, now, sid := w.anInstance(), time.Now(), ""
	if w.chance(50) {
		sid = fmt.Sprintf(`"sid":%q,`, s.sid)
	}
	w.serial++
	token, err := w.provider.key.Sign("logout+jwt", fmt.Appendf(nil,
		`{"iss":%q,"aud":"app","iat":%d,"exp":%d,"jti":"%d",%s"sub":%q,"events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`,
		worldIssuer, now.Unix(), now.Add(time.Minute).Unix(), w.serial, sid, s.subject))
	if err != nil {
		w.fail("no logout token: %v", err)
		return
	}
	err = in.ProviderLogout(w.ctx, token)
	w.logf("%s is told of a logout of %s %s: %v", in.name, s.subject, sid, err)
	w.mayFail("a logout at the provider", err)
	for _, other := range w.sessions {
		if other.subject != s.subject || sid != "" && other.sid != s.sid {
			continue
		}
		switch {
		case err != nil:
			other.unsure = true
		case other.ended.IsZero():
			other.ended = time.Now()
			if !other.unsure {
				other.by = in
			}
			w.reach("signed out by the provider")
		}
	}
	if again := w.anInstance().ProviderLogout(w.ctx, token); again == nil && err == nil && !w.everStumbled {
		w.fail("a logout token works twice")
	}
}

func (w *world) signOutAgain() {
	s, ok := anyOf(w, w.sessions)
	if !ok {
		return
	}
	in := w.anInstance()
	_, err := in.Logout(w.ctx, "app", "", s.refresh, "")
	w.logf("%s logout %s: %v", in.name, s.id, err)
	w.mayFail("a logout", err)
	if err != nil || s.unsure {
		s.unsure = true
		return
	}
	if s.ended.IsZero() {
		s.ended, s.by = time.Now(), in
	}
}
