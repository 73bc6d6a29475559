package core

import (
	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// Identity is the user of a token. Broker.Identify gets it at each login, refresh and
// exchange, and may change it before tokens are issued. For [Auth.Mint], a program makes one.
//
//	Identify: func(ctx context.Context, who *core.Identity) error {
//		if !strings.HasSuffix(who.Email, "@example.org") {
//			return core.Refuse("Only our staff may sign in.")
//		}
//		who.Roles = roles.Of(who.Subject)
//		who.Extra["department"] = who.Claims["department"]
//		return nil
//	}
//
// The error of Identify decides:
//
//   - [Refuse], or any error that errors.Is matches with [ErrAccessDenied], rejects the user. A
//     login or exchange is answered 403. A refresh ends the session.
//   - [ErrUnavailable] means that the answer is not known now: 503, and the session stays.
//   - Any other error rejects a login or exchange without a reason for the caller. At a
//     refresh it is treated like ErrUnavailable.
//
// Each call gets what the provider says at that time, without the changes of earlier calls.
type Identity struct {
	// Occasion is why Broker.Identify is called. [Auth.Mint] ignores it.
	Occasion Occasion
	// SessionID is the session that begins or is refreshed, the sid of its access tokens; ""
	// at an exchange. Changes to it have no effect, and [Auth.Mint] ignores it.
	SessionID string
	// Issuer and Subject identify the user at the provider. In Broker.Identify, changes to
	// them have no effect.
	Issuer  string
	Subject string
	// Claims are all claims of the provider about the user, from the ID token, the userinfo
	// answer and the access token. If they differ, the access token wins, then userinfo. They
	// must not be changed.
	Claims map[string]any

	// Username, names and e-mail address are used in tokens and in userinfo answers.
	Username  string
	FirstName string
	LastName  string
	Name      string
	Email     string
	// EmailVerified says whether the provider has verified Email. Clear it if you change
	// Email.
	EmailVerified bool
	// Roles are the user's roles (see [Token.Roles]). They come from the provider's access
	// token if it is a JWT with one of the claims in Provider.RoleClaims, otherwise from the
	// ID token that came with it and from userinfo.
	Roles []string
	// Scopes are the scopes that the provider granted.
	Scopes []string
	// Extra are further claims of the issued tokens. In Broker.Identify it is never nil. It
	// must not contain claims that the broker sets, or that would make the token look like
	// another kind of token, in any letter case: iss, sub, aud, exp, iat, nbf, jti, sid,
	// client_id, azp, idp_iss, auth_time, acr, amr, preferred_username, name, email,
	// email_verified, roles, scope, scp, typ, token_use, nonce, at_hash, c_hash, events, act
	// and cnf. Extra claims are never roles: in the broker's own tokens, guards read roles
	// only from the claim roles.
	Extra map[string]any
	// Actor is somebody else who acts for the user, such as a member of the support staff or
	// a job: the claim act (RFC 8693 4.1). If an exchanged token says already who acts, that
	// is kept inside. See [Token.Actor]. nil: nobody is added.
	Actor *Actor
}

// Actor is who acts for the user of a token (RFC 8693 4.1). Issuer and Subject together
// identify him; Issuer is "" where the token does not say it.
type Actor struct {
	Issuer  string
	Subject string // needed in an [Identity]
}

// Occasion is why Broker.Identify is called.
type Occasion string

// The occasions of an [Identity].
const (
	// OccasionLogin: a user signs in.
	OccasionLogin = Occasion(broker.OnLogin)
	// OccasionRefresh: a session is refreshed.
	OccasionRefresh = Occasion(broker.OnRefresh)
	// OccasionExchange: a token of the provider is exchanged.
	OccasionExchange = Occasion(broker.OnExchange)
)

func newIdentity(who broker.Identity) Identity {
	return Identity{
		Occasion: Occasion(who.Occasion), SessionID: who.SessionID, Issuer: who.Issuer, Subject: who.Subject, Claims: who.Claims,
		Username: who.Username, FirstName: who.FirstName, LastName: who.LastName, Name: who.Name,
		Email: who.Email, EmailVerified: who.EmailVerified, Roles: who.Roles, Scopes: who.Scopes, Extra: who.Extra,
		Actor: (*Actor)(who.Actor),
	}
}

// inner is newIdentity's counterpart.
func (i Identity) inner() broker.Identity {
	return broker.Identity{
		Occasion: broker.Occasion(i.Occasion), SessionID: i.SessionID, Issuer: i.Issuer, Subject: i.Subject, Claims: i.Claims,
		Username: i.Username, FirstName: i.FirstName, LastName: i.LastName, Name: i.Name,
		Email: i.Email, EmailVerified: i.EmailVerified, Roles: i.Roles, Scopes: i.Scopes, Extra: i.Extra,
		Actor: (*broker.Actor)(i.Actor),
	}
}

// Refuse returns the error with which Broker.Identify rejects a user. why is a sentence for
// the user; it must contain no secret.
func Refuse(why string) error { return fault.AccessDenied.New(why) }
