package verify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/stretchr/testify/require"
)

const (
	theIssuer = "https://issuer.example"
	theClient = "app"
	leeway    = time.Minute
)

var now = time.Unix(1_800_000_000, 0)

// at is a NumericDate that is so far from now.
func at(d time.Duration) int64 { return now.Add(d).Unix() }

// members are claims of a token; one that is nil is left out.
type members map[string]any

// with gives the members with some of them changed.
func (m members) with(changed members) members {
	all := members{}
	maps.Copy(all, m)
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

func (m members) set(t *testing.T) *claim.Set {
	payload, err := json.Marshal(m)
	require.NoError(t, err)
	claims, err := claim.Parse(payload)
	require.NoError(t, err)
	return claims
}

// ofAccess are the claims of a valid access token, ofID those of a valid ID token.
var (
	ofAccess = members{
		"iss": theIssuer, "sub": "u1", "aud": theClient, "exp": at(time.Hour), "iat": at(0), "scope": "read",
	}
	ofID = members{"iss": theIssuer, "sub": "u1", "aud": theClient, "exp": at(time.Hour), "iat": at(0), "nonce": "n"}
)

// key signs what the issuer issues, unless a test says otherwise; stranger is nobody's.
var key, stranger = generate("EdDSA"), generate("EdDSA")

func generate(algorithm string) *jose.PrivateKey {
	key, err := jose.Generate(algorithm)
	if err != nil {
		panic(err)
	}
	return key
}

// named gives the key with another kid.
func named(key *jose.PrivateKey, id string) *jose.PrivateKey {
	other := *key
	other.ID = id
	return &other
}

func sign(t *testing.T, key *jose.PrivateKey, typ string, m members) string {
	payload, err := json.Marshal(m)
	require.NoError(t, err)
	raw, err := key.Sign(typ, payload)
	require.NoError(t, err)
	return raw
}

// unsigned is a token that says that it is signed by the algorithm.
func unsigned(algorithm, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode(fmt.Appendf(nil, `{"alg":%q}`, algorithm)) + "." + encode([]byte(payload)) + ".AAAA"
}

// padded signs the claims in a token of exactly so many bytes.
func padded(t *testing.T, length int, m members) string {
	for typ := range 3 { // base64 has no text for every length
		shortest := len(sign(t, key, strings.Repeat("t", typ), m.with(members{"pad": ""})))
		for room := (length-shortest)*3/4 - 3; room <= (length-shortest)*3/4+3; room++ {
			raw := sign(t, key, strings.Repeat("t", typ), m.with(members{"pad": strings.Repeat("x", room)}))
			if len(raw) == length {
				return raw
			}
		}
	}
	require.FailNow(t, "no token has this length")
	return ""
}

// published gives a key set with the public halves of the keys, as they are named.
func published(t *testing.T, keys ...*jose.PrivateKey) jose.KeySet {
	var list []map[string]any
	for _, key := range keys {
		public, err := key.Public()
		require.NoError(t, err)
		var jwk map[string]any
		require.NoError(t, json.Unmarshal(public, &jwk))
		jwk["kid"] = key.ID
		list = append(list, jwk)
	}
	document, err := json.Marshal(map[string]any{"keys": list})
	require.NoError(t, err)
	set, err := jose.ParseKeySet(document, jose.MaxRSABits)
	require.NoError(t, err)
	return set
}

// source is a KeySource that counts what it is asked.
type source struct {
	have     jose.KeySet // that Get gives
	fails    error       // of Get
	next     jose.KeySet // that Renew gives
	down     error       // of Renew
	gets     int
	renewals []bool // of each call of Renew, whether it must fetch
}

func (s *source) Settled(time.Time) bool { return true }

func (s *source) Get(context.Context) (jose.KeySet, error) {
	s.gets++
	return s.have, s.fails
}

func (s *source) Renew(_ context.Context, must bool) (jose.KeySet, error) {
	s.renewals = append(s.renewals, must)
	return s.next, s.down
}

// newVerifier verifies what the key signs for the client.
func newVerifier(t *testing.T) (*Verifier, *source) {
	keys := published(t, key)
	keySource := &source{have: keys, next: keys}
	return &Verifier{
		Issuer: NewIssuerName(theIssuer), Keys: keySource, ClientID: theClient, Leeway: leeway,
		Audience: Audience{ClientID: theClient}, Now: func() time.Time { return now },
	}, keySource
}

// access verifies the token as an access token.
func access(t *testing.T, v *Verifier, raw string) error {
	c, err := Read(raw, 1<<20, v.Now())
	require.NoError(t, err)
	return v.AccessToken(t.Context(), c)
}

// requireReason makes sure that the error says this; "": that there is none.
func requireReason(t *testing.T, reason string, err error) {
	t.Helper()
	if reason == "" {
		require.NoError(t, err)
		return
	}
	require.EqualError(t, err, reason)
}
