package broker

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Revoke ends the session of a token that somebody gives up (RFC 7009 2): of a refresh
// token, or of an access token of ours, which may have expired, or be for a peer. A token
// that is none of ours is no error (RFC 7009 2.2).
func (b *Broker) Revoke(ctx context.Context, client, token string) error {
	if _, ours, err := b.signOutBy(ctx, client, token); ours {
		return err
	}
	c, err := verify.Read(token, MaxToken, b.Now())
	if err == nil {
		err = b.own.Issued(ctx, c)
	}
	switch {
	case errors.Is(err, fault.Unavailable):
		return err
	case err != nil:
		return nil
	}
	id := c.Claims.Text("sid")
	if id == "" {
		return fault.UnsupportedTokenType.New("The access token has no session and can't be revoked. It ends by itself.")
	}
	_, err = b.signOut(ctx, id, session.End)
	return err
}
