package core

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// sentCode is what an access token request of a code has (RFC 6749 4.1.3). The
// verifier is the client's own, or a native login's sealed state.
type sentCode struct {
	code, redirectURI, verifier, state string

	client client
	device broker.Device
	wanted broker.Narrowing
}

func readCode(p params) (sent sentCode, err error) {
	for _, field := range []struct {
		value *string
		name  string
	}{{&sent.code, "code"}, {&sent.verifier, "code_verifier"}, {&sent.state, "state"}} {
		if *field.value, err = p.ascii(maxState, field.name); err != nil {
			return sentCode{}, err
		}
	}
	if sent.redirectURI, err = p.text("redirect_uri", maxRedirect); err != nil {
		return sentCode{}, err
	}
	switch {
	case sent.code == "":
		return sentCode{}, ErrInvalidRequest.because("The parameter code is missing.")
	case sent.redirectURI == "":
		return sentCode{}, ErrInvalidRequest.because("The parameter redirect_uri is missing.")
	case sent.verifier == "" && sent.state == "":
		return sentCode{}, ErrInvalidRequest.because("A code needs the code_verifier of its login, or the state that this service made for it.")
	case sent.verifier != "" && isSealedState(sent.state):
		return sentCode{}, ErrInvalidRequest.because("Send either code_verifier or the state that this service made, not both.")
	}
	return sent, nil
}

// codeGrant redeems an authorization code.
func (a *Auth) codeGrant(w http.ResponseWriter, r *http.Request, p tokenRequest) (tokenBody, broker.Party, error) {
	sent, err := readCode(p.params)
	sent.client, sent.device = p.client, a.deviceOf(r)
	if err == nil {
		sent.wanted, err = a.readTarget(p.params)
	}
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	if sent.verifier == "" || isSealedState(sent.verifier) {
		return a.redeemState(w, r, sent)
	}
	return a.redeemVerifier(r.Context(), sent)
}

// redeemVerifier redeems the code of a client that does PKCE itself.
func (a *Auth) redeemVerifier(ctx context.Context, sent sentCode) (tokenBody, broker.Party, error) {
	if !validVerifier(sent.verifier) {
		return tokenBody{}, broker.Party{}, ErrInvalidRequest.because("The code_verifier is malformed (RFC 7636 4.1): it has 43 to 128 letters, digits and the characters -._~.")
	}
	if kind, err := sent.client.redirectKind(sent.redirectURI); err != nil {
		return tokenBody{}, broker.Party{}, err
	} else if kind == loginCallback {
		return tokenBody{}, broker.Party{}, ErrInvalidGrant.because("This redirect_uri is the service's own callback, which alone redeems its codes.")
	}
	m, err := a.provider.Metadata(ctx)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	r := redemption{client: sent.client, device: sent.device, code: sent.code, redirectURI: sent.redirectURI, verifier: sent.verifier, wanted: sent.wanted}
	if !a.leavesNonce(m) {
		challenge := challengeOf(sent.verifier)
		r.nonce = func(nonce string) (asked, bool) {
			return a.checkChallengeNonce(sent.client, nonce, challenge, sent.redirectURI)
		}
	}
	return a.redeem(ctx, r)
}

// validVerifier holds a verifier against RFC 7636 4.1.
func validVerifier(verifier string) bool {
	return len(verifier) >= 43 && len(verifier) <= 128 &&
		isBase64URL(strings.NewReplacer(".", "", "~", "").Replace(verifier))
}

// redeemState redeems the code of a login whose PKCE we did.
//
// As a code_verifier only a native login's state is accepted. A page that posted
// the state of its URL as a verifier would also post a verifier that somebody else
// wrote into a link, and sign its user in as that somebody.
func (a *Auth) redeemState(w http.ResponseWriter, r *http.Request, sent sentCode) (tokenBody, broker.Party, error) {
	sealed := cmp.Or(sent.verifier, sent.state)
	state, err := a.openState(sealed)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	switch {
	case state.Kind == loginCallback:
		return tokenBody{}, broker.Party{}, ErrInvalidGrant.because("This login leads to the service's own callback, which alone redeems its code.")
	case !a.isOf(state.Client, sent.client):
		return tokenBody{}, broker.Party{}, ErrInvalidGrant.because("This login is one of another client.")
	case sent.redirectURI != state.RedirectURI:
		return tokenBody{}, broker.Party{}, ErrInvalidGrant.because("The redirect_uri is not the one that the login began with.")
	case state.Kind == loginBrowser && sent.verifier != "":
		return tokenBody{}, broker.Party{}, ErrInvalidGrant.because("A page sends the state of its login as state, not as code_verifier.")
	}
	if state.Kind == loginBrowser {
		if err := a.checkCookie(r, sealed, state); err != nil {
			return tokenBody{}, broker.Party{}, err
		}
	}
	body, whose, err := a.redeem(r.Context(), redemption{
		client: sent.client, device: sent.device, code: sent.code, redirectURI: state.RedirectURI, verifier: state.Verifier,
		nonce: state.checkNonce, wanted: sent.wanted,
	})
	if state.Kind == loginBrowser && !retryable(err) {
		a.clearCookie(w, sealed)
	}
	return body, whose, err
}

