package core

import (
	"net/http"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// userinfoBody is the answer of the userinfo route: the names that clients of
// py-oidc-auth read, and those of OpenID Connect Core 5.1. What is unknown is left out.
type userinfoBody struct {
	Subject   string `json:"sub"`
	Username  string `json:"username"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	PWName    string `json:"pw_name"`
	Email     string `json:"email,omitempty"`

	PreferredUsername string `json:"preferred_username"`
	GivenName         string `json:"given_name,omitempty"`
	FamilyName        string `json:"family_name,omitempty"`
	Name              string `json:"name,omitempty"`
	EmailVerified     *bool  `json:"email_verified,omitempty"`
}

func newUserinfoBody(p claim.Profile, subject string) userinfoBody {
	return userinfoBody{
		Subject: subject, Username: p.Username, FirstName: p.FirstName, LastName: p.LastName, PWName: p.Username, Email: p.Email,
		PreferredUsername: p.Username, GivenName: p.FirstName, FamilyName: p.LastName, Name: p.Name, EmailVerified: p.EmailVerified,
	}
}

// serveUserinfo tells a user who he is.
func (a *Auth) serveUserinfo(w http.ResponseWriter, r *http.Request) error {
	token, err := a.userinfoGuard.Check(r.Context(), RequestOf(r))
	if err != nil {
		return err
	}
	var who claim.Profile
	if a.broker != nil {
		who, err = a.broker.Profile(r.Context(), token.verified)
	} else {
		who, err = a.passthroughProfile(r, token)
	}
	if err != nil {
		return err
	}
	if who.Username == "" {
		return ErrNotFound.because("The provider tells no username for this token.")
	}
	writeJSON(w, http.StatusOK, newUserinfoBody(who, token.Subject()))
	return nil
}

// passthroughProfile is what the provider's token says, or the provider itself.
func (a *Auth) passthroughProfile(r *http.Request, token Token) (claim.Profile, error) {
	who := claim.ReadProfile(token.verified.Claims.All(), a.config.provider().ProfilePaths)
	if who.Username != "" || token.verified.By != a.verifier {
		return who, nil // no token of another issuer's is sent to the provider
	}
	raw, err := bearer(r.Header["Authorization"])
	if err != nil {
		return claim.Profile{}, err
	}
	claims, err := a.provider.Userinfo(r.Context(), raw, token.Subject())
	if err != nil {
		return claim.Profile{}, err
	}
	return claim.ReadProfile(claims, a.config.provider().ProfilePaths), nil
}
