package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/stretchr/testify/require"
)

// fixedKeys is a provider's key set that never changes.
type fixedKeys struct{ jose.KeySet }

func (k fixedKeys) Settled(time.Time) bool                           { return true }
func (k fixedKeys) Get(context.Context) (jose.KeySet, error)         { return k.KeySet, nil }
func (k fixedKeys) Renew(context.Context, bool) (jose.KeySet, error) { return k.KeySet, nil }

func TestALogoutTokenEndsAThousandSessionsOfAUser(t *testing.T) {
	b := newTestBroker(t, "EdDSA")
	key, err := jose.Generate("EdDSA")
	require.NoError(t, err)
	public, err := key.Public()
	require.NoError(t, err)
	keys, err := jose.ParseKeySet(fmt.Appendf(nil, `{"keys":[%s]}`, public), jose.MaxRSABits)
	require.NoError(t, err)
	v := b.Provider.Verifier()
	v.Keys, v.Issuer, v.ClientID = fixedKeys{keys}, verify.NewIssuerName("https://id.example.org"), "app"
	var events []Event
	b.Tell = func(_ context.Context, e Event) { events = append(events, e) }

	insert := func(subject string) string {
		h, err := b.newHandle()
		require.NoError(t, err)
		state, err := b.newSession(Tokens{RefreshToken: "secret"}, subject, remembered{Client: "app"})
		require.NoError(t, err)
		s := &storedSession{b: b, id: h.sessionID(), keys: [2]string{subject, ""}}
		require.NoError(t, s.insert(t.Context(), state))
		return s.id
	}
	var sessions []string
	for range 1000 {
		sessions = append(sessions, insert("alice"))
	}
	others := insert("bob")
	claims, err := json.Marshal(map[string]any{
		"iss": "https://id.example.org", "sub": "alice", "aud": "app", "jti": "once", "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": nil},
	})
	require.NoError(t, err)
	raw, err := key.Sign("logout+jwt", claims)
	require.NoError(t, err)

	require.NoError(t, b.ProviderLogout(t.Context(), raw))
	var ended []string
	for _, e := range events {
		require.Equal(t, Event{Kind: Ended, Subject: "alice", Client: "app", Session: e.Session, Reason: string(session.ReasonProviderLogout)}, e)
		ended = append(ended, e.Session)
	}
	slices.Sort(sessions)
	slices.Sort(ended)
	require.Equal(t, sessions, ended)
	_, _, err = (&storedSession{b: b, id: others}).Load(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, b.ProviderLogout(t.Context(), raw), fault.InvalidRequest)
}

// A store keeps no later date than that of the year 9999.
func TestALogoutTokenMayBeValidForAsLongAsAStoreKnowsDates(t *testing.T) {
	b := newTestBroker(t, "EdDSA")
	last := time.Unix(253402300799, 0)
	require.Equal(t, last, b.logoutTokenEnd(verify.LogoutToken{Expires: last}))
	require.Equal(t, time.Unix(60, 0).Add(clockMargin), b.logoutTokenEnd(verify.LogoutToken{Expires: time.Unix(60, 0)}))
}
