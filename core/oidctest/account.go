package oidctest

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// userinfo is the userinfo endpoint. An access token that will not do is answered
// as RFC 6750, section 3, asks for, which op's own handler does not.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, err := op.ParseUserinfoRequest(r, p.op.Decoder())
	if err != nil || token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="oidctest"`)
		http.Error(w, "the access token is missing", http.StatusUnauthorized)
		return
	}
	info := new(oidc.UserInfo)
	id, ok := p.tokenID(r.Context(), token)
	if !ok || p.storage.SetUserinfoFromToken(r.Context(), info, id, "", "") != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="oidctest", error="invalid_token"`)
		http.Error(w, "the access token is unknown, expired or revoked", http.StatusUnauthorized)
		return
	}
	writeJSON(w, http.StatusOK, info)
}

// tokenID reads the id out of an access token of either kind.
func (p *Provider) tokenID(ctx context.Context, token string) (id string, ok bool) {
	if p.options.OpaqueTokens {
		plain, err := p.op.Crypto().Decrypt(token)
		id, _, ok = strings.Cut(plain, ":")
		return id, ok && err == nil
	}
	claims, err := op.VerifyAccessToken[*oidc.AccessTokenClaims](ctx, token, p.op.AccessTokenVerifier(ctx))
	if err != nil {
		return "", false
	}
	return claims.JWTID, true
}

// endSession signs a browser out (OpenID Connect RP-Initiated Logout 1.0): the
// session that its cookie names and the one that the hint is of.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	request, err := op.ParseEndSessionRequest(r, p.op.Decoder())
	if err != nil {
		refuse(w, "The logout request cannot be read.", err.Error())
		return
	}
	target := request.PostLogoutRedirectURI
	// op knows no way to allow every URI, so it is not shown this one.
	request.PostLogoutRedirectURI = ""
	checked, err := op.ValidateEndSessionRequest(r.Context(), request, p.op)
	switch {
	case err != nil:
		refuse(w, "The logout request is refused.", oidc.DefaultToServerError(err, err.Error()).Description)
		return
	case target != "" && checked.ClientID == "":
		refuse(w, "A post_logout_redirect_uri needs a client_id or an id_token_hint.", target)
		return
	case target != "" && !absolute(target):
		refuse(w, "The post_logout_redirect_uri is not an absolute URI.", target)
		return
	}

	ended := map[string]bool{}
	if by := p.session(r); by != nil {
		ended[by.id] = true
	}
	if hint := checked.IDTokenHintClaims; hint != nil {
		ended[hint.SessionID] = true
	}
	p.storage.endSession(func(sid string) bool { return ended[sid] })

	http.SetCookie(w, &http.Cookie{Name: p.cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	if target == "" {
		render(w, http.StatusOK, "message", messagePage{Title: "Signed out", Text: "You are signed out of the test provider."})
		return
	}
	u, err := url.Parse(target)
	if err != nil {
		refuse(w, "The post_logout_redirect_uri cannot be read.", target)
		return
	}
	if request.State != "" {
		query := u.Query()
		query.Set("state", request.State)
		u.RawQuery = query.Encode()
	}
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// discoveryDocument adds to op's what op has no field for.
type discoveryDocument struct {
	*oidc.DiscoveryConfiguration
	IssParameter bool `json:"authorization_response_iss_parameter_supported,omitempty"`
}

// discovery announces what is there and no more: op announces all that it could
// do.
func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) {
	document := op.CreateDiscoveryConfig(r.Context(), p.op, p.storage)
	c := client{&p.options}
	methods := []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost}
	if p.options.Public {
		methods = []oidc.AuthMethod{oidc.AuthMethodNone}
	}
	document.GrantTypesSupported = c.GrantTypes()
	document.ResponseTypesSupported = []string{string(oidc.ResponseTypeCode)}
	document.ResponseModesSupported = []string{string(oidc.ResponseModeQuery)}
	document.TokenEndpointAuthMethodsSupported = methods
	document.RevocationEndpointAuthMethodsSupported = methods
	document.RevocationEndpointAuthSigningAlgValuesSupported = nil
	document.IntrospectionEndpointAuthSigningAlgValuesSupported = nil
	if p.options.Public {
		// op wants a secret there.
		document.IntrospectionEndpoint = ""
		document.IntrospectionEndpointAuthMethodsSupported = nil
	}
	writeJSON(w, http.StatusOK, discoveryDocument{document, p.options.IssParameter})
}
