package core

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/provider"
)

// Error is the error of a route or a guard. [errors.Is] compares the code only:
//
//	errors.Is(err, core.ErrInvalidToken)
//
// is true for any description. An Error never contains a token, a code, a secret or a key, so
// it may be logged. Only its Description is meant for callers.
type Error struct {
	// Status is the HTTP status code of the answer.
	Status int
	// Code is the registered OAuth error code (RFC 6749, RFC 6750, RFC 8628, RFC 8693) if
	// there is one.
	Code string
	// Description is one sentence for people.
	Description string
	// RetryAfter is the time to wait before the next try, for ErrUnavailable. It is sent in
	// whole seconds, rounded up. Zero: it is not sent.
	RetryAfter time.Duration
	// Scope lists all scopes that a guarded route needs, separated by spaces. It is for a 401
	// and for ErrInsufficientScope, and is sent as scope in WWW-Authenticate (RFC 6750 3).
	// It lists all scopes, not only the missing ones: a client that asks only for those
	// would lose the scopes that it has. "": the route needs none.
	Scope string

	cause error
	form  errorForm

	location string // where the answer leads, with a Status that redirects; "": nowhere
	page     *page  // the answer for a person; nil: the usual one

	// Of WWW-Authenticate:
	realm    string // "": defaultRealm
	metadata string // of the resource, a URL; "": there is none
}

// errorForm tells the few answers apart whose form differs for one code.
type errorForm int

const (
	formPlain     errorForm = iota
	formChallenge           // with WWW-Authenticate: Bearer, where neither status nor code says so
	formBasic               // client credentials came in the Authorization header
	formPolling             // device polling: without the error member
)

// The errors of routes and guards, for [errors.Is]. An error that is returned has its own
// description. Your own guards may answer with these values.
var (
	// ErrInvalidRequest: a parameter is missing, repeated, malformed or too long.
	ErrInvalidRequest = &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: "The request is malformed."}
	// ErrInvalidGrant: a code, verifier, state, refresh token or device code is
	// wrong, expired, used or revoked.
	ErrInvalidGrant = &Error{Status: http.StatusBadRequest, Code: "invalid_grant", Description: "The grant is wrong, expired, used or revoked."}
	// ErrInvalidScope: a scope is malformed, or not in Provider.AllowedScopes.
	ErrInvalidScope = &Error{Status: http.StatusBadRequest, Code: "invalid_scope", Description: "The scope is not allowed."}
	// ErrInvalidTarget: a request asks for an audience or resource for which the broker issues
	// no tokens (RFC 8693 2.2.2, RFC 8707 2).
	ErrInvalidTarget = &Error{Status: http.StatusBadRequest, Code: "invalid_target", Description: "The audience is not one that this service issues tokens for."}
	// ErrInvalidClient: the client sent credentials, and they are wrong.
	ErrInvalidClient = &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "The client credentials are wrong."}
	// ErrUnsupportedGrant: the grant type is unknown or switched off.
	ErrUnsupportedGrant = &Error{Status: http.StatusBadRequest, Code: "unsupported_grant_type", Description: "The grant type is not supported."}
	// ErrAccessDenied: the user, the provider or the application refuses a login.
	ErrAccessDenied = &Error{Status: http.StatusForbidden, Code: "access_denied", Description: "The login was refused."}
	// ErrMissingToken: a guard found no bearer token.
	ErrMissingToken = &Error{Status: http.StatusUnauthorized, Code: "missing_token", Description: "A bearer token is needed in the Authorization header."}
	// ErrInvalidToken: a bearer token failed a check.
	ErrInvalidToken = &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "The access token is invalid."}
	// ErrInsufficientScope: a valid token lacks a scope.
	ErrInsufficientScope = &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: "The token lacks a scope."}
	// ErrInsufficientClaims: a valid token does not satisfy a claim or role constraint.
	ErrInsufficientClaims = &Error{Status: http.StatusForbidden, Code: "insufficient_claims", Description: "The token's claims do not allow this."}
	// ErrCrossSite: a page of another origin may have sent a request by cookie.
	ErrCrossSite = &Error{Status: http.StatusForbidden, Code: "cross_site", Description: "The request was sent by a page of another site, or the browser does not say by which. Nothing was done."}
	// ErrNotFound: the userinfo route found no username.
	ErrNotFound = &Error{Status: http.StatusNotFound, Code: "not_found", Description: "There is no such thing."}
	// ErrProvider: the provider does not accept this application, or its answer is invalid.
	ErrProvider = &Error{Status: http.StatusBadGateway, Code: "server_error", Description: "The provider gave an answer that can't be used."}
	// ErrUnavailable: the provider or the store is down, too slow, or asks to try again
	// later. The same request may succeed later.
	ErrUnavailable = &Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "The provider can't be reached at the moment."}
)

