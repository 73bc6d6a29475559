// Package fault has the errors of the packages below core. An [Error] says what kind of
// failure it is and describes it for the caller; core alone turns it into an answer.
// Its cause is for logs.
package fault

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Kind is a kind of failure. It is an error, so that errors.Is tells whether an [Error]
// is of this kind:
//
//	errors.Is(err, fault.Unavailable)
type Kind string

// The kinds of failures. Most are OAuth errors and have the name of their code.
const (
	InvalidRequest    Kind = "invalid_request"
	InvalidGrant      Kind = "invalid_grant"
	InvalidScope      Kind = "invalid_scope"
	InvalidTarget     Kind = "invalid_target"
	AccessDenied      Kind = "access_denied"
	InvalidToken      Kind = "invalid_token"
	InsufficientScope Kind = "insufficient_scope"
	// UnsupportedTokenType: the token is of a kind that can't be revoked (RFC 7009 2.2.1).
	UnsupportedTokenType Kind = "unsupported_token_type"
	// Refused: the provider answered with an OAuth error, which is Error.Code.
	Refused Kind = "refused"
	// Provider: the provider does not accept this application, or its answer can't be used.
	Provider Kind = "server_error"
	// Unavailable: the provider or the store is down, too slow or asks for patience. The
	// same call may succeed later.
	Unavailable Kind = "temporarily_unavailable"
	// Internal: a mistake in the application.
	Internal Kind = "internal"
)

func (k Kind) Error() string { return string(k) }

// New makes an error of this kind. The description is one sentence for the caller.
func (k Kind) New(description string) *Error { return &Error{Kind: k, Description: description} }

// Error is a failure. It never contains a token, a code, a secret or a key. It is
// immutable: its methods give changed copies.
type Error struct {
	Kind        Kind
	Code        string // of the provider's OAuth error, for Refused
	Description string
	RetryAfter  time.Duration // when to try again, for Unavailable; zero: unknown
	Scope       string        // the scopes that are needed, for InsufficientScope
	Cause       error         // nil: none
}

// Error gives kind and description, and the cause where there is one.
func (e *Error) Error() string {
	text := string(e.Kind)
	if e.Code != "" {
		text = e.Code
	}
	text += ": " + e.Description
	if e.Cause != nil {
		text += " (" + e.Cause.Error() + ")"
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is the kind of the error. One that the provider refused with
// a code is of the kind of that name, too.
func (e *Error) Is(target error) bool {
	return target == e.Kind || e.Code != "" && target == Kind(e.Code)
}

// From gives a copy with this cause.
func (e *Error) From(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// Because gives a copy with this description.
func (e *Error) Because(description string) *Error {
	c := *e
	c.Description = description
	return &c
}

// After gives a copy that asks to be tried again after this time.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Soon gives a copy that asks to be tried again in a second.
func (e *Error) Soon() *Error { return e.After(time.Second) }

// CauseOf is why there was an error, for where the error itself would repeat what is
// said around it.
func CauseOf(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Cause != nil {
		return e.Cause
	}
	return err
}

// Catch runs code of the application, or whatever else might panic, and makes an
// error of a panic. A mistake there must not end the process, nor change what has been
// decided.
func Catch(logger *slog.Logger, what string, do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			logger.Error(what+" panicked", "panic", cause, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s panicked: %v", what, cause)
		}
	}()
	return do()
}
