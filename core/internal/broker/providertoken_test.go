package broker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/stretchr/testify/require"
)

// kept inserts a session that remembers this of the provider's access token.
func (in *instance) kept(t *testing.T, access providerAccess) (id string) {
	t.Helper()
	h, err := in.newHandle()
	require.NoError(t, err)
	state, err := in.newSession(Tokens{RefreshToken: "of-user1"}, "user1", remembered{Client: "app", Access: access})
	require.NoError(t, err)
	s := &storedSession{b: in.Broker, id: h.sessionID(), keys: [2]string{"user1"}}
	require.NoError(t, s.insert(t.Context(), state))
	return s.id
}

func TestASessionOfAnEarlierVersionIsRefreshedForTheProvidersTokenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(t.Context(), 1)
		require.NoError(t, err)
		defer w.close()
		id := w.instances[0].kept(t, providerAccess{})
		first, err := w.instances[0].ProviderToken(t.Context(), id, "")
		require.NoError(t, err)
		require.NotEmpty(t, first)
		time.Sleep(clocksApart)
		second, err := w.instances[1].ProviderToken(t.Context(), id, "")
		require.NoError(t, err)
		require.Equal(t, first, second)
	})
}

func TestAProviderTokenThatIsTooLargeIsNotKept(t *testing.T) {
	fits := keepAccess(Tokens{AccessToken: strings.Repeat("x", MaxToken), Expires: time.Now()})
	require.Len(t, fits.Token, MaxToken)
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(t.Context(), 1)
		require.NoError(t, err)
		defer w.close()
		in := w.instances[0]
		large := keepAccess(Tokens{AccessToken: strings.Repeat("x", MaxToken+1), Expires: time.Now().Add(5 * time.Minute)})
		require.Empty(t, large.Token)
		id := in.kept(t, large)
		for range 2 {
			_, err = in.ProviderToken(t.Context(), id, "")
			require.ErrorIs(t, err, fault.Provider, "and the provider is not asked for another at each call")
			time.Sleep(time.Minute)
		}
	})
}
