package broker

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Introspect gives the claims of an access token of ours that is valid for one of the
// audiences and whose session has not ended. They are nil for anything else.
func (b *Broker) Introspect(ctx context.Context, raw string, audiences []string) (*claim.Set, error) {
	c, err := verify.Read(raw, MaxToken, b.Now())
	if err == nil {
		v := *b.own
		v.Audience = verify.Audience{Names: audiences}
		err = v.AccessToken(ctx, c)
	}
	if err == nil && c.Claims.Text("sid") != "" { // none after a token exchange
		err = b.lookLive(ctx, c.Claims.Text("sid"))
	}
	switch {
	case errors.Is(err, fault.Unavailable):
		return nil, err
	case err != nil:
		return nil, nil
	}
	return c.Claims, nil
}
