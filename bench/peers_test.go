package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func testIssuer(t *testing.T) *issuer {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // as main does
	i, err := newIssuer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = i.close() })
	return i
}

var everybody = slices.Concat([]setUp{hit, miss}, peers)

// Otherwise something else would be measured than the verification of a token.
func TestEverybodyAcceptsTheTokenThatIsMeasuredAndRefusesAChangedOne(t *testing.T) {
	i := testIssuer(t)
	stranger := testIssuer(t)
	for _, algorithm := range algorithms {
		raw := i.token(algorithm, algorithm, nil)
		parts := strings.Split(raw, ".")
		other := strings.Split(i.token(algorithm, algorithm, map[string]any{"sub": "mallory"}), ".")
		changed := map[string]string{
			"other claims":                    parts[0] + "." + other[1] + "." + parts[2],
			"another token's signature":       parts[0] + "." + parts[1] + "." + other[2],
			"no signature":                    parts[0] + "." + parts[1] + ".",
			"a stranger's signature":          sign(stranger.keys[algorithm], algorithm, header(algorithm, algorithm), i.payload(nil)),
			"a stranger's issuer":             sign(i.keys[algorithm], algorithm, header(algorithm, algorithm), stranger.payload(nil)),
			"an expiry that lies in the past": i.token(algorithm, algorithm, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		}
		for _, setUp := range everybody {
			v, err := setUp(t.Context(), i, algorithm)
			require.NoError(t, err)
			for range 2 { // a verifier may remember the first time
				subject, err := v.subject(raw)
				require.NoError(t, err, "%s, %s", v.name, algorithm)
				require.Equal(t, "8f6c1f0a-6a3e-4a53-9d6f-2f1d0b7c9e11", subject, v.name)
				person, err := v.person(raw)
				require.NoError(t, err, "%s, %s", v.name, algorithm)
				require.Equal(t, subject, person.Subject, v.name)
				require.Equal(t, "alice@example.org", person.Email, v.name)
				require.Equal(t, []string{"user", "editor", "offline_access"}, person.RealmAccess.Roles, v.name)
				for change, raw := range changed {
					_, err = v.subject(raw)
					require.Error(t, err, "%s, %s, %s", v.name, algorithm, change)
					_, err = v.person(raw)
					require.Error(t, err, "%s, %s, %s", v.name, algorithm, change)
				}
			}
		}
	}
}

// docs/benchmarks.md tells what each library lets through when it is set up as here.
func TestWhatEverybodyLetsThrough(t *testing.T) {
	i := testIssuer(t)
	later := time.Now().Add(time.Hour).Unix()
	tokens := map[string]map[string]any{
		"another audience": {"aud": "another shop"},
		"nbf to come":      {"nbf": later},
		"iat to come":      {"iat": later},
		"no exp":           {"exp": nil},
		"ID token":         {"typ": "ID", "nonce": "n-0S6_WzA2Mj", "at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
	}
	through := map[string][]string{
		nameHit:        nil,
		nameMiss:       nil,
		nameGoOIDC:     {"ID token", "iat to come"},
		nameZitadel:    {"ID token", "another audience", "iat to come", "nbf to come"},
		nameAuth0:      {"ID token", "no exp"},
		nameGolangJWT:  {"ID token", "iat to come"},
		nameJWX:        {"ID token", "no exp"},
		nameChiJWTAuth: {"ID token", "no exp"},
	}
	for _, setUp := range everybody {
		v, err := setUp(t.Context(), i, floodAlgorithm)
		require.NoError(t, err)
		var found []string
		for name, changes := range tokens {
			if _, err := v.subject(i.token(floodAlgorithm, floodAlgorithm, changes)); err == nil {
				found = append(found, name)
			}
		}
		slices.Sort(found)
		require.Equal(t, through[v.name], found, v.name)
	}
}

func TestTheMeasuredTokenIsOfRealisticSize(t *testing.T) {
	require.InDelta(t, 1200, len(testIssuer(t).token("RS256", "RS256", nil)), 50)
}

func TestStrangersCauseAtMostOneFetch(t *testing.T) {
	all, err := floods(t.Context(), testIssuer(t), 100)
	require.NoError(t, err)
	require.Len(t, all, 2+len(peers))
	for i, name := range []string{nameHit, nameMiss} {
		require.Equal(t, name, all[i].name)
		require.LessOrEqual(t, all[i].unknown, int64(1), name)
		require.LessOrEqual(t, all[i].atOnce, int64(1), name)
		require.LessOrEqual(t, all[i].badlySigned, int64(1), name)
	}
}
