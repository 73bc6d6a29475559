package core

import (
	"context"
	"errors"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/broker"
)

// RotateOptions say which key [Auth.RotateSigningKey] makes. The zero value makes one of
// Broker.Algorithm that signs a day later.
type RotateOptions struct {
	// Algorithm is RS256, ES256, PS256 or EdDSA; with Broker.PythonPeers, RS256. "":
	// Broker.Algorithm.
	Algorithm string
	// Compromised withdraws all other keys at once, also one that was about to sign: somebody
	// else may have them. The new key signs immediately. All access tokens so far become
	// invalid: here at the next request, at other replicas within 15 minutes, or when they see
	// the first token of the new key. Sessions go on; clients get new tokens by a refresh.
	Compromised bool
}

// SigningKey is a key of the broker's that is published (RFC 7517). It holds nothing secret.
type SigningKey struct {
	ID        string // its kid, the thumbprint (RFC 7638)
	Algorithm string
	Published time.Time // zero for a key of an earlier version, as is Signs
	Signs     time.Time // it signs from then on, until it retires
	Retires   time.Time // the next key signs; zero while there is none
	Removed   time.Time // all that it has signed has expired; zero while it does not retire
}

// RotateSigningKey makes a new signing key and publishes it (RFC 7517 5). The key signs a day
// later, when all replicas and verifiers have it; the key before it stays published until
// its last token has expired. If such a key of the same algorithm is published already,
// there is nothing to do, so that it may be called again after an error, and at several
// replicas at once. With RotateOptions.Compromised each call makes a key.
//
// It fails with [ErrUnavailable] while the store can't be reached or has a record that can't
// be read, and with another error for an algorithm that can't be used, without a [Broker], or
// for the twentieth key at a time. After an error the rotation may have happened, or not;
// [Auth.SigningKeys] tells. It may be called concurrently.
func (a *Auth) RotateSigningKey(ctx context.Context, o RotateOptions) error {
	if a.broker == nil {
		return errors.New("core.Auth.RotateSigningKey needs Config.Broker")
	}
	return asError(a.broker.RotateSigningKey(ctx, broker.Rotation(o)))
}

// SigningKeys gives the signing keys that are published, in the order in which they sign,
// as the store has them now. It fails with [ErrUnavailable] while the store can't be reached
// or has a record that can't be read. Without a [Broker] there are none. It may be called
// concurrently.
func (a *Auth) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	if a.broker == nil {
		return nil, nil
	}
	keys, err := a.broker.SigningKeys(ctx)
	if err != nil {
		return nil, asError(err)
	}
	list := make([]SigningKey, len(keys))
	for i, key := range keys {
		list[i] = SigningKey(key)
	}
	return list, nil
}
