package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// The names by which providers know a user, the first match wins; see [firstText].
var (
	usernameClaims  = []string{"preferred_username", "user_name", "uid", "username"}
	firstNameClaims = []string{"first_name", "given_name"}
	lastNameClaims  = []string{"last_name", "family_name", "surname"}
	emailClaims     = []string{"email", "mail"}
)

// userinfoBody is the answer of the userinfo route.
type userinfoBody struct {
	Subject   string  `json:"sub"`
	Username  string  `json:"username"`
	FirstName string  `json:"first_name"`
	LastName  string  `json:"last_name"`
	PWName    string  `json:"pw_name"`
	Email     *string `json:"email"`
}

// serveUserinfo tells a user who he is.
func (a *Auth) serveUserinfo(w http.ResponseWriter, r *http.Request) error {
	token, err := a.userinfoGuard.Check(r.Context(), r.Header["Authorization"])
	if err != nil {
		return err
	}
	var profile userinfoBody
	if a.broker != nil {
		profile, err = a.broker.profile(r.Context(), token)
	} else {
		profile, err = a.passthroughProfile(r, token)
	}
	if err != nil {
		return err
	}
	if profile.Username == "" {
		return ErrNotFound.because("The provider tells no username for this token.")
	}
	profile.Subject = token.Subject()
	profile.PWName = profile.Username
	writeJSON(w, http.StatusOK, profile)
	return nil
}

// passthroughProfile is what the provider's token says, or the provider itself.
func (a *Auth) passthroughProfile(r *http.Request, token Token) (userinfoBody, error) {
	profile := readProfile(token.verified.claims.all(), a.config.ProfilePaths)
	if profile.Username != "" || token.verified.by != a.verifier {
		return profile, nil // no token of another issuer's is sent to the provider
	}
	raw, err := bearer(r.Header["Authorization"])
	if err != nil {
		return userinfoBody{}, err
	}
	claims, err := a.provider.userinfo(r.Context(), raw, token.Subject())
	if err != nil {
		return userinfoBody{}, err
	}
	return readProfile(claims, a.config.ProfilePaths), nil
}

// profile is what the session remembers; the provider would not take a token of
// ours. A token that has no session says itself what there is to say.
func (b *broker) profile(ctx context.Context, token Token) (userinfoBody, error) {
	id := token.SessionID()
	if id == "" || token.verified.by != b.auth.trust.own {
		return readProfile(token.verified.claims.all(), nil), nil
	}
	s := storedSession{b: b, id: id}
	state, _, err := s.Load(ctx)
	if errors.Is(err, session.ErrGone) {
		return userinfoBody{}, ErrInvalidToken.because("The session has ended.")
	}
	if err != nil {
		return userinfoBody{}, err
	}
	who, err := recall(state)
	if err != nil {
		return userinfoBody{}, err
	}
	profile := userinfoBody{Username: who.Username, FirstName: who.FirstName, LastName: who.LastName}
	if who.Email != "" {
		profile.Email = &who.Email
	}
	return profile, nil
}

// readProfile finds a user's names at the top level of the claims, then at the
// paths.
func readProfile(claims map[string]any, paths []string) userinfoBody {
	places := []map[string]any{claims}
	for _, path := range paths {
		value, _ := at(claims, path)
		if object, ok := value.(map[string]any); ok {
			places = append(places, object)
		}
	}
	find := func(names []string) string {
		for _, place := range places {
			if text := firstText(place, names); text != "" {
				return text
			}
		}
		return ""
	}
	profile := userinfoBody{
		Username: find(usernameClaims), FirstName: find(firstNameClaims), LastName: find(lastNameClaims),
	}
	if email := find(emailClaims); email != "" {
		profile.Email = &email
	}
	if profile.LastName == "" {
		if words := words(find([]string{"name"})); len(words) > 0 {
			profile.LastName = words[len(words)-1]
		}
	}
	return profile
}

// errOtherSubject is the cause when userinfo tells about somebody else.
var errOtherSubject = errors.New("it is about another subject")

// userinfo asks the provider who a token stands for (OpenID Connect Core 5.3).
// The answer must be about the token's subject, or it is somebody else's
// (5.3.2).
func (p *provider) userinfo(ctx context.Context, raw, subject string) (map[string]any, error) {
	m, err := p.metadata.get(ctx)
	if err != nil || m.UserinfoEndpoint == "" {
		return nil, err
	}
	res, err := p.http.Get(ctx, m.UserinfoEndpoint, http.Header{"Authorization": {"Bearer " + raw}})
	if err != nil {
		return nil, answerFailed(err)
	}
	body, err := goodBody(m.UserinfoEndpoint, res, []string{raw})
	nonsense := ErrProvider.because("The provider gave a userinfo answer that can't be used.")
	switch code := refusedWith(err); {
	case res.Status == http.StatusUnauthorized, code == ErrInvalidToken.Code:
		return nil, ErrInvalidToken.because("The provider no longer accepts the token.").from(err)
	case res.Status == http.StatusForbidden, code == ErrInsufficientScope.Code:
		e := ErrInsufficientScope.because("The provider does not let this token read the user's profile.")
		e.Scope = "openid" // what OpenID Connect Core 5.3 asks for
		return nil, e.from(err)
	case err != nil && statusOf(err) < http.StatusInternalServerError:
		return nil, nonsense.from(err)
	case err != nil:
		return nil, err
	}
	claims, err := p.readUserinfo(ctx, body)
	var unavailable *Error
	if errors.As(err, &unavailable) { // the keys can't be had
		return nil, unavailable
	} else if err != nil {
		return nil, nonsense.from(err)
	}
	// Nonsense about nobody is not yet about somebody else.
	if about, _ := claims["sub"].(string); about == "" {
		return nil, nonsense.from(errors.New("it has no subject"))
	} else if about != subject {
		return nil, nonsense.from(errOtherSubject)
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
		c, err := p.verifier.verify(ctx, text, fromProvider, httpx.MaxBody, p.verifier.ofIssuer, p.verifier.timely, p.verifier.forClient)
		if err != nil {
			return nil, fmt.Errorf("it is signed, and: %w", err)
		}
		return c.claims.all(), nil
	}
	return nil, errors.New("it is neither a JSON object nor a JWT")
}
