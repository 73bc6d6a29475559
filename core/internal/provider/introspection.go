package provider

import (
	"context"
	"errors"
)

// introspectRequest is the request of RFC 7662 2.1.
type introspectRequest struct {
	Token string `schema:"token"`
	Hint  string `schema:"token_type_hint"`
}

// Introspect asks about a token (RFC 7662), and gives the answer as it is.
func (p *Provider) Introspect(ctx context.Context, raw string) ([]byte, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	if m.IntrospectionEndpoint == "" {
		return nil, errors.New("the provider's discovery document names no introspection_endpoint: set Provider.Endpoints.Introspection, or switch Provider.Introspection off")
	}
	return p.post(ctx, m.IntrospectionEndpoint, introspectRequest{raw, "access_token"}, raw)
}
