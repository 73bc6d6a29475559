package core

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/seal"
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
	Client      string    `json:"i"`           // its id
	Provider    string    `json:"p,omitempty"` // its name
	Verifier    string    `json:"v"`           // PKCE (RFC 7636)
	Nonce       string    `json:"n"`
	RedirectURI string    `json:"r"`
	Scope       string    `json:"s"`
	MaxAge      *int      `json:"m,omitempty"`
	Binding     string    `json:"b,omitempty"` // the value of the cookie
	ReturnTo    string    `json:"t,omitempty"` // the page where a browser's login ends
	Silent      bool      `json:"q,omitempty"` // the user is not to be asked, and need not be signed in
	Expires     int64     `json:"e"`
}

// sealState makes the state parameter. Nothing of it can be read outside, and
// it has none but base64url's characters and one dot.
func (a *Auth) sealState(state loginState) (string, error) {
	text, err := a.sealText(a.states, statePrefix, state)
	if err == nil && len(text) > maxState {
		err = ErrInvalidRequest.because("The redirect_uri, the scope and the return_to are too long together.")
	}
	return text, err
}

// sealText seals a value into a text that begins with prefix.
func (a *Auth) sealText(keys *seal.Keys, prefix string, value any) (string, error) {
	plaintext, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	sealed, err := keys.Seal(a.config.Rand, plaintext)
	if err != nil {
		return "", err
	}
	return prefix + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// openText puts into value what sealText has sealed, and reports whether it could.
func openText(keys *seal.Keys, prefix, text string, value any) bool {
	encoded, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return false
	}
	plaintext, err := keys.Open(sealed)
	return err == nil && json.Unmarshal(plaintext, value) == nil
}

// isSealedState reports whether a value claims to be made by sealState.
func isSealedState(value string) bool { return strings.HasPrefix(value, statePrefix) }

// openState reads a state parameter that sealState made within the last ten
// minutes.
func (a *Auth) openState(text string) (loginState, error) {
	var state loginState
	if !openText(a.states, statePrefix, text, &state) || a.now().Unix() >= state.Expires || state.Provider != a.provider.Name {
		return loginState{}, ErrInvalidGrant.because("The state is not one of this service, or the login was not finished within ten minutes. Begin again.")
	}
	return state, nil
}

// returnOf is the page on which the login of a state was to end; "" if it named none. It
// was checked when the login began, so that the login may be over by now.
func (a *Auth) returnOf(sealed string) string {
	var state loginState
	if !openText(a.states, statePrefix, sealed, &state) {
		return ""
	}
	return state.ReturnTo
}

// asked is what the end of a login has to know about its beginning.
type asked struct {
	scope  string // that the provider was asked for
	maxAge *int   // seconds; nil: any
}

// checkNonce tells what the login asked for whose nonce an ID token has; false, if it is
// not that of this state.
func (s loginState) checkNonce(nonce string) (asked, bool) {
	return asked{s.Scope, s.MaxAge}, subtle.ConstantTimeCompare([]byte(nonce), []byte(s.Nonce)) == 1
}

// challengeNonce is the nonce of a login whose client does PKCE itself: a MAC over
// what the token route will see again, the challenge (by way of the verifier) and the
// redirect URI, and behind it what the login asked for. Nobody has to remember
// anything: the ID token brings the nonce back.
func (a *Auth) challengeNonce(c client, challenge, redirectURI string, login asked) string {
	memory := c.memory(login)
	nonce := base64.RawURLEncoding.EncodeToString(a.nonces.MAC(challenge, redirectURI, memory))
	if memory != "" {
		nonce += "." + memory
	}
	return nonce
}

// checkChallengeNonce recognizes what challengeNonce has made, and tells what the login asked
// for.
func (a *Auth) checkChallengeNonce(c client, nonce, challenge, redirectURI string) (asked, bool) {
	encoded, memory, _ := strings.Cut(nonce, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || !a.nonces.CheckMAC(mac, challenge, redirectURI, memory) {
		return asked{}, false
	}
	return c.remembered(memory)
}

// memory is what a login asked for besides the usual, as a nonce carries it: max_age,
// a space, and the scopes. "" is the usual: the configured scopes
// and no max_age.
func (c client) memory(login asked) string {
	age, scope := "", login.scope
	if login.maxAge != nil {
		age = strconv.Itoa(*login.maxAge)
	}
	if scope == c.usualScope() {
		scope = ""
	}
	if age == "" && scope == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(age + " " + scope))
}

// remembered reads what memory has written.
func (c client) remembered(memory string) (asked, bool) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(memory)
	if err != nil {
		return asked{}, false
	}
	age, scope, _ := strings.Cut(string(text), " ")
	login := asked{scope: cmp.Or(scope, c.usualScope())}
	if age != "" {
		seconds, err := strconv.Atoi(age)
		if err != nil {
			return asked{}, false
		}
		login.maxAge = &seconds
	}
	return login, true
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
