package core

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// stateLifetime is how long a login may take, from leaving for the provider to
// the code's exchange.
const stateLifetime = 10 * time.Minute

// statePrefix begins every sealed state, and tells it from a client's own
// verifier where either may be sent.
const statePrefix = "og1."

// loginKind is who redeems the code of a login whose PKCE we do.
type loginKind string

const (
	// loginCallback: our own callback, in the browser that began the login.
	loginCallback loginKind = "callback"
	// loginBrowser: a page of the application at another URI, in the browser
	// that began the login.
	loginBrowser loginKind = "browser"
	// loginNative: a program that listens on loopback. It has no cookie, and
	// so whoever holds both state and code can redeem them.
	loginNative loginKind = "native"
)

// loginState is what a login has to remember, sealed into the state parameter.
type loginState struct {
	Kind        loginKind `json:"k"`
	Verifier    string    `json:"v"` // PKCE (RFC 7636)
	Nonce       string    `json:"n"`
	RedirectURI string    `json:"r"`
	Scope       string    `json:"s"`
	MaxAge      *int      `json:"m,omitempty"`
	Binding     string    `json:"b,omitempty"` // the value of the cookie
	Expires     int64     `json:"e"`
}

// sealState makes the state parameter. Nothing of it can be read outside, and
// it has none but base64url's characters and one dot.
func (a *Auth) sealState(state loginState) (string, error) {
	plaintext, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	sealed, err := a.states.Seal(a.config.Rand, plaintext)
	if err != nil {
		return "", err
	}
	text := statePrefix + base64.RawURLEncoding.EncodeToString(sealed)
	if len(text) > maxState {
		return "", ErrInvalidRequest.because("The redirect_uri and the scope are too long together.")
	}
	return text, nil
}

// isSealedState reports whether a value claims to be made by sealState.
func isSealedState(value string) bool { return strings.HasPrefix(value, statePrefix) }

// openState reads a state parameter that sealState made within the last ten
// minutes.
func (a *Auth) openState(text string) (loginState, error) {
	invalid := ErrInvalidGrant.because("The state is not one of this service, or the login was not finished within ten minutes. Begin again.")
	encoded, ok := strings.CutPrefix(text, statePrefix)
	if !ok {
		return loginState{}, invalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return loginState{}, invalid
	}
	plaintext, err := a.states.Open(sealed)
	if err != nil {
		return loginState{}, invalid
	}
	var state loginState
	if err := json.Unmarshal(plaintext, &state); err != nil || a.now().Unix() >= state.Expires {
		return loginState{}, invalid
	}
	return state, nil
}

// checkNonce holds the nonce of an ID token against the state's.
func (s loginState) checkNonce(nonce string) (maxAge *int, ok bool) {
	return s.MaxAge, subtle.ConstantTimeCompare([]byte(nonce), []byte(s.Nonce)) == 1
}

// cookieName is the name of the cookie that binds a login to its browser, one
// for each login, so that several tabs can log in at once.
func (a *Auth) cookieName(sealed string) string {
	hash := sha256.Sum256([]byte(sealed))
	name := "oidcgate-" + hex.EncodeToString(hash[:8])
	if a.config.secureCookies() {
		return "__Host-" + name
	}
	return name
}

// cookie is that cookie; __Host- asks for Secure, the path / and no domain.
func (a *Auth) cookie(sealed, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: a.cookieName(sealed), Value: value, Path: "/", MaxAge: maxAge,
		Secure: a.config.secureCookies(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func (a *Auth) setCookie(w http.ResponseWriter, sealed string, state loginState) {
	http.SetCookie(w, a.cookie(sealed, state.Binding, int(stateLifetime.Seconds())))
}

func (a *Auth) clearCookie(w http.ResponseWriter, sealed string) {
	http.SetCookie(w, a.cookie(sealed, "", -1))
}

// checkCookie makes sure that the request comes from the browser in which the
// login began.
func (a *Auth) checkCookie(r *http.Request, sealed string, state loginState) error {
	cookie, err := r.Cookie(a.cookieName(sealed))
	if err != nil || subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(state.Binding)) != 1 {
		return ErrInvalidGrant.because("This login did not begin in this browser: the cookie that login set is missing.")
	}
	return nil
}

// challengeNonce is the nonce of a login whose client does PKCE itself: a MAC
// over what the token route will see again, the challenge (by way of the
// verifier) and the redirect URI. Nothing has to be remembered. A max_age goes
// with it in clear, so that the token route learns it from the ID token.
func (a *Auth) challengeNonce(challenge, redirectURI string, maxAge *int) string {
	age := ""
	if maxAge != nil {
		age = strconv.Itoa(*maxAge)
	}
	nonce := base64.RawURLEncoding.EncodeToString(a.nonces.MAC(challenge, redirectURI, age))
	if maxAge != nil {
		nonce += "." + age
	}
	return nonce
}

// checkChallengeNonce recognizes what challengeNonce made.
func (a *Auth) checkChallengeNonce(nonce, challenge, redirectURI string) (maxAge *int, ok bool) {
	encoded, age, aged := strings.Cut(nonce, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || !a.nonces.CheckMAC(mac, challenge, redirectURI, age) {
		return nil, false
	}
	if !aged {
		return nil, true
	}
	seconds, err := strconv.Atoi(age)
	return &seconds, err == nil
}

// challengeOf is the S256 challenge of a verifier (RFC 7636 4.2).
func challengeOf(verifier string) string {
	hash := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// random gives 32 random bytes in base64url: enough for a verifier (RFC 7636
// 4.1), a nonce and a cookie.
func (a *Auth) random() (string, error) {
	bytes := make([]byte, 32)
	if _, err := io.ReadFull(a.config.Rand, bytes); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(bytes), nil
}
