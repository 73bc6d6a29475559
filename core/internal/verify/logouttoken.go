package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// LogoutToken is what a provider says of sessions that have ended there (OpenID Connect
// Back-Channel Logout 1.0, 2.4).
type LogoutToken struct {
	Issuer, ID        string // iss and jti, which name the token
	Subject, Session  string // whose sessions, and which one; "": any. One of them is there.
	IssuedAt, Expires time.Time
	RevokesOfflineToo bool // revoke_offline_access, of Keycloak's own
}

// LogoutToken verifies a logout token of at most limit bytes by OpenID Connect Back-Channel
// Logout 1.0, 2.6. Whether it was used before is for the caller to know. Anybody may send
// one, so that it causes no more fetches of keys than an access token does.
func (v *Verifier) LogoutToken(ctx context.Context, raw string, limit int) (LogoutToken, error) {
	c, err := v.verify(ctx, raw, caller, limit, logoutType, v.ofIssuer, v.forClient, v.times, ofLogout)
	if err != nil {
		return LogoutToken{}, err
	}
	claims := c.Claims
	return LogoutToken{
		Issuer: claims.Issuer, ID: claims.Text("jti"), Subject: claims.Subject, Session: claims.Text("sid"),
		IssuedAt: claims.IssuedAt.Time, Expires: claims.Expires.Time, RevokesOfflineToo: events(claims)["revoke_offline_access"] == true,
	}, nil
}

// logoutType rejects tokens whose header names the type of another kind of token (RFC 8725
// 3.11). Few providers write the type of this kind.
func logoutType(c *Candidate) error {
	switch strings.ToLower(c.jws.Header.Type) {
	case "", "jwt", "logout+jwt", "application/logout+jwt":
		return nil
	}
	return errors.New("its typ is not that of a logout token")
}

// theLogoutEvent is the member of events that makes a token a logout token.
const theLogoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// events are the members of that claim, nil if there are none. Keycloak's
// revoke_offline_access is beside the event of a logout, not in it.
func events(c *claim.Set) map[string]any {
	events, _ := c.All()["events"].(map[string]any)
	return events
}

// ofLogout checks the claims that only logout tokens have, or must not have.
func ofLogout(c *Candidate) error {
	all := c.Claims.All()
	_, logout := events(c.Claims)[theLogoutEvent]
	sid, named := all["sid"]
	switch {
	case !logout:
		return errors.New("it has no event of a logout")
	case c.Claims.Nonce != nil:
		return errors.New("it has a nonce, as an ID token")
	case c.Claims.IssuedAt.IsZero():
		return errors.New("it has no iat")
	case c.Claims.Text("jti") == "":
		return errors.New("it has no jti")
	case c.Claims.Subject == "" && sid == nil:
		return errors.New("it has neither a sub nor a sid")
	}
	// One that can't be read must not count as absent: the token would end all sessions of
	// the user.
	if c.Claims.Subject != "" {
		if err := claim.CheckSubject(c.Claims.Subject); err != nil {
			return fmt.Errorf("its sub %w", err)
		}
	}
	if named && sid != nil {
		if err := claim.CheckSubject(c.Claims.Text("sid")); err != nil {
			return fmt.Errorf("its sid %w", err)
		}
	}
	return nil
}
