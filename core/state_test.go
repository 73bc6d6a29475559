package core

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoginsBelongToOneClientAtOneProvider(t *testing.T) {
	auth := func(issuer, clientID string) *Auth {
		a, err := New(Config{
			Providers: []Provider{{Issuer: issuer, ClientID: clientID}}, Secrets: []string{strings.Repeat("A", 43)}, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, a.Close()) })
		return a
	}
	a := auth("https://id.example.org", "shop")
	state, err := a.sealState(loginState{Kind: loginNative, Expires: a.now().Unix() + 60})
	require.NoError(t, err)
	nonce := a.challengeNonce(a.client, "challenge", "uri", asked{})
	for _, row := range []struct {
		other *Auth
		same  bool
	}{
		{auth("https://id.example.org", "shop"), true},
		{auth("https://id.example.org", "shop2"), false},
		{auth("https://id2.example.org", "shop"), false},
	} {
		_, err := row.other.openState(state)
		require.Equal(t, row.same, err == nil)
		_, ok := row.other.checkChallengeNonce(row.other.client, nonce, "challenge", "uri")
		require.Equal(t, row.same, ok)
	}
}
