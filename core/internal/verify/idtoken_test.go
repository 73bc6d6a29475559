package verify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/stretchr/testify/require"
)

const (
	otherParty = "it was issued to another party (azp)"
	otherAud   = "it is meant for another audience"
	otherHash  = "its at_hash is that of another access token"
)

// login is a login with a nonce and, unless it is nil, a max_age.
func login(maxAge *int) Expectation {
	return Expectation{AccessToken: "access", Nonce: func(nonce string) (*int, bool) { return maxAge, nonce == "n" }}
}

func TestIDTokensAreOfThisLogin(t *testing.T) {
	refresh := Expectation{AccessToken: "access"}
	for name, row := range map[string]struct {
		expected Expectation
		changed  members
		reason   string
	}{
		"as issued":                            {login(nil), nil, ""},
		"no nonce":                             {login(nil), members{"nonce": nil}, ErrNonce.Error()},
		"another nonce":                        {login(nil), members{"nonce": "m"}, ErrNonce.Error()},
		"an empty nonce":                       {login(nil), members{"nonce": ""}, ErrNonce.Error()},
		"a refresh: no nonce":                  {refresh, members{"nonce": nil}, ""},
		"a refresh: any nonce":                 {refresh, members{"nonce": "m"}, ""},
		"another issuer":                       {login(nil), members{"iss": "https://other.example"}, "it is from another issuer"},
		"expired":                              {login(nil), members{"exp": at(-leeway)}, "it has expired"},
		"no expiry":                            {login(nil), members{"exp": nil}, "it has no exp"},
		"issued in the future":                 {login(nil), members{"iat": at(leeway + time.Second)}, "it was issued in the future"},
		"no time of issue":                     {login(nil), members{"iat": nil}, "it has no iat"},
		"no audience":                          {login(nil), members{"aud": nil}, otherAud},
		"another audience":                     {login(nil), members{"aud": "x"}, otherAud},
		"another audience, issued to us":       {login(nil), members{"aud": "x", "azp": "app"}, otherAud},
		"a list of us":                         {login(nil), members{"aud": []string{"app"}}, ""},
		"several audiences, issued to nobody":  {login(nil), members{"aud": []string{"app", "x"}}, otherParty},
		"several audiences, issued to us":      {login(nil), members{"aud": []string{"x", "app"}, "azp": "app"}, ""},
		"several audiences, issued to another": {login(nil), members{"aud": []string{"app", "x"}, "azp": "x"}, otherParty},
		"issued to us":                         {login(nil), members{"azp": "app"}, ""},
		"issued to another":                    {login(nil), members{"azp": "x"}, otherParty},
		"no subject":                           {login(nil), members{"sub": nil}, "its sub is missing"},
		"a subject that is too long":           {login(nil), members{"sub": strings.Repeat("x", 1025)}, "its sub is too long"},
		"at_hash of an unknown hash":           {login(nil), members{"at_hash": "x"}, otherHash},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newVerifier(t)
			claims, err := v.IDToken(t.Context(), sign(t, key, "JWT", ofID.with(row.changed)), row.expected)
			requireReason(t, row.reason, err)
			require.Equal(t, row.reason == "", claims != nil)
		})
	}
}

func TestAtHashIsThatOfTheAccessToken(t *testing.T) {
	signer := generate("ES256")
	hash, err := jose.HalfHash("ES256", "access")
	require.NoError(t, err)
	v, keys := newVerifier(t)
	keys.have = published(t, signer)
	for atHash, reason := range map[string]string{hash: "", "": otherHash, hash[1:]: otherHash, strings.ToLower(hash): otherHash} {
		_, err := v.IDToken(t.Context(), sign(t, signer, "", ofID.with(members{"at_hash": atHash})), login(nil))
		requireReason(t, reason, err)
	}
	_, err = v.IDToken(t.Context(), sign(t, signer, "", ofID.with(members{"at_hash": hash})), Expectation{AccessToken: "another"})
	requireReason(t, otherHash, err)
}

func TestMaxAgeIsHeldAgainstAuthTime(t *testing.T) {
	const second = time.Second
	for name, row := range map[string]struct {
		maxAge   *int
		authTime any
		err      error
	}{
		"no max_age":                  {nil, at(-1000 * time.Hour), nil},
		"no max_age, no auth_time":    {nil, nil, nil},
		"no auth_time":                {new(100), nil, ErrNoAuthTime},
		"an auth_time that is a text": {new(100), "yesterday", ErrNoAuthTime},
		"just now":                    {new(100), at(0), nil},
		"as old as allowed":           {new(100), at(-100*second - leeway), nil},
		"a second older":              {new(100), at(-101*second - leeway), ErrMaxAge},
		"max_age of zero":             {new(0), at(-leeway), nil},
		"max_age of zero, older":      {new(0), at(-leeway - second), ErrMaxAge},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newVerifier(t)
			_, err := v.IDToken(t.Context(), sign(t, key, "", ofID.with(members{"auth_time": row.authTime})), login(row.maxAge))
			require.ErrorIs(t, err, row.err)
		})
	}
}

