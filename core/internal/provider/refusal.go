package provider

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// refusal is an OAuth error that the provider has answered with (RFC 6749 4.1.2.1 and
// 5.2). It is the cause of what the caller is told.
type refusal struct{ code, description string }

func (r *refusal) Error() string {
	return "the provider says " + r.code + ": " + r.description
}

// RefusedWith is the code of the OAuth error that the provider has answered with, ""
// when a call failed in any other way.
func RefusedWith(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return ""
}

// ourFaults are the errors of a provider for which the caller can do nothing: it does
// not accept this application, or wants of it what this application does not do.
var ourFaults = []struct {
	codes  []string
	words  []string // one of which is in the description; nil: whatever that says
	told   string   // to the caller
	advice string   // for the operator
}{
	{
		[]string{"invalid_dpop_proof", "use_dpop_nonce"}, nil, wantsDPoP, adviceDPoP,
	}, {
		[]string{"invalid_request", "invalid_grant", "invalid_client"}, []string{"dpop"}, wantsDPoP, adviceDPoP,
	}, {
		[]string{"invalid_request", "unauthorized_client"}, []string{"pushed authorization"}, wantsPAR, advicePAR,
	}, {
		[]string{"invalid_request_uri"}, nil, wantsPAR, advicePAR,
	}, {
		[]string{"invalid_request_object"}, nil, wantsJAR, adviceJAR,
	}, {
		[]string{"invalid_request", "unauthorized_client"}, []string{"request object", "'request'"}, wantsJAR, adviceJAR,
	}, {
		[]string{"invalid_request", "unauthorized_client"}, []string{"client_assertion", "client authentication", "client certificate"},
		"The provider wants another client authentication of this application.",
		"let the provider authenticate this client by its secret, with the method of Provider.ClientAuth",
	}, {
		[]string{"invalid_client"}, nil,
		"The provider does not accept this application.",
		"check Provider.ClientID and Provider.ClientSecret, and set Provider.ClientAuth to the method that the provider has for this client",
	}, {
		[]string{"unauthorized_client"}, nil,
		"The provider does not let this application do this.",
		"check Provider.ClientSecret, and allow this client the grant at the provider (authorization code, refresh token, device code)",
	}, {
		[]string{"unsupported_grant_type"}, nil,
		"The provider does not have this kind of grant.",
		"switch the grant on at the provider, or its route off: see Config.Routes",
	}, {
		[]string{"unsupported_response_type"}, nil,
		"The provider does not have the authorization code flow for this application.",
		"allow this client the authorization code flow at the provider",
	},
}

const (
	wantsDPoP  = "The provider wants DPoP proofs of this application."
	adviceDPoP = "switch DPoP off for this client at the provider: it is not supported"
	wantsPAR   = "The provider wants pushed authorization requests of this application."
	advicePAR  = "switch pushed authorization requests off for this client at the provider: they are not supported"
	wantsJAR   = "The provider wants signed authorization requests of this application."
	adviceJAR  = "switch request objects off for this client at the provider: they are not supported"
)

// InteractionCodes are the codes by which a provider says that it has to ask the user
// something (OpenID Connect Core 3.1.2.6).
var InteractionCodes = []string{"login_required", "interaction_required", "consent_required", "account_selection_required"}

// DeniedCodes are the codes by which a provider, or the user there, refuses a login
// (RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6).
var DeniedCodes = append([]string{string(fault.AccessDenied)}, InteractionCodes...)

// answer is what the caller is told of a refusal, by whose fault it is.
func (r *refusal) answer() *fault.Error {
	description := strings.ToLower(r.description)
	for _, ours := range ourFaults {
		if slices.Contains(ours.codes, r.code) && (ours.words == nil ||
			slices.ContainsFunc(ours.words, func(word string) bool { return strings.Contains(description, word) })) {
			return fault.Provider.New(ours.told).From(fmt.Errorf("%w; %s", r, ours.advice))
		}
	}
	switch {
	case r.code == "server_error":
		return fault.Provider.New("The provider failed.").From(r)
	case r.code == string(fault.Unavailable):
		return ErrBusy.From(r).After(defaultPatience)
	}
	return &fault.Error{Kind: fault.Refused, Code: r.code, Description: r.description, Cause: r}
}

// ErrBusy is the error for a provider that asks for patience, and defaultPatience how
// long it is left alone when it does not say.
var ErrBusy = fault.Unavailable.New("The provider is overloaded or down at the moment.")

const defaultPatience = 5 * time.Second

// registered are the error codes of the IANA registry "OAuth Extensions Error", and
// those of RFC 6749 and OpenID Connect Core, which repeat nothing of what was sent.
var registered = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable",
	"interaction_required", "login_required", "account_selection_required", "consent_required", "invalid_request_uri",
	"invalid_request_object", "request_not_supported", "request_uri_not_supported", "registration_not_supported",
	"unmet_authentication_requirements", "invalid_token", "insufficient_scope", "unsupported_token_type", "invalid_target",
	"authorization_pending", "slow_down", "expired_token", "invalid_dpop_proof", "use_dpop_nonce",
	"insufficient_user_authentication", "invalid_authorization_details",
}

// maxCode is the longest error code that is passed on, in characters.
const maxCode = 64

// RefusalOf translates an OAuth error of the provider. Its text is passed on only as
// far as it is harmless; sent is what it may not repeat.
func RefusalOf(code, description string, sent []string) error {
	echo := slices.ContainsFunc(sent, func(value string) bool { return text.Echoes(code, value) })
	if !slices.Contains(registered, code) && (code != text.Quotable(code) || len(code) > maxCode || echo) {
		return fault.Provider.New("The provider gave an error that can't be used.")
	}
	return (&refusal{code, text.Harmless(description, sent, "The provider refused with "+code+".")}).answer()
}

// Codes by which a provider says that a device login goes on (RFC 8628 3.5).
const (
	Pending  = "authorization_pending"
	SlowDown = "slow_down"
)
