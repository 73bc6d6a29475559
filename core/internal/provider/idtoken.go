package provider

import (
	"errors"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// IDTokenFault is what a caller is told when an ID token was not accepted: his
// own fault if the code was another login's, else the provider's.
func IDTokenFault(err error) error {
	var e *fault.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, verify.ErrNonce):
		return fault.InvalidGrant.New("The code belongs to another login.").From(err)
	case errors.Is(err, verify.ErrNoAuthTime):
		return fault.Provider.New("The provider does not tell when the user signed in, which max_age asks for.").From(err)
	case errors.Is(err, verify.ErrMaxAge):
		return fault.AccessDenied.New("The user signed in longer ago than max_age allows.").From(err)
	}
	return fault.Provider.New("The provider gave an ID token that can't be accepted.").From(err)
}
