package core

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/oidcgate/oidcgate/core/internal/text"
)

// WriteError answers a request with err: status, JSON body and headers as
// every route of this package does. An Error that a program has made itself gets the
// headers of [Error.Header] as any other. A challenge is added to those that are in
// w.Header() already. An error that is no [Error], or has no Status, becomes a 500 that
// tells nothing about it; log it yourself.
func WriteError(w http.ResponseWriter, err error) {
	e := answerTo(err)
	e.addHeaders(w.Header())
	switch {
	case e.location != "":
		redirect(w, e.location, e.Status)
		return
	case e.page != nil:
		e.page.write(w, e.Status)
		return
	}
	body := struct {
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description"`
		Detail      string `json:"detail"`
	}{e.Code, e.Description, e.Description}
	if e.form == formPolling {
		body.Error = ""
	}
	writeJSON(w, e.Status, body)
}

// Header gives the headers by which a client knows what to do about the error:
// WWW-Authenticate (RFC 6750 3) and Retry-After. It is for answers that [WriteError]
// can't write, as those of an RPC. The map is the caller's, and empty where the error
// needs neither.
//
// A challenge belongs to a 401, but for ErrInvalidClient, and to ErrInsufficientScope.
// Its realm is Config.PublicURL in an error of a guard, and "oidcgate" in one that a
// program has made itself.
func (e *Error) Header() http.Header {
	header := http.Header{}
	if e != nil {
		e.addHeaders(header)
	}
	return header
}

// challenges reports whether an answer with this error has a Bearer challenge.
func (e *Error) challenges() bool {
	return e.form == formChallenge ||
		e.Status == http.StatusUnauthorized && e.Code != ErrInvalidClient.Code ||
		e.Status == http.StatusForbidden && e.Code == ErrInsufficientScope.Code
}

// addHeaders adds the headers of an answer with this error.
func (e *Error) addHeaders(header http.Header) {
	switch {
	case e.form == formBasic:
		header.Add("WWW-Authenticate", `Basic realm="`+defaultRealm+`"`)
	case e.challenges():
		header.Add("WWW-Authenticate", e.challenge())
	}
	if e.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
}

// defaultRealm is the realm of a challenge without a PublicURL.
const defaultRealm = "oidcgate"

// challenge is the WWW-Authenticate value of RFC 6750 3. The realm (RFC 9110 11.5) is
// PublicURL, so that several applications on a host are told apart. A request without any token
// learns of no error.
func (e *Error) challenge() string {
	value := `Bearer realm="` + text.Quotable(cmp.Or(e.realm, defaultRealm)) + `"`
	if e.Code != "" && e.Code != ErrMissingToken.Code {
		value += `, error="` + text.Quotable(e.Code) + `"`
		if e.Description != "" {
			value += `, error_description="` + text.Quotable(e.Description) + `"`
		}
	}
	if e.Scope != "" {
		value += `, scope="` + text.Quotable(e.Scope) + `"`
	}
	if e.metadata != "" {
		value += `, resource_metadata="` + text.Quotable(e.metadata) + `"` // RFC 9728 5.1
	}
	return value
}

// noStore is the Cache-Control of an answer that no cache may keep.
const noStore = "no-store"

// protect sets the headers of every answer that may concern one person.
func protect(header http.Header) {
	header.Set("Cache-Control", noStore)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
}

// writeJSON answers with a JSON body that is meant for the caller alone.
func writeJSON(w http.ResponseWriter, status int, body any) {
	protect(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// The connection may be gone; there is nobody left to tell.
	_ = encoder.Encode(body)
}
