package core

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxLogins is how many logins of one browser are remembered at once. Logins that
// nobody finishes would otherwise fill the Cookie header, until servers and proxies
// refuse every request of the browser.
const maxLogins = 8

// cookieHash is how many hex digits of a state's hash are in the name of its cookie.
const cookieHash = 16

// cookiePrefix begins the names of the cookies that bind logins to their browser; __Host-
// asks for Secure, the path / and no domain.
func (c Config) cookiePrefix() string {
	if c.secureCookies() {
		return "__Host-oidcgate-login-"
	}
	return "oidcgate-login-"
}

// cookieName is the name of a login's cookie: one for each login, so that several
// tabs can log in at once.
func (a *Auth) cookieName(sealed string) string {
	hash := sha256.Sum256([]byte(sealed))
	return a.config.cookiePrefix() + hex.EncodeToString(hash[:])[:cookieHash]
}

func (a *Auth) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: a.config.secureCookies(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// setCookie binds a login to the browser, which forgets its oldest logins if they
// become too many.
func (a *Auth) setCookie(w http.ResponseWriter, r *http.Request, sealed string, state loginState) {
	earlier := a.loginCookies(r)
	for _, oldest := range earlier[:max(0, len(earlier)+1-maxLogins)] {
		http.SetCookie(w, a.cookie(oldest.Name, "", -1))
	}
	http.SetCookie(w, a.cookie(a.cookieName(sealed), state.Binding, int(stateLifetime.Seconds())))
}

func (a *Auth) clearCookie(w http.ResponseWriter, sealed string) {
	http.SetCookie(w, a.cookie(a.cookieName(sealed), "", -1))
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

// newBinding makes the value of a login's cookie: when the login began, and what
// nobody can guess.
func (a *Auth) newBinding() (string, error) {
	secret, err := a.random()
	return strconv.FormatInt(a.now().UnixMilli(), 10) + "." + secret, err
}

// loginCookies are the cookies of logins under way, oldest first.
func (a *Auth) loginCookies(r *http.Request) []*http.Cookie {
	prefix := a.config.cookiePrefix()
	cookies := slices.DeleteFunc(r.Cookies(), func(c *http.Cookie) bool {
		return !strings.HasPrefix(c.Name, prefix) || len(c.Name) != len(prefix)+cookieHash
	})
	// A browser can write what it likes there; it moves its own logins alone.
	began := func(c *http.Cookie) int64 {
		text, _, _ := strings.Cut(c.Value, ".")
		milliseconds, _ := strconv.ParseInt(text, 10, 64)
		return milliseconds
	}
	slices.SortStableFunc(cookies, func(a, b *http.Cookie) int { return cmp.Compare(began(a), began(b)) })
	return cookies
}
