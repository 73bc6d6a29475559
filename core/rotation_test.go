package core_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// refreshed is how old the signing keys of an application get, if nothing happens to them.
const refreshed = 15 * time.Minute

// onDemand has keys change by RotateSigningKey alone.
var onDemand = inBroker(func(b *core.Broker) { b.KeyLifetime = -1 })

// replicas are so many instances of an application on one store.
func replicas(t *testing.T, spy *spyStore, count int, configure ...func(*core.Config)) []*app {
	t.Helper()
	all := []*app{newApp(t, newProvider(t, oidctest.Options{}), append([]func(*core.Config){stored(spy)}, configure...)...)}
	for len(all) < count {
		all = append(all, all[0].replica(spy, configure...))
	}
	for _, a := range all {
		require.NoError(t, a.auth.Start(t.Context()))
	}
	return all
}

// minted is a token that is valid for as long as any.
func (a *app) minted() string {
	a.t.Helper()
	raw, err := a.auth.Mint(a.t.Context(), core.Identity{Subject: "job"}, core.MintOptions{Lifetime: day})
	require.NoError(a.t, err)
	return raw
}

// signer is the kid of the key that an application signs with.
func (a *app) signer() string {
	a.t.Helper()
	signed, err := jose.ParseSigned(a.minted(), []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA, jose.PS256})
	require.NoError(a.t, err)
	return signed.Signatures[0].Header.KeyID
}

// rotate makes a new key.
func (a *app) rotate(o core.RotateOptions) {
	a.t.Helper()
	require.NoError(a.t, a.auth.RotateSigningKey(a.t.Context(), o))
}

// signingKeys are the keys, as the store has them.
func (a *app) signingKeys() []core.SigningKey {
	a.t.Helper()
	keys, err := a.auth.SigningKeys(a.t.Context())
	require.NoError(a.t, err)
	return keys
}

// after lets time pass, until the application has read its keys again.
func (a *app) after(d time.Duration) {
	a.t.Helper()
	a.clock.Add(d)
	a.reread()
}

func (a *app) reread() {
	a.t.Helper()
	require.Eventually(a.t, func() bool {
		a.minted() // whoever needs the keys has them read when they are old
		return a.auth.Health().SigningKeys.LastGood.Equal(a.clock.Now())
	}, 10*time.Second, time.Millisecond)
}

// published are the kids of the published keys.
func (a *app) published() []string {
	a.t.Helper()
	var kids []string
	for _, key := range a.keys().Keys {
		kids = append(kids, key.KeyID)
	}
	return kids
}

// Whoever keeps the published keys, or works while the store is down, has a day to learn
// of the next one. All change to it at the same moment, without being told.
func TestAKeyIsPublishedADayBeforeItSigns(t *testing.T) {
	spy := newSpyStore()
	all := replicas(t, spy, 2, onDemand)
	a, b := all[0], all[1]
	old := a.signer()
	began := a.clock.Now().Truncate(time.Second)
	a.rotate(core.RotateOptions{})

	require.Len(t, a.published(), 2)
	require.Equal(t, []string{old}, b.published(), "it has not read them again")
	b.after(refreshed)
	require.Equal(t, a.published(), b.published())
	next := a.published()[1]

	spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	a.clock.Add(began.Add(day - 1).Sub(a.clock.Now()))
	require.Equal(t, []string{old, old}, []string{a.signer(), b.signer()})
	last := b.minted()
	a.clock.Add(1)
	require.Equal(t, []string{next, next}, []string{a.signer(), b.signer()})
	require.NoError(t, a.verify(last))
	spy.fail(nil)

	// The key before stays until the last token of it has expired.
	keys := a.signingKeys()
	removed := began.Add(day + day + core.DefaultLeeway + 5*time.Second)
	require.Equal(t, []core.SigningKey{
		{ID: old, Algorithm: "ES256", Published: keys[0].Published, Signs: keys[0].Signs, Retires: began.Add(day), Removed: removed},
		{ID: next, Algorithm: "ES256", Published: began, Signs: began.Add(day)},
	}, inUTC(keys, keys[0].Published.Location()))
	require.Equal(t, keys[0].Published, keys[0].Signs, "the first signs at once")
	a.after(removed.Add(-1).Sub(a.clock.Now()))
	require.Equal(t, []string{old, next}, a.published())
	require.Len(t, spy.all(t), 2)
	a.after(time.Second)
	require.Equal(t, []string{next}, a.published())
	require.Len(t, spy.all(t), 1)
	b.reread()
	require.Equal(t, []string{next}, b.published())
}

// inUTC gives keys with the times of a zone, so that equal times are equal.
func inUTC(keys []core.SigningKey, zone *time.Location) []core.SigningKey {
	for i, k := range keys {
		for _, at := range []*time.Time{&k.Published, &k.Signs, &k.Retires, &k.Removed} {
			if !at.IsZero() {
				*at = at.In(zone)
			}
		}
		keys[i] = k
	}
	return keys
}

