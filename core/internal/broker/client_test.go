package broker

import (
	"testing"

	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/stretchr/testify/require"
)

func TestARefreshTokenIsOneOfItsClientAlone(t *testing.T) {
	b := newTestBroker(t, "EdDSA")
	b.macs["other"] = seal.New("refresh tokens of another client", b.Secrets)
	raw, err := b.refreshToken("app", handle{1}, session.Generation{Number: 1, Secret: b.macs["app"].First()})
	require.NoError(t, err)
	_, _, ok := b.parseRefreshToken("app", raw)
	require.True(t, ok)
	_, _, ok = b.parseRefreshToken("other", raw)
	require.False(t, ok)
}
