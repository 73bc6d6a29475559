package verify

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/stretchr/testify/require"
)

func TestReadRefusesWhatNobodyCouldHaveIssued(t *testing.T) {
	raw := sign(t, key, "JWT", ofAccess)
	c, err := Read(raw, len(raw), now)
	require.NoError(t, err)
	require.Equal(t, "u1", c.Claims.Subject)
	_, err = Read(raw, len(raw)-1, now)
	require.ErrorIs(t, err, ErrTooLong)

	for name, row := range map[string]struct{ raw, reason string }{
		"no JWT":           {"opaque", jose.ErrNoJWT.Error()},
		"no signature":     {unsigned("none", "{}"), errAlgorithm.Error()},
		"a shared secret":  {unsigned("HS256", "{}"), errAlgorithm.Error()},
		"no algorithm":     {unsigned("", "{}"), errAlgorithm.Error()},
		"malformed claims": {unsigned("EdDSA", `{"sub":1}`), "the claim sub is not a string"},
		"no claims":        {unsigned("EdDSA", `[]`), "the claims are not a JSON object, or a claim occurs twice"},
		"another name":     {unsigned("Ed25519", "{}"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(row.raw, 1<<20, now)
			requireReason(t, row.reason, err)
		})
	}
}

func TestTimesAreComparedWithLeeway(t *testing.T) {
	const (
		expired = "it has expired"
		early   = "it is not valid yet"
		future  = "it was issued in the future"
	)
	for name, row := range map[string]struct {
		leeway  time.Duration
		changed members
		reason  string
	}{
		"expires a second later":        {0, members{"exp": at(time.Second)}, ""},
		"expires now":                   {0, members{"exp": at(0)}, expired},
		"the leeway's last second":      {leeway, members{"exp": at(time.Second - leeway)}, ""},
		"expired a leeway ago":          {leeway, members{"exp": at(-leeway)}, expired},
		"expired in 1970":               {leeway, members{"exp": 0}, expired},
		"valid from now on":             {0, members{"nbf": at(0)}, ""},
		"valid from the next second on": {0, members{"nbf": at(time.Second)}, early},
		"valid within the leeway":       {leeway, members{"nbf": at(leeway)}, ""},
		"valid after the leeway":        {leeway, members{"nbf": at(leeway + time.Second)}, early},
		"issued now":                    {0, members{"iat": at(0)}, ""},
		"issued in the next second":     {0, members{"iat": at(time.Second)}, future},
		"issued within the leeway":      {leeway, members{"iat": at(leeway)}, ""},
		"issued after the leeway":       {leeway, members{"iat": at(leeway + time.Second)}, future},
		"neither nbf nor iat":           {leeway, members{"nbf": nil, "iat": nil}, ""},
		"a fraction of a second":        {0, members{"exp": float64(at(0)) + 0.5}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v, keys := newVerifier(t)
			v.Leeway = row.leeway
			requireReason(t, row.reason, access(t, v, sign(t, key, "", ofAccess.with(row.changed))))
			require.Equal(t, row.reason == "", keys.gets == 1, "a signature is checked last")
		})
	}
}

func TestReasonTellsKeysThatCannotBeHadFromAnInvalidToken(t *testing.T) {
	reason, unavailable := Reason(errors.New(isID))
	require.Equal(t, isID, reason)
	require.NoError(t, unavailable)

	down := fault.Unavailable.New("The provider is down.").After(time.Minute)
	reason, unavailable = Reason(fmt.Errorf("keys: %w", down))
	require.Empty(t, reason)
	require.ErrorIs(t, unavailable, down)
	require.EqualError(t, unavailable, "keys: "+down.Error())

	nonsense := fault.Provider.New("The key set is nonsense.")
	reason, unavailable = Reason(nonsense)
	require.Empty(t, reason)
	require.ErrorIs(t, unavailable, fault.Unavailable, "whatever is wrong with keys says nothing about the token")
	var f *fault.Error
	require.ErrorAs(t, unavailable, &f)
	require.Equal(t, time.Second, f.RetryAfter)
	require.Equal(t, error(nonsense), f.Cause)
}

func TestDetailIsForOperatorsAlone(t *testing.T) {
	v, _ := newVerifier(t)
	long := strings.Repeat("x", 300)
	err := access(t, v, sign(t, key, "", ofAccess.with(members{"aud": []string{"a", "b\n"}, "azp": "c", "client_id": long})))
	require.ErrorIs(t, err, ErrAudience)
	require.EqualError(t, err, ErrAudience.Error())
	require.EqualError(t, Detail(fmt.Errorf("guard: %w", err)),
		`its aud is "a b?", its azp "c", its client_id "`+long[:200]+`..."`)

	err = OtherIssuer(members{"iss": "https://other.example"}.set(t))
	require.ErrorIs(t, err, errIssuer)
	require.EqualError(t, Detail(err), `its iss is "https://other.example"`)

	require.NoError(t, Detail(errors.New("it has expired")))
	require.NoError(t, Detail(nil))
}