// Others know the keys from the key set alone, and read it when they come upon an unknown
// kid.
func TestTokensFromBeforeAndAfterARotationVerifyEverywhere(t *testing.T) {
	all := replicas(t, newSpyStore(), 3, onDemand)
	live := map[string]time.Time{}
	check := func(stage string) {
		t.Helper()
		for _, a := range all {
			live[a.minted()] = a.clock.Now().Add(day)
		}
		for raw, ends := range live {
			if !all[0].clock.Now().Before(ends) {
				delete(live, raw)
				continue
			}
			signed, err := jose.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256})
			require.NoError(t, err)
			for i, a := range all {
				require.NoError(t, a.verify(raw), "%s, instance %d", stage, i)
				set := a.keys()
				_, err := signed.Verify(set.Key(signed.Signatures[0].Header.KeyID)[0])
				require.NoError(t, err, "%s, the key set of instance %d", stage, i)
			}
		}
	}
	check("at first")
	for i, algorithm := range []string{"", "EdDSA", "PS256", "RS256", "ES256"} {
		all[i%3].rotate(core.RotateOptions{Algorithm: algorithm})
		all[(i+1)%3].clock.Add(refreshed)
		for _, a := range all {
			a.reread()
		}
		check("published")
		for range 8 { // a day and more, in which it begins to sign
			all[0].clock.Add(5 * time.Hour)
			check("meanwhile " + algorithm)
		}
	}
}

// The store has 10 before 9.
func TestTheNumbersOfSigningKeysAreNumbers(t *testing.T) {
	spy := newSpyStore()
	all := replicas(t, spy, 2, onDemand)
	a, b := all[0], all[1]
	for range 8 {
		a.rotate(core.RotateOptions{Compromised: true})
	}
	require.Equal(t, "9", spy.all(t)[0].ID)
	for _, number := range []string{"10", "11"} {
		a.rotate(core.RotateOptions{})
		require.Equal(t, number, spy.all(t)[len(a.signingKeys())-2].ID, "by the order of bytes")
		newest := a.published()[len(a.published())-1]
		require.NotEqual(t, newest, a.signer())
		a.clock.Add(day)
		require.Equal(t, newest, a.signer())
		b.reread()
		require.Equal(t, newest, b.signer())
	}
}

// The configuration of one replica is no reason for it to sign by another key than the
// others.
func TestTheStoreDecidesWhichKeySigns(t *testing.T) {
	spy := newSpyStore()
	before := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	old := before.signIn("alice")
	after := before.replica(spy, algorithm("EdDSA"))
	require.Equal(t, before.signer(), after.signer())

	after.rotate(core.RotateOptions{}) // its algorithm is that of Broker.Algorithm
	before.clock.Add(day)
	before.reread()
	require.Equal(t, after.signer(), before.signer())
	header, _ := jwtParts(t, before.tokens(before.refresh(old.RefreshToken)).AccessToken)
	require.Contains(t, header, `"alg":"EdDSA"`)
	require.Equal(t, "EdDSA", after.signingKeys()[1].Algorithm)
}

// It may be called by each replica, and again after an error.
func TestARotationThatIsUnderWayIsNotBegunAgain(t *testing.T) {
	all := replicas(t, newSpyStore(), 2, onDemand)
	for range 3 {
		for _, a := range all {
			a.rotate(core.RotateOptions{})
		}
		require.Len(t, all[0].signingKeys(), 2)
		all[0].clock.Add(7 * time.Hour)
	}
	all[0].rotate(core.RotateOptions{Algorithm: "EdDSA"})
	require.Len(t, all[0].signingKeys(), 3, "another algorithm is another rotation")
	all[0].rotate(core.RotateOptions{Algorithm: "ES256"})
	require.Len(t, all[0].signingKeys(), 4, "and so is the way back")
}

func TestARotationRefusesWhatCannotSign(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	for _, algorithm := range []string{"none", "HS256", "ES384", "es256"} {
		require.ErrorContains(t, a.auth.RotateSigningKey(t.Context(), core.RotateOptions{Algorithm: algorithm}), "use RS256, ES256, PS256, EdDSA")
	}
	python := newApp(t, newProvider(t, oidctest.Options{}), fleet(pythonPeers))
	require.ErrorContains(t, python.auth.RotateSigningKey(t.Context(), core.RotateOptions{Algorithm: "ES256"}), "Broker.PythonPeers")
	python.rotate(core.RotateOptions{})
	require.Equal(t, "RS256", python.signingKeys()[1].Algorithm)

	passthrough := newApp(t, newProvider(t, oidctest.Options{}))
	require.ErrorContains(t, passthrough.auth.RotateSigningKey(t.Context(), core.RotateOptions{}), "needs Config.Broker")
	require.Empty(t, passthrough.signingKeys())
}

// A loop that goes wrong must not fill the key set until nobody can read it.
func TestThereAreNoMoreThanTwentySigningKeysByRotation(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), onDemand)
	algorithms := []string{"EdDSA", "ES256"}
	for i := range 19 {
		a.rotate(core.RotateOptions{Algorithm: algorithms[i%2]})
	}
	require.ErrorContains(t, a.auth.RotateSigningKey(t.Context(), core.RotateOptions{Algorithm: "ES256"}), "wait until some are removed")
	require.Len(t, a.published(), 20)
	a.rotate(core.RotateOptions{Compromised: true})
	require.Len(t, a.published(), 1)
}
