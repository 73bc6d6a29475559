package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
)

// ErrOtherSubject is the cause when userinfo tells about somebody else.
var ErrOtherSubject = errors.New("it is about another subject")

// Userinfo asks the provider who a token stands for (OpenID Connect Core 5.3).
// The answer must be about the token's subject, or it is somebody else's
// (5.3.2).
func (p *Provider) Userinfo(ctx context.Context, raw, subject string) (map[string]any, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil || m.UserinfoEndpoint == "" {
		return nil, err
	}
	res, err := p.HTTP.Get(ctx, m.UserinfoEndpoint, http.Header{"Authorization": {"Bearer " + raw}})
	if err != nil {
		return nil, answerFailed(err)
	}
	body, err := goodBody(m.UserinfoEndpoint, res, []string{raw})
	nonsense := fault.Provider.New("The provider gave a userinfo answer that can't be used.")
	switch code := RefusedWith(err); {
	case res.Status == http.StatusUnauthorized, code == string(fault.InvalidToken):
		return nil, fault.InvalidToken.New("The provider no longer accepts the token.").From(err)
	case res.Status == http.StatusForbidden, code == string(fault.InsufficientScope):
		e := fault.InsufficientScope.New("The provider does not let this token read the user's profile.")
		e.Scope = "openid" // what OpenID Connect Core 5.3 asks for
		return nil, e.From(err)
	case errors.Is(err, fault.Refused):
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
		return nil, nonsense.From(ErrOtherSubject)
	}
	return claims, nil
}

// readUserinfo reads a userinfo answer: a JSON object, or a JWT whose claims these are
// (OpenID Connect Core 5.3.2). A provider that is set up to sign does so whatever is
// asked for.
func (p *Provider) readUserinfo(ctx context.Context, body []byte) (map[string]any, error) {
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
