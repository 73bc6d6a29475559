package core

import (
	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// Identity is who a token is about. At a login, refresh or exchange Broker.Identify looks
// at it, and changes it, before tokens are minted; for [Auth.Mint] a program makes one.
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
// [Refuse], or another error that is [ErrAccessDenied] to errors.Is, refuses: a
// login or exchange with 403, a refresh by ending the session. Any other error
// refuses a login and an exchange too, without telling the caller why; but at a
// refresh, and everywhere if it is [ErrUnavailable], it means that nobody could
// tell at the moment: 503, and the session stays as it is.
//
// Each call begins with what the provider says at that time; nothing that an
// earlier call has changed is in it.
type Identity struct {
	// Issuer and Subject are the provider's name for the user; changing them
	// changes nothing.
	Issuer  string
	Subject string
	// Claims are all that the provider said about the user, in its ID token,
	// userinfo answer and access token, the latter before the former. They are
	// for reading.
	Claims map[string]any

	// Username, names and address are what userinfo answers and tokens say.
	Username  string
	FirstName string
	LastName  string
	Name      string
	Email     string
	// EmailVerified is about the Email that the provider told: clear it when you
	// put another in its place.
	EmailVerified bool
	// Roles are the flat roles (see [Token.Roles]): those of the provider's access
	// token, if it is a JWT with one of the claims in Provider.RoleClaims, else those of
	// the ID token that came with it and of userinfo.
	Roles []string
	// Scopes are what the provider granted.
	Scopes []string
	// Extra are further claims of the minted tokens; for Broker.Identify it is never nil.
	// These can't be among them, in any letter case, since the broker sets them or they
	// would make the token look like another one: iss, sub, aud, exp, iat, nbf, jti, sid,
	// client_id, azp, idp_iss, auth_time, acr, amr, preferred_username, name, email,
	// email_verified, roles, scope, scp, typ, token_use, nonce, at_hash, c_hash, events,
	// act and cnf. None of them is a role: guards find those of our own tokens in the claim
	// roles alone.
	Extra map[string]any
}

// Refuse gives the error by which Broker.Identify refuses a user. why is a
// sentence for the user, with nothing secret in it.
func Refuse(why string) error { return fault.AccessDenied.New(why) }
