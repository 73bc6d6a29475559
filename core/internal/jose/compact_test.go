package jose

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCutSaysWhatIsWrongWithAToken(t *testing.T) {
	header := func(document string) string { return base64.RawURLEncoding.EncodeToString([]byte(document)) }
	es256 := header(`{"alg":"ES256"}`)
	for raw, want := range map[string]error{
		"":                                   ErrNoJWT,
		"opaque":                             ErrNoJWT,
		es256 + ".e30":                       ErrNoJWT,
		es256 + ".e30.AA.AA":                 ErrNoJWT,
		".e30.AA":                            ErrNoJWT,
		es256 + "..AA":                       ErrNoJWT,
		es256 + ".e30.":                      ErrNoJWT,
		header(`["ES256"]`) + ".e30.AA":      ErrNoJWT,
		"e31.e30.AA":                         ErrNoJWT, // its last bits are not zero
		es256 + ".e31.AA":                    ErrEncoding,
		es256 + ".e30.AB":                    ErrEncoding,
		es256 + ".e30.AA==":                  ErrEncoding,
		es256 + ".e30.A+":                    ErrEncoding,
		es256 + ".e3\n0.AA":                  ErrEncoding,
		es256 + ".e30.A\rA":                  ErrEncoding,
		header(`{"alg":1}`) + ".e30.AA":      ErrHeader,
		header(`{"alg":"ES256"`) + ".e30.AA": ErrHeader,
		header(`{"alg":"ES256","alg":"none"}`) + ".e30.AA":              ErrHeader,
		header(`{"alg":"ES256","crit":["exp"]}`) + ".e30.AA":            ErrCritical,
		header(`{"alg":"ES256","crit":[]}`) + ".e30.AA":                 ErrCritical,
		header(`{"alg":"ES256","b64":false}`) + ".e30.AA":               ErrCritical,
		header(`{"alg":"ES256","b64":true,"crit":["b64"]}`) + ".e30.AA": ErrCritical,
		es256 + ".e30.AA": nil,
	} {
		for range 2 { // the second time, its header may be known
			_, err := Cut(raw)
			require.ErrorIs(t, err, want, "%q", raw)
		}
	}
}

// OpenID Connect Core A.3.
func TestHalfHashIsTheStandardsExample(t *testing.T) {
	hash, err := HalfHash("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y")
	require.NoError(t, err)
	require.Equal(t, "77QmUPtjPfzWtF2AnpK9RQ", hash)
	_, err = HalfHash("none", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y")
	require.Error(t, err)
}

func TestAPrivateKeyHasANameAndAnAlgorithmToSignWith(t *testing.T) {
	ed25519 := `"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	for document, want := range map[string]string{
		`{` + ed25519 + `,"alg":"EdDSA"}`:                               "it is not a private key with a name",
		`{` + ed25519 + `,"kid":"a"}`:                                   "its algorithm is not one to sign with",
		`{"kty":"oct","k":"AA","kid":"a","alg":"HS256"}`:                "it is not a private key with a name",
		`{"kty":"EC","crv":"P-1","kid":"a","x":"AA","y":"AA","d":"AA"}`: "it is not a private key",
	} {
		_, err := ParsePrivateKey([]byte(document))
		require.ErrorContains(t, err, want, document)
	}
	key, err := ParsePrivateKey([]byte(`{` + ed25519 + `,"kid":"a","alg":"EdDSA"}`))
	require.NoError(t, err)
	require.False(t, key.IsRSA())
	key, err = Generate("RS256")
	require.NoError(t, err)
	require.True(t, key.IsRSA())
}

// For gives only keys that fit; whoever goes past it gets no panic.
func TestAKeyOfAnotherTypeVerifiesNothing(t *testing.T) {
	keys, err := ParseKeySet(keySet(rfc7515Key+"}"), MaxRSABits)
	require.NoError(t, err)
	for _, algorithm := range []string{"PS256", "RS256", "EdDSA", "none", ""} {
		token, err := Cut(rfc7515ES256)
		require.NoError(t, err)
		token.Header.Algorithm = algorithm
		require.Error(t, keys[0].Verify(token), algorithm)
	}
}
