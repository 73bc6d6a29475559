package core

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

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
		signedIn, unknown := a.isSignedIn(r)
		switch {
		case unknown != nil:
			return unknown
		case signedIn: // the back button, or a second click
			redirect(w, a.pageAfter(state), http.StatusSeeOther)
			return nil
		}
		a.observe(r.Context(), Event{Kind: EventLogin, Client: a.client.id}, err)
		return err
	}
	code, err := a.readCallback(r, p, state)
	if err != nil && a.staysSignedOut(state, err) {
		a.clearCookie(w, sealed)
		redirect(w, a.pageAfter(state), http.StatusSeeOther)
		return nil
	}
	var end loginEnd
	if err == nil {
		end, err = a.finishCallback(w, r, state, code)
	}
	if !end.joined {
		a.observe(r.Context(), Event{Kind: EventLogin, Subject: end.whose.Subject, Client: a.client.id, Session: end.whose.Session}, err)
	}
	if !retryable(err) {
		a.clearCookie(w, sealed)
	}
	if err != nil {
		return err
	}
	end.answer()
	return nil
}

// pageAfter is the page of the application on which the login of a browser ends.
func (a *Auth) pageAfter(state loginState) string {
	return cmp.Or(state.ReturnTo, a.config.Browser.LandingPath)
}

// staysSignedOut reports whether a login failed only since the provider would have had to
// ask the user, which it was not to do (OpenID Connect Core 3.1.2.6). The page that tried
// goes on without a session.
func (a *Auth) staysSignedOut(state loginState, err error) bool {
	return a.config.Browser != nil && state.Silent && slices.Contains(provider.InteractionCodes, answerTo(err).Code)
}

// loginEnd is what comes of a login.
type loginEnd struct {
	answer func()
	whose  broker.Party
	joined bool // another request of the same login did it
}

// maxCallback is how long the end of a browser's login goes on when the browser has gone away.
const maxCallback = time.Minute

// finishCallback redeems the code of a login: for the cookie of a session, or for the tokens
// of the application's own client.
func (a *Auth) finishCallback(w http.ResponseWriter, r *http.Request, state loginState, code string) (loginEnd, error) {
	redemption := redemption{
		client: a.client, device: a.deviceOf(r), code: code, redirectURI: state.RedirectURI, verifier: state.Verifier,
		nonce: state.checkNonce,
	}
	if a.config.Browser == nil {
		body, whose, err := a.redeem(r.Context(), redemption)
		return loginEnd{whose: whose, answer: func() { writeJSON(w, http.StatusOK, body) }}, err
	}
	// A browser that reloads a slow page gives its first request up, and the code is used. The
	// second request, which has shown the same login's cookie, gets what comes of the first.
	end := loginEnd{joined: true}
	cookie, err, _ := a.callbacks.Do(state.Binding+" "+code, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), maxCallback)
		defer cancel()
		var cookie string
		var err error
		end.joined = false
		cookie, end.whose, err = a.redeemForBrowser(ctx, redemption)
		return cookie, err
	})
	end.answer = func() {
		a.signInBrowser(w, r, cookie.(string))
		redirect(w, a.pageAfter(state), http.StatusSeeOther)
	}
	return end, err
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

// readCallback reads the authorization response (RFC 6749 4.1.2), and gives its code.
func (a *Auth) readCallback(r *http.Request, p params, state loginState) (code string, err error) {
	if err := a.checkResponseIssuer(r, p); err != nil {
		return "", err
	}
	if p.has("error") {
		return "", a.refusedLogin(p, state)
	}
	if code, err = p.ascii(maxState, "code"); err == nil && code == "" {
		err = ErrInvalidRequest.because("The parameter code is missing.")
	}
	return code, err
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
