package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// introspect asks the broker about a token, as the resource server that has an id and a
// secret there.
func introspect(ctx context.Context, issuer, id, secret, token string) (*oidc.IntrospectionResponse, error) {
	server, err := rs.NewResourceServerClientCredentials(ctx, issuer, id, secret)
	if err != nil {
		return nil, err
	}
	return rs.Introspect[*oidc.IntrospectionResponse](ctx, server, token)
}

func (g *golang) introspects(ctx context.Context) error {
	tokens, err := g.signIn(ctx)
	if err != nil {
		return err
	}
	us := g.target.ResourceServer
	answer, err := introspect(ctx, g.target.API, us.ID, us.Secret, tokens.AccessToken)
	if err != nil {
		return err
	}
	if !answer.Active || answer.Subject != g.target.User.Subject || answer.Username != g.target.User.Name || answer.Expiration.AsTime().IsZero() {
		return fmt.Errorf("the answer is %+v", answer)
	}
	if _, err := introspect(ctx, g.target.API, us.ID, "another", tokens.AccessToken); err == nil {
		return errors.New("a resource server with a wrong secret was answered")
	}
	revoked, err := http.PostForm(g.target.API+"/auth/v2/revoke", url.Values{"token": {tokens.AccessToken}})
	if err != nil {
		return err
	}
	_ = revoked.Body.Close()
	answer, err = introspect(ctx, g.target.API, us.ID, us.Secret, tokens.AccessToken)
	if err == nil && (answer.Active || answer.Subject != "") {
		err = fmt.Errorf("after the revocation the answer is %+v", answer)
	}
	return err
}
