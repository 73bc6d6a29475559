package verify

import (
	"errors"
	"testing"

	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/stretchr/testify/require"
)

const (
	notPublished = "its issuer does not publish the key that signed it"
	mismatch     = "its signature does not match"
	tooManyKeys  = "it names no key, and too many keys of its issuer may have signed it"
)

var errDown = errors.New("the issuer is down")

// Which keys a token is tried with, and when other keys are fetched.
func TestKeysAreFetchedWhenTheRightOneMayBeNew(t *testing.T) {
	replaced := named(stranger, key.ID) // another key of the same name
	for name, row := range map[string]struct {
		have, next  []*jose.PrivateKey
		fails, down error
		thumbprints bool
		reason      string
		renewals    int
	}{
		"a known key":                               {have: []*jose.PrivateKey{key}},
		"a known key, beside another":               {have: []*jose.PrivateKey{stranger, key}},
		"a key without a name":                      {have: []*jose.PrivateKey{named(key, "")}},
		"an unknown key, and no other":              {have: []*jose.PrivateKey{stranger}, next: []*jose.PrivateKey{named(stranger, "x")}, reason: notPublished, renewals: 1},
		"a new key":                                 {have: []*jose.PrivateKey{stranger}, next: []*jose.PrivateKey{stranger, key}, renewals: 1},
		"a key replaced under its name":             {have: []*jose.PrivateKey{replaced}, next: []*jose.PrivateKey{key}, renewals: 1},
		"a wrong signature":                         {have: []*jose.PrivateKey{replaced}, next: []*jose.PrivateKey{named(replaced, key.ID)}, reason: mismatch, renewals: 1},
		"no new key can be had":                     {have: []*jose.PrivateKey{stranger}, down: errDown, reason: errDown.Error(), renewals: 1},
		"no key can be had":                         {fails: errDown, reason: errDown.Error()},
		"thumbprints: a known key":                  {have: []*jose.PrivateKey{key}, thumbprints: true},
		"thumbprints: no key is replaced":           {have: []*jose.PrivateKey{replaced}, thumbprints: true, reason: mismatch},
		"thumbprints: a new key":                    {have: []*jose.PrivateKey{stranger}, next: []*jose.PrivateKey{key}, thumbprints: true, renewals: 1},
		"thumbprints: an unknown key, and no other": {have: []*jose.PrivateKey{stranger}, next: []*jose.PrivateKey{replaced}, thumbprints: true, reason: mismatch, renewals: 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []origin{caller, fromProvider} {
				v, keys := newVerifier(t)
				keys.have, keys.next, keys.fails, keys.down = nil, nil, row.fails, row.down
				if row.have != nil {
					keys.have = published(t, row.have...)
				}
				if row.next != nil {
					keys.next = published(t, row.next...)
				}
				v.Thumbprints = row.thumbprints
				c, err := v.verify(t.Context(), sign(t, key, "", ofAccess), from, 1<<20)
				requireReason(t, row.reason, err)
				require.Equal(t, row.reason == "", c.Key != nil, "the key that has signed it")
				require.Equal(t, 1, keys.gets)
				require.Len(t, keys.renewals, row.renewals)
				for _, must := range keys.renewals {
					require.Equal(t, from == fromProvider, must, "strangers' fetches are limited, those for the provider's tokens are not")
				}
			}
		})
	}
}

func TestKeysThatHaveNotChangedAreNotTriedAgain(t *testing.T) {
	v, keys := newVerifier(t)
	requireReason(t, notPublished, access(t, v, sign(t, stranger, "", ofAccess)))
	require.Equal(t, []bool{false}, keys.renewals)
	// An equal document makes other keys, as a source never gives them: those would be tried.
	keys.have, keys.next = published(t, named(stranger, key.ID)), published(t, key)
	require.NoError(t, access(t, v, sign(t, key, "", ofAccess)))
}

func TestATokenIsTriedWithEightKeys(t *testing.T) {
	var others []*jose.PrivateKey
	for range maxTries - 1 {
		others = append(others, generate("EdDSA"))
	}
	nameless := sign(t, named(key, ""), "", ofAccess)
	for name, row := range map[string]struct {
		keys   []*jose.PrivateKey
		raw    string
		reason string
	}{
		"the eighth key":         {append(others[:7:7], key), nameless, ""},
		"the ninth key":          {append(others[:7:7], stranger, key), nameless, tooManyKeys},
		"eight keys, none is it": {append(others[:7:7], stranger), nameless, mismatch},
		"the ninth key, named":   {append(others[:7:7], stranger, key), sign(t, key, "", ofAccess), ""},
	} {
		t.Run(name, func(t *testing.T) {
			v, keys := newVerifier(t)
			keys.have = published(t, row.keys...)
			keys.next = keys.have
			requireReason(t, row.reason, access(t, v, row.raw))
		})
	}
}

func TestOnlyTheListedAlgorithmsMaySign(t *testing.T) {
	raw := sign(t, key, "", ofAccess)
	for name, row := range map[string]struct {
		algorithms []string
		reason     string
	}{
		"all":     {nil, ""},
		"its own": {[]string{"ES256", "EdDSA"}, ""},
		"another": {[]string{"ES256"}, "its algorithm is not accepted"},
		"none":    {[]string{}, "its algorithm is not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			v, keys := newVerifier(t)
			v.Algorithms = row.algorithms
			requireReason(t, row.reason, access(t, v, raw))
			require.Equal(t, row.reason == "", keys.gets == 1)
		})
	}
}

// Neither question may cost a fetch of its own.
func TestKnownKeysAreAskedWithoutARenewal(t *testing.T) {
	for name, row := range map[string]struct {
		raw           string
		fails         error
		knows, signed bool
	}{
		"its key":                  {raw: sign(t, key, "", ofAccess), knows: true, signed: true},
		"another key of that name": {raw: sign(t, named(stranger, key.ID), "", ofAccess), knows: true},
		"another key":              {raw: sign(t, stranger, "", ofAccess)},
		"no key can be had":        {raw: sign(t, key, "", ofAccess), fails: errDown},
	} {
		t.Run(name, func(t *testing.T) {
			v, keys := newVerifier(t)
			keys.fails = row.fails
			require.Equal(t, row.knows, v.Knows(t.Context(), row.raw))
			c, err := Read(row.raw, 1<<20, now)
			require.NoError(t, err)
			require.Equal(t, row.signed, v.Signed(t.Context(), c))
			require.Empty(t, keys.renewals)
		})
	}
	v, keys := newVerifier(t)
	require.True(t, v.Knows(t.Context(), "opaque"), "what is no JWT needs no key")
	require.Zero(t, keys.gets)
}
