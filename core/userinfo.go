package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/session"
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
		who, err = a.broker.profile(r.Context(), token)
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
	claims, err := a.provider.userinfo(r.Context(), raw, token.Subject())
	if err != nil {
		return claim.Profile{}, err
	}
	return claim.ReadProfile(claims, a.config.provider().ProfilePaths), nil
}

// profile is what the session remembers; the provider would not take a token of
// ours. A token that has no session says itself what there is to say.
func (b *broker) profile(ctx context.Context, token Token) (claim.Profile, error) {
	id := token.SessionID()
	if id == "" || token.verified.By != b.auth.trust.own {
		return claim.ReadProfile(token.verified.Claims.All(), nil), nil
	}
	s := storedSession{b: b, id: id}
	state, _, err := s.Load(ctx)
	if errors.Is(err, session.ErrGone) {
		return claim.Profile{}, fault.InvalidToken.New("The session has ended.")
	}
	if err != nil {
		return claim.Profile{}, err
	}
	known, err := recall(state)
	if err != nil {
		return claim.Profile{}, err
	}
	who := claim.Profile{Username: known.Username, FirstName: known.FirstName, LastName: known.LastName, Name: known.Name, Email: known.Email}
	if known.Email != "" {
		who.EmailVerified = &known.EmailVerified
	}
	return who, nil
}

// errOtherSubject is the cause when userinfo tells about somebody else.
var errOtherSubject = errors.New("it is about another subject")

// userinfo asks the provider who a token stands for (OpenID Connect Core 5.3).
// The answer must be about the token's subject, or it is somebody else's
// (5.3.2).
func (p *provider) userinfo(ctx context.Context, raw, subject string) (map[string]any, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil || m.UserinfoEndpoint == "" {
		return nil, err
	}
	res, err := p.http.Get(ctx, m.UserinfoEndpoint, http.Header{"Authorization": {"Bearer " + raw}})
	if err != nil {
		return nil, answerFailed(err)
	}
	body, err := goodBody(m.UserinfoEndpoint, res, []string{raw})
	nonsense := fault.Provider.New("The provider gave a userinfo answer that can't be used.")
	switch code := refusedWith(err); {
	case res.Status == http.StatusUnauthorized, code == string(fault.InvalidToken):
		return nil, fault.InvalidToken.New("The provider no longer accepts the token.").From(err)
	case res.Status == http.StatusForbidden, code == string(fault.InsufficientScope):
		e := fault.InsufficientScope.New("The provider does not let this token read the user's profile.")
		e.Scope = "openid" // what OpenID Connect Core 5.3 asks for
		return nil, e.From(err)
	case err != nil && statusOf(err) < http.StatusInternalServerError:
		return nil, nonsense.From(err)
	case err != nil:
		return nil, err
	}
	claims, err := p.readUserinfo(ctx, body)
	var unavailable *fault.Error
	if errors.As(err, &unavailable) { // the keys can't be had
		return nil, unavailable
	} else if err != nil {
		return nil, nonsense.From(err)
	}
	// Nonsense about nobody is not yet about somebody else.
	if about, _ := claims["sub"].(string); about == "" {
		return nil, nonsense.From(errors.New("it has no subject"))
	} else if about != subject {
		return nil, nonsense.From(errOtherSubject)
	}
	return claims, nil
}

// readUserinfo reads a userinfo answer: a JSON object, or a JWT whose claims these are
// (OpenID Connect Core 5.3.2). A provider that is set up to sign does so whatever is
// asked for.
func (p *provider) readUserinfo(ctx context.Context, body []byte) (map[string]any, error) {
	text := strings.TrimSpace(string(body))
	switch {
	case strings.HasPrefix(text, "{"):
		var claims map[string]any
		if json.Unmarshal(body, &claims) != nil {
			return nil, errors.New("it is not a JSON object")
		}
		return claims, nil
	case strings.Count(text, ".") == 4:
		return nil, errors.New("it is encrypted, which is not supported: switch that off for this client at the provider")
	case strings.Count(text, ".") == 2:
		claims, err := p.verifier.Userinfo(ctx, text, httpx.MaxBody)
		if err != nil {
			return nil, fmt.Errorf("it is signed, and: %w", err)
		}
		return claims.All(), nil
	}
	return nil, errors.New("it is neither a JSON object nor a JWT")
}
