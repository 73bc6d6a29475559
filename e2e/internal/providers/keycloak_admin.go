package providers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"golang.org/x/oauth2"
)

// SignIn signs somebody in at Keycloak itself, and gives its answer with its own tokens.
func (k *Keycloak) SignIn(ctx context.Context, who harness.Person) (harness.Answer, error) {
	verifier := oauth2.GenerateVerifier()
	client := oauth2.Config{
		ClientID: k.Config.Providers[0].ClientID, RedirectURL: Page, Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: k.Config.Providers[0].Issuer + "/protocol/openid-connect/auth"},
	}
	back, err := harness.NewBrowser(Page).Back(ctx, client.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)), who)
	if err != nil {
		return harness.Answer{}, err
	}
	tokens := harness.Send(ctx, http.DefaultClient, k.Config.Providers[0].Issuer+"/protocol/openid-connect/token", "", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {Page}, "code_verifier": {verifier},
		"client_id": {k.Config.Providers[0].ClientID}, "client_secret": {k.Config.Providers[0].ClientSecret},
	})
	return tokens, tokens.Is(http.StatusOK, "")
}

// SetEnabled switches a user on or off.
func (k *Keycloak) SetEnabled(ctx context.Context, name string, enabled bool) error {
	var found []struct{ ID string }
	if err := k.Admin(ctx, http.MethodGet, "/users?exact=true&username="+name, nil, &found); err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d users are called %s", len(found), name)
	}
	return k.Admin(ctx, http.MethodPut, "/users/"+found[0].ID, map[string]any{"enabled": enabled}, nil)
}

// SetRevokesOffline has the logout tokens for a client say revoke_offline_access, or not.
func (k *Keycloak) SetRevokesOffline(ctx context.Context, clientID string, revokes bool) error {
	var found []struct {
		ID         string
		Attributes map[string]string
	}
	if err := k.Admin(ctx, http.MethodGet, "/clients?clientId="+clientID, nil, &found); err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d clients are called %s", len(found), clientID)
	}
	found[0].Attributes["backchannel.logout.revoke.offline.tokens"] = strconv.FormatBool(revokes)
	return k.Admin(ctx, http.MethodPut, "/clients/"+found[0].ID, map[string]any{
		"clientId": clientID, "attributes": found[0].Attributes,
	}, nil)
}

// SetStrict has a refresh token be good once only, or as often as it likes.
func (k *Keycloak) SetStrict(ctx context.Context, strict bool) error {
	return k.Admin(ctx, http.MethodPut, "", map[string]any{"revokeRefreshToken": strict}, nil)
}

// NewKey has Keycloak sign with a new RSA key, and withdraws the earlier ones if told to.
func (k *Keycloak) NewKey(ctx context.Context, withdraw bool) error {
	const kind = "org.keycloak.keys.KeyProvider"
	var realm struct{ ID string }
	var earlier []struct{ ID, ProviderID string }
	if err := errors.Join(
		k.Admin(ctx, http.MethodGet, "", nil, &realm),
		k.Admin(ctx, http.MethodGet, "/components?type="+kind, nil, &earlier),
	); err != nil {
		return err
	}
	k.priority++
	if err := k.Admin(ctx, http.MethodPost, "/components", map[string]any{
		"name": "a new key", "providerType": kind, "providerId": "rsa-generated", "parentId": realm.ID,
		"config": map[string][]string{"priority": {strconv.Itoa(1000 + k.priority)}, "algorithm": {"RS256"}, "keySize": {"2048"}},
	}, nil); err != nil {
		return err
	}
	for _, key := range earlier {
		if withdraw && key.ProviderID == "rsa-generated" {
			if err := k.Admin(ctx, http.MethodDelete, "/components/"+key.ID, nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
