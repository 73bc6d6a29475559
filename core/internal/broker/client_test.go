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

// Records of earlier versions name no client.
func TestASessionThatNamesNoClientIsTheApplicationsOwn(t *testing.T) {
	b := newTestBroker(t, "EdDSA")
	who, err := b.recall(session.State{Content: []byte(`{"username":"alice"}`)})
	require.NoError(t, err)
	require.Equal(t, "app", who.Client)
	first, err := b.generation(1)
	require.NoError(t, err)
	tokens, err := b.body(t.Context(), handle{1}, session.State{
		Created: b.Now(), Used: b.Now(), Current: first, Subject: "alice", Content: []byte(`{"username":"alice"}`), Tokens: session.Tokens{RefreshToken: "x"},
	}, Narrowing{})
	require.NoError(t, err)
	_, _, ok := b.parseRefreshToken("app", tokens.RefreshToken)
	require.True(t, ok)
}
