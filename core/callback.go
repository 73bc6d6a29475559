package core

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/provider"
)

// serveCallback ends a login that leads to our own callback. Nothing that the
// provider, or somebody in its place, says is believed before the state has
// opened and the cookie has shown that the login began in this browser.
func (a *Auth) serveCallback(w http.ResponseWriter, r *http.Request) error {
	p, err := queryParams(r)
	if err != nil {
		return err
	}
	sealed, err := p.ascii(maxState, "state")
	if err != nil {
		return err
	}
	if sealed == "" {
		return ErrInvalidRequest.because("The parameter state is missing.")
	}
	state, err := a.openCallbackState(r, sealed)
	if err != nil {
		a.observe(r.Context(), Event{Kind: EventLogin, Client: a.client.id}, err)
		return err
	}
	body, whose, err := a.finishCallback(r, p, state)
	a.observe(r.Context(), Event{Kind: EventLogin, Subject: whose.Subject, Client: a.client.id, Session: whose.Session}, err)
	if !retryable(err) {
		a.clearCookie(w, sealed)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func (a *Auth) openCallbackState(r *http.Request, sealed string) (loginState, error) {
	state, err := a.openState(sealed)
	if err != nil {
		return loginState{}, err
	}
	if state.Kind != loginCallback || state.RedirectURI != a.config.callbackURL() {
		return loginState{}, ErrInvalidGrant.because("This login does not lead to the callback.")
	}
	return state, a.checkCookie(r, sealed, state)
}

// finishCallback reads the authorization response (RFC 6749 4.1.2) and redeems
// its code.
func (a *Auth) finishCallback(r *http.Request, p params, state loginState) (tokenBody, broker.Party, error) {
	if err := a.checkResponseIssuer(r, p); err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	if p.has("error") {
		return tokenBody{}, broker.Party{}, a.refusedLogin(p, state)
	}
	code, err := p.ascii(maxState, "code")
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	if code == "" {
		return tokenBody{}, broker.Party{}, ErrInvalidRequest.because("The parameter code is missing.")
	}
	return a.redeem(r.Context(), redemption{
		client: a.client, device: a.deviceOf(r), code: code, redirectURI: state.RedirectURI, verifier: state.Verifier,
		nonce: state.checkNonce,
	})
}

// checkResponseIssuer makes sure that the answer is of our provider and not of
// another, which a mix-up attack would use (RFC 9207).
func (a *Auth) checkResponseIssuer(r *http.Request, p params) error {
	issuer := p.values.Get("iss")
	if issuer == "" {
		m, err := a.provider.Metadata(r.Context())
		if err != nil {
			return err
		}
		if !m.PromisesIssuerInAnswer {
			return nil
		}
	}
	if subtle.ConstantTimeCompare([]byte(issuer), []byte(a.config.provider().Issuer)) != 1 {
		return ErrInvalidGrant.because("The answer is not of the provider that the login began with.")
	}
	return nil
}

// refusedLogin is the answer for an error response of the provider (RFC 6749
// 4.1.2.1, OpenID Connect Core 3.1.2.6).
func (a *Auth) refusedLogin(p params, state loginState) error {
	code, err := p.text("error", maxOther)
	if err != nil {
		return err
	}
	err = asError(provider.RefusalOf(code, p.values.Get("error_description"), []string{state.Verifier, state.Nonce, state.Binding, p.values.Get("state")}))
	var e *Error
	if errors.As(err, &e) && e.Status >= http.StatusInternalServerError {
		return e.from(fmt.Errorf("from the URL of a browser, which any visitor can make up: %w", causeOf(e)))
	}
	// Whatever else the provider calls it, it refused this login; only what the
	// login asked for wrongly is the caller's to mend.
	if errors.As(err, &e) && e.Status == http.StatusBadRequest && !slices.Contains([]string{"invalid_request", "invalid_scope", "invalid_target"}, e.Code) {
		e.Status = http.StatusForbidden
	}
	return err
}

// retryable reports whether the same request may succeed later.
func retryable(err error) bool { return errors.Is(asError(err), ErrUnavailable) }
