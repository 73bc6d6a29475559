package broker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/oidcgate/oidcgate/store"
)

// providerLogoutTime is how long a logout at the provider may take to end sessions here. A
// user may have very many.
const providerLogoutTime = time.Minute

// storedLogout is the record of a logout token that was used, or is being used.
type storedLogout struct {
	// Done says that the sessions have ended. The first use may have failed.
	Done bool `json:"done"`
}

// ProviderLogout ends the sessions that have ended at the provider, as a logout token says
// (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.7). A token works once, at whichever
// replica. After a failure it works again, and goes on where it was left. A caller who
// goes away stops nothing.
func (b *Broker) ProviderLogout(ctx context.Context, raw string) error {
	t, err := b.Provider.Verifier().LogoutToken(ctx, raw, MaxToken)
	if err != nil {
		reason, unavailable := verify.Reason(err)
		if unavailable != nil {
			return unavailable
		}
		return fault.InvalidRequest.New("The logout_token is invalid: " + reason + ".").From(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerLogoutTime)
	defer cancel()
	record, err := b.useLogoutToken(ctx, t)
	if err != nil {
		return err
	}
	if _, err := b.End(ctx, endedBy(t, b.Leeway), session.ReasonProviderLogout); err != nil {
		return err
	}
	// The sessions have ended, whatever becomes of this. A token that is not marked may be used
	// again, and finds none.
	_, _ = b.records.Put(ctx, record, storedLogout{Done: true})
	return nil
}

// endedBy chooses the sessions that a logout token is about. Nobody has ended the login of
// one that began later. One with offline_access is meant to outlive the login (2.7). One of a
// browser is the login: its refresh token stays here and is of no use without it.
func endedBy(t verify.LogoutToken, leeway time.Duration) Filter {
	return Filter{
		Subject: t.Subject, ProviderSession: t.Session,
		Before: t.IssuedAt.Add(time.Second + leeway), // iat has whole seconds
		Online: !t.RevokesOfflineToo,
	}
}

// useLogoutToken gives the record of a token, to be written when it is done. It fails for
// one that is done.
func (b *Broker) useLogoutToken(ctx context.Context, t verify.LogoutToken) (store.Record, error) {
	hash := sha256.Sum256([]byte(t.Issuer + "\n" + t.ID)) // no issuer has a line break
	record := store.Record{
		Kind: kindLogoutToken, ID: base64.RawURLEncoding.EncodeToString(hash[:]),
		Expires: b.logoutTokenEnd(t),
	}
	var err error
	record.Version, err = b.records.Put(ctx, record, storedLogout{})
	if !errors.Is(err, store.ErrConflict) {
		return record, err
	}
	var known storedLogout
	found, err := b.records.Get(ctx, record.Kind, record.ID, &known)
	record.Version = found.Version
	if errors.Is(err, store.ErrNotFound) || known.Done { // it was removed, since it has expired
		return store.Record{}, fault.InvalidRequest.New("The logout_token was used before.")
	}
	return record, err
}

// logoutTokenEnd is when a token is invalid at every replica.
func (b *Broker) logoutTokenEnd(t verify.LogoutToken) time.Time {
	end, last := t.Expires.Add(b.Leeway+clockMargin), time.Unix(claim.Latest, 0)
	if last.Before(end) { // no store knows a later date
		end = last
	}
	return end.Truncate(time.Millisecond)
}