// nonceCheck tells, from the nonce of an ID token, what the login asked for; false, if
// the nonce is another login's. It is nil where a login has no nonce, or one of the
// client's own.
type nonceCheck func(nonce string) (asked, bool)

// redemption is a code with all that proves it is the caller's.
type redemption struct {
	client                      client
	device                      broker.Device
	code, redirectURI, verifier string
	nonce                       nonceCheck // nil: the client checks it
	wanted                      broker.Narrowing
}

// redeem exchanges a code for the tokens of a client.
func (a *Auth) redeem(ctx context.Context, redemption redemption) (tokenBody, broker.Party, error) {
	answer, id, err := a.ask(ctx, redemption)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	return a.give(ctx, redemption.client, redemption.device, answer, id, redemption.wanted)
}

// redeemForBrowser exchanges a code for the cookie of a session.
func (a *Auth) redeemForBrowser(ctx context.Context, redemption redemption) (cookie string, whose broker.Party, err error) {
	answer, id, err := a.ask(ctx, redemption)
	if err != nil {
		return "", broker.Party{}, err
	}
	return a.broker.BeginBrowser(ctx, redemption.device, answer, id)
}

// ask exchanges a code at the provider and checks the ID token that comes with it.
func (a *Auth) ask(ctx context.Context, redemption redemption) (provider.Tokens, *claim.Set, error) {
	if err := a.readyForTokens(ctx); err != nil {
		return provider.Tokens{}, nil, err
	}
	answer, err := a.provider.Redeem(ctx, redemption.code, redemption.redirectURI, redemption.verifier)
	if err != nil {
		return provider.Tokens{}, nil, err
	}
	if answer.IDToken == "" {
		return provider.Tokens{}, nil, ErrProvider.because("The provider gave no ID token.")
	}
	return a.checkAnswer(ctx, answer, redemption.nonce)
}

// accept checks an answer and gives a client its tokens.
func (a *Auth) accept(ctx context.Context, c client, device broker.Device, answer provider.Tokens, nonce nonceCheck, wanted broker.Narrowing) (tokenBody, broker.Party, error) {
	answer, id, err := a.checkAnswer(ctx, answer, nonce)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	return a.give(ctx, c, device, answer, id, wanted)
}

// checkAnswer checks the ID token of an answer, if there is one: id is nil otherwise. What
// the login asked for is then in the answer.
func (a *Auth) checkAnswer(ctx context.Context, answer provider.Tokens, nonce nonceCheck) (_ provider.Tokens, id *claim.Set, err error) {
	if answer.IDToken == "" {
		return answer, nil, nil
	}
	var login asked
	expected := verify.Expectation{AccessToken: answer.AccessToken}
	if nonce != nil {
		expected.Nonce = func(value string) (maxAge *int, ok bool) {
			login, ok = nonce(value)
			return login.maxAge, ok
		}
	}
	if id, err = a.verifier.IDToken(ctx, answer.IDToken, expected); err != nil {
		return provider.Tokens{}, nil, provider.IDTokenFault(err)
	}
	answer.Asked = cmp.Or(answer.Asked, login.scope)
	return answer, id, nil
}

// give makes the body for a client: with the broker's tokens, or with those of the answer.
func (a *Auth) give(ctx context.Context, c client, device broker.Device, answer provider.Tokens, id *claim.Set, wanted broker.Narrowing) (tokenBody, broker.Party, error) {
	if a.broker != nil {
		tokens, whose, err := a.broker.Begin(ctx, c.id, device, answer, id, wanted)
		return a.bodyOf(tokens, whose, err)
	}
	var whose broker.Party
	if id != nil {
		whose.Subject = id.Subject
	}
	return a.tokenBody(answer), whose, nil
}