func TestTheProvidersTokensAreWorthAFetch(t *testing.T) {
	raw := sign(t, stranger, "", ofID)
	for name, row := range map[string]struct {
		ask  func(*Verifier) error
		must bool
	}{
		"an ID token":                    {func(v *Verifier) error { _, err := v.IDToken(t.Context(), raw, login(nil)); return err }, true},
		"userinfo":                       {func(v *Verifier) error { _, err := v.Userinfo(t.Context(), raw, 1<<20); return err }, true},
		"an access token":                {func(v *Verifier) error { _, err := v.Readable(t.Context(), raw, false); return err }, true},
		"an access token beside an ID":   {func(v *Verifier) error { _, err := v.Readable(t.Context(), raw, true); return err }, false},
		"an ID token that a caller sent": {func(v *Verifier) error { v.IssuedHere(t.Context(), raw); return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			v, keys := newVerifier(t)
			keys.next = published(t, key, stranger)
			require.NoError(t, row.ask(v))
			require.Equal(t, []bool{row.must}, keys.renewals)
		})
	}
}

func TestReadableGivesWhatCanBeRead(t *testing.T) {
	down := fmt.Errorf("keys: %w", fault.Unavailable.New("The provider is down."))
	for name, row := range map[string]struct {
		raw   string
		fails error
		given bool  // claims
		err   error // without an ID token; beside one there is none
	}{
		"valid":             {raw: sign(t, key, "", ofAccess), given: true},
		"for somebody else": {raw: sign(t, key, "", ofAccess.with(members{"aud": "x", "sub": nil})), given: true},
		"opaque":            {raw: "opaque"},
		"too long":          {raw: padded(t, maxHandedOver+1, ofAccess)},
		"of another issuer": {raw: sign(t, key, "", ofAccess.with(members{"iss": "x"}))},
		"expired":           {raw: sign(t, key, "", ofAccess.with(members{"exp": at(-leeway)}))},
		"no expiry":         {raw: sign(t, key, "", ofAccess.with(members{"exp": nil}))},
		"of a stranger":     {raw: sign(t, stranger, "", ofAccess)},
		"no keys":           {raw: sign(t, key, "", ofAccess), fails: down, err: down},
	} {
		t.Run(name, func(t *testing.T) {
			v, keys := newVerifier(t)
			keys.fails = row.fails
			claims, err := v.Readable(t.Context(), row.raw, false)
			require.Equal(t, row.err, err)
			require.Equal(t, row.given, claims != nil)
			claims, err = v.Readable(t.Context(), row.raw, true)
			require.NoError(t, err, "the ID token is enough")
			require.Equal(t, row.given, claims != nil)
		})
	}
}

func TestUserinfoIsSignedForUs(t *testing.T) {
	for name, row := range map[string]struct {
		changed members
		reason  string
	}{
		"as signed":               {nil, ""},
		"no times":                {members{"exp": nil, "iat": nil}, ""},
		"for us among others":     {members{"aud": []string{"x", "app"}}, ""},
		"expired":                 {members{"exp": at(-leeway)}, "it has expired"},
		"another issuer":          {members{"iss": nil}, "it is from another issuer"},
		"another audience":        {members{"aud": "x"}, ErrAudience.Error()},
		"no audience, but our id": {members{"aud": nil, "azp": "app", "client_id": "app"}, ErrAudience.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newVerifier(t)
			claims, err := v.Userinfo(t.Context(), sign(t, key, "", ofID.with(row.changed)), 1<<20)
			requireReason(t, row.reason, err)
			require.Equal(t, row.reason == "", claims != nil)
		})
	}
	v, _ := newVerifier(t)
	raw := sign(t, key, "", ofID)
	_, err := v.Userinfo(t.Context(), raw, len(raw))
	require.NoError(t, err)
	_, err = v.Userinfo(t.Context(), raw, len(raw)-1)
	require.ErrorIs(t, err, ErrTooLong)
}

func TestIssuedHere(t *testing.T) {
	for name, row := range map[string]struct {
		raw  string
		want bool
	}{
		"an ID token":           {sign(t, key, "", ofID), true},
		"one that has expired":  {sign(t, key, "", ofID.with(members{"exp": at(-1000 * time.Hour)})), true},
		"of another issuer":     {sign(t, key, "", ofID.with(members{"iss": "x"})), false},
		"for another client":    {sign(t, key, "", ofID.with(members{"aud": "x"})), false},
		"issued to another":     {sign(t, key, "", ofID.with(members{"azp": "x"})), false},
		"without a subject":     {sign(t, key, "", ofID.with(members{"sub": nil})), false},
		"signed by a stranger":  {sign(t, stranger, "", ofID), false},
		"no JWT":                {"opaque", false},
		"4 KiB":                 {padded(t, 4<<10, ofID), true},
		"a byte more than that": {padded(t, 4<<10+1, ofID), false},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newVerifier(t)
			require.Equal(t, row.want, v.IssuedHere(t.Context(), row.raw))
		})
	}
}

func TestIDTokensOfMoreThan64KiBAreTooLong(t *testing.T) {
	v, _ := newVerifier(t)
	_, err := v.IDToken(t.Context(), padded(t, 64<<10, ofID), login(nil))
	require.NoError(t, err)
	_, err = v.IDToken(t.Context(), padded(t, 64<<10+1, ofID), login(nil))
	require.ErrorIs(t, err, ErrTooLong)
}