// Error returns the code, the description and the cause. It is for logs: the cause contains
// host names and internal errors. Send only Description to callers.
func (e *Error) Error() string {
	if e == nil {
		return "no error"
	}
	text := e.Code
	if e.Description != "" {
		text += ": " + e.Description
	}
	if e.cause != nil {
		text += " (" + e.cause.Error() + ")"
	}
	return text
}

// Unwrap returns the cause. It is for logs and is never sent.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && e != nil && other != nil && other.Code == e.Code
}

// causeOf is why there was an error, for where the error itself would repeat what is
// said around it.
func causeOf(err error) error {
	var e *Error
	if errors.As(err, &e) && e.cause != nil {
		return e.cause
	}
	return err
}

// because gives a copy of the error with this sentence.
func (e *Error) because(description string) *Error {
	c := *e
	c.Description = description
	return &c
}

// soon gives a copy of the error that asks to be tried again in a second.
func (e *Error) soon() *Error {
	c := *e
	c.RetryAfter = time.Second
	return &c
}

// from gives a copy of the error with this cause.
func (e *Error) from(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// as gives a copy of the error that is answered in this form.
func (e *Error) as(form errorForm) *Error {
	c := *e
	c.form = form
	return &c
}

// answerTo is the [Error] that a request is answered with. It is a 500 for an error
// that says nothing about its answer.
func answerTo(err error) *Error {
	var e *Error
	if !errors.As(asError(err), &e) || e == nil || e.Status < 100 || e.Status > 999 {
		return &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: "Something went wrong on the server."}
	}
	return e
}

// answers are the errors that failures of the packages below are answered with.
var answers = map[fault.Kind]*Error{
	fault.InvalidRequest: ErrInvalidRequest, fault.InvalidGrant: ErrInvalidGrant, fault.InvalidScope: ErrInvalidScope,
	fault.InvalidTarget: ErrInvalidTarget, fault.AccessDenied: ErrAccessDenied, fault.InvalidToken: ErrInvalidToken,
	fault.InsufficientScope: ErrInsufficientScope, fault.Provider: ErrProvider, fault.Unavailable: ErrUnavailable,
	fault.UnsupportedTokenType: {Status: http.StatusBadRequest, Code: "unsupported_token_type"},

	fault.Internal: {Status: http.StatusInternalServerError, Code: "server_error"},
	fault.Refused:  {Status: http.StatusBadRequest},
}

// asError makes an [Error] of a failure of the packages below, and gives any other error
// as it is.
func asError(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		switch f := inner.(type) {
		case *Error:
			return err
		case *fault.Error:
			e := *answers[f.Kind]
			e.Description, e.RetryAfter, e.Scope, e.cause = f.Description, f.RetryAfter, f.Scope, f.Cause
			if f.Kind == fault.Refused {
				e.Code = f.Code
				if slices.Contains(provider.DeniedCodes, f.Code) {
					e.Status = http.StatusForbidden
				}
			}
			return &e
		}
	}
	return err
}

// asFault is asError's counterpart for errors of the application.
func asFault(err error) error {
	var e *Error
	switch {
	case errors.As(err, &e) && e != nil && e.Code == ErrAccessDenied.Code:
		return fault.AccessDenied.New(e.Description).From(err)
	case errors.Is(err, ErrAccessDenied):
		return fault.AccessDenied.New(ErrAccessDenied.Description).From(err)
	case errors.Is(err, ErrUnavailable):
		return fault.Unavailable.New(ErrUnavailable.Description).From(err)
	}
	return err
}

// Errors of which the code alone doesn't tell the status.
var (
	errTooLarge  = &Error{Status: http.StatusRequestEntityTooLarge, Code: ErrInvalidRequest.Code}
	errMediaType = &Error{Status: http.StatusUnsupportedMediaType, Code: ErrInvalidRequest.Code}
	errMethod    = &Error{Status: http.StatusMethodNotAllowed, Code: ErrInvalidRequest.Code, Description: "The route does not know this method."}
	errPending   = &Error{Status: http.StatusBadRequest, Code: provider.Pending}
	errSlowDown  = &Error{Status: http.StatusBadRequest, Code: provider.SlowDown}
)
