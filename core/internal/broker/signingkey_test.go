package broker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/store"
	"github.com/stretchr/testify/require"
)

// put writes the record of a signing key as it is told.
func put(t *testing.T, b *Broker, id string, data map[string]any) {
	t.Helper()
	if data["jwk"] == nil {
		key, err := jose.Generate("EdDSA")
		require.NoError(t, err)
		private, err := key.Marshal()
		require.NoError(t, err)
		data["jwk"] = json.RawMessage(private)
	}
	raw, err := json.Marshal(data)
	require.NoError(t, err)
	_, err = b.records.Put(t.Context(), store.Record{Kind: kindSigningKey, ID: id}, json.RawMessage(raw))
	require.NoError(t, err)
}

// A key that can't be read is no key less: to sign by another would make tokens that those
// who can read it do not know, or bring a withdrawn one back.
func TestARecordThatCannotBeASigningKeyIsNamedAndNotReplaced(t *testing.T) {
	now := time.Now().Unix()
	times := func(publish, sign int64) map[string]any { return map[string]any{"publish": publish, "sign": sign} }
	for name, row := range map[string]struct {
		id   string
		data map[string]any
		says string
	}{
		"no number":                  {"newest", times(now, now), "without a number"},
		"no number behind the dot":   {"RS256.", times(now, now), "without a number"},
		"zero":                       {"0", times(now, now), "without a number"},
		"a negative number":          {"-2", times(now, now), "without a number"},
		"a number with a zero":       {"02", times(now, now), "without a number"},
		"a number that is too large": {"2147483648", times(now, now), "without a number"},
		"a member of a newer version": {"2", map[string]any{"publish": now, "sign": now, "hardware": "slot 7"},
			"of another version of this program: update all replicas"},
		"times that are none":      {"2", map[string]any{"publish": "now", "sign": now}, "of another version"},
		"no key":                   {"2", map[string]any{"publish": now, "sign": now, "jwk": map[string]any{"kty": "OKP"}}, "restore the record from a backup, or delete it"},
		"signing before published": {"2", times(now, now-1), "impossible times"},
		"signing years later":      {"2", times(now, now+400*86400), "impossible times"},
		"published in years":       {"2", times(now+400*86400, now+400*86400), "set the clock of this machine"},
		"published never":          {"2", times(0, now), "impossible times"},
		"published before 1970":    {"2", times(-1, 1), "impossible times"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestBroker(t, "EdDSA")
			put(t, b, "1", times(now, now))
			put(t, b, row.id, row.data)
			err := b.Start(t.Context())
			require.ErrorIs(t, err, store.ErrUnusable)
			require.ErrorContains(t, err, `the signing key "`+row.id+`"`)
			require.ErrorContains(t, err, row.says)

			_, err = b.Mint(t.Context(), Identity{Subject: "job"}, nil, time.Hour)
			require.ErrorIs(t, err, fault.Unavailable)
			for _, o := range []Rotation{{}, {Compromised: true}} {
				require.ErrorIs(t, b.RotateSigningKey(t.Context(), o), fault.Unavailable)
				require.ErrorIs(t, b.insertRotated(t.Context(), o), fault.Unavailable)
			}
			_, err = b.SigningKeys(t.Context())
			require.ErrorIs(t, err, fault.Unavailable)
			found, err := b.records.Page(t.Context(), kindSigningKey, "", "")
			require.NoError(t, err)
			require.Len(t, found, 2, "nothing was added nor taken away")
		})
	}
}

// Such a key has signed since nobody knows when: the next one is due.
func TestKeysOfEarlierVersionsSignUntilTheNextOneDoes(t *testing.T) {
	b := newTestBroker(t, "EdDSA")
	b.KeyLifetime = 90 * 24 * time.Hour
	now := time.Now()
	b.Now = func() time.Time { return now }
	put(t, b, "EdDSA.1", map[string]any{})
	require.NoError(t, b.Start(t.Context()))
	keys, err := b.SigningKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2)
	require.Zero(t, keys[0].Published)
	require.Zero(t, keys[0].Signs)
	require.Equal(t, now.Add(KeyLead).Unix(), keys[0].Retires.Unix())
	ring, err := b.keys.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, keys[0].ID, ring.signing(now).ID)
	require.Equal(t, keys[1].ID, ring.signing(now.Add(KeyLead)).ID)
}

// Two of different algorithms have one number. Which of them signs must not depend on an
// instance.
func TestOfTwoKeysOfEarlierVersionsAllInstancesUseOne(t *testing.T) {
	one, other := newTestBroker(t, "EdDSA"), newTestBroker(t, "ES256")
	put(t, one, "RS256.1", map[string]any{})
	put(t, one, "EdDSA.1", map[string]any{})
	other.records.Store = one.records.Store
	a, err := one.keys.Get(t.Context())
	require.NoError(t, err)
	b, err := other.keys.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, a.signing(time.Now()).ID, b.signing(time.Now()).ID)
	require.NoError(t, one.RotateSigningKey(t.Context(), Rotation{}))
	found, err := one.records.Page(t.Context(), kindSigningKey, "", "")
	require.NoError(t, err)
	require.Equal(t, "2", found[0].ID)
}

// The clock of the instance that makes a key may be ahead by some seconds.
func TestAKeyThatIsAloneSignsWhateverItsTime(t *testing.T) {
	b := newTestBroker(t, "EdDSA")
	later := time.Now().Add(clockMargin).Unix()
	put(t, b, "7", map[string]any{"publish": later, "sign": later, "withdraws": true})
	_, err := b.Mint(t.Context(), Identity{Subject: "job"}, nil, time.Hour)
	require.NoError(t, err)
}

// A clock that was wrong by months must not keep others from a new key for as long.
func TestAKeyThatComesInMonthsIsNotTheOneThatARotationWants(t *testing.T) {
	b := newTestBroker(t, "EdDSA")
	now := time.Now().Unix()
	put(t, b, "1", map[string]any{"publish": now, "sign": now})
	put(t, b, "2", map[string]any{"publish": now + 100*86400, "sign": now + 101*86400})
	require.NoError(t, b.RotateSigningKey(t.Context(), Rotation{}))
	keys, err := b.SigningKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 3)
	require.Equal(t, keys[2].Signs, keys[0].Retires)
	ring, err := b.keys.Get(t.Context())
	require.NoError(t, err)
	for after, signer := range map[time.Duration]int{0: 0, KeyLead + time.Second: 2, 102 * KeyLead: 2} {
		require.Equal(t, keys[signer].ID, ring.signing(time.Now().Add(after)).ID)
	}
}
