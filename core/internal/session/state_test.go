package session

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/stretchr/testify/require"
)

var policy = Policy{
	Lifetime: 24 * time.Hour, Idle: time.Hour, Grace: 45 * time.Second, Lease: 2*timeLimit + 5*time.Second,
}

func generation(number int64) Generation {
	return Generation{Number: number, Secret: seal.KeyID{1, 2, 3, 4}, Salt: [16]byte{byte(number), 5}}
}

// session3 is a session in its third generation.
func session3() State {
	return State{
		Created: epoch, Used: epoch, Current: generation(3), Previous: generation(2),
		Tokens:  Tokens{RefreshToken: "R1", RefreshExpires: epoch.Add(time.Hour)},
		Subject: "s", Content: jsontext.Value(`{"a":1}`),
	}
}

func TestJudgeWeighsATokenAgainstItsSession(t *testing.T) {
	changed := func(g Generation, change func(*Generation)) Generation {
		change(&g)
		return g
	}
	otherSalt := func(g *Generation) { g.Salt[15]++ }
	otherSecret := func(g *Generation) { g.Secret[0]++ }
	lease := Lease{Holder: "other", Until: epoch.Add(25 * time.Second)}
	own := Lease{Holder: "self", Until: lease.Until}
	for name, row := range map[string]struct {
		token Generation
		lease Lease
		after time.Duration
		want  Verdict
	}{
		"the current token":                             {token: generation(3), want: Due},
		"after the grace period":                        {token: generation(3), after: time.Minute, want: Due},
		"by a clock that is behind":                     {token: generation(3), after: -5 * time.Second, want: Due},
		"just before the session's end":                 {token: generation(3), after: time.Hour - 1, want: Due},
		"at the session's end":                          {token: generation(3), after: time.Hour, want: Over},
		"at the session's end, leased":                  {token: generation(3), lease: Lease{Holder: "other", Until: epoch.Add(2 * time.Hour)}, after: time.Hour, want: Over},
		"somebody else's lease":                         {token: generation(3), lease: lease, want: Busy},
		"the last moment of a lease":                    {token: generation(3), lease: lease, after: 25*time.Second - 1, want: Busy},
		"a lease that has ended":                        {token: generation(3), lease: lease, after: 25 * time.Second, want: Due},
		"an own lease that was left over":               {token: generation(3), lease: own, want: Due},
		"the previous token":                            {token: generation(2), want: Repeat},
		"the previous token, leased":                    {token: generation(2), lease: lease, want: Repeat},
		"the previous token, by a clock that is behind": {token: generation(2), after: -time.Minute, want: Repeat},
		"the last moment of the grace period":           {token: generation(2), after: 45*time.Second - 1, want: Repeat},
		"the end of the grace period":                   {token: generation(2), after: 45 * time.Second, want: Replayed},
		"the end of the grace period, leased":           {token: generation(2), lease: lease, after: 45 * time.Second, want: Replayed},
		"an older token":                                {token: generation(1), want: Replayed},
		"an older token with any salt":                  {token: changed(generation(1), otherSalt), want: Replayed},
		"a replay after the session's end":              {token: generation(1), after: time.Hour, want: Over},
		"the previous token with another salt":          {token: changed(generation(2), otherSalt), want: Foreign},
		"the previous token of another secret":          {token: changed(generation(2), otherSecret), want: Foreign},
		"the current token with another salt":           {token: changed(generation(3), otherSalt), want: Foreign},
		"the current token with another salt, leased":   {token: changed(generation(3), otherSalt), lease: lease, want: Foreign},
		"the current token of another secret":           {token: changed(generation(3), otherSecret), want: Foreign},
		"a token that is still to come":                 {token: generation(4), want: Foreign},
	} {
		s := session3()
		s.Lease = row.lease
		require.Equal(t, row.want, s.Judge(row.token, "self", epoch.Add(row.after), policy), name)
		s.RefreshToken = ""
		require.Equal(t, Over, s.Judge(row.token, "self", epoch.Add(row.after), policy), "%s: it can't be refreshed", name)
	}
}

func TestTheFirstGenerationHasNoPreviousOne(t *testing.T) {
	s := session3()
	s.Current, s.Previous = generation(1), Generation{}
	require.Equal(t, Due, s.Judge(generation(1), "self", epoch, policy))
	require.Equal(t, Foreign, s.Judge(generation(2), "self", epoch, policy))
}

func TestASessionEndsByItsAgeOrForLackOfUse(t *testing.T) {
	s := session3()
	require.Equal(t, epoch.Add(time.Hour), s.End(policy), "idle")
	s.Used = epoch.Add(23 * time.Hour)
	require.Equal(t, epoch.Add(24*time.Hour), s.End(policy), "both at one time")
	s.Used = epoch.Add(23*time.Hour - 1)
	require.Equal(t, epoch.Add(24*time.Hour-1), s.End(policy))
	s.Used = epoch.Add(23*time.Hour + 1)
	require.Equal(t, epoch.Add(24*time.Hour), s.End(policy), "no use makes it older than that")
	require.Equal(t, Due, s.Judge(generation(3), "self", epoch.Add(24*time.Hour-1), policy))
	require.Equal(t, Over, s.Judge(generation(3), "self", epoch.Add(24*time.Hour), policy))
}

func TestALeaseOverAnotherOneMakesUnsure(t *testing.T) {
	before := session3()
	s := before.leased("self", epoch, policy)
	want := before
	want.Lease = Lease{Holder: "self", Until: epoch.Add(25 * time.Second)}
	require.Equal(t, want, s, "nothing but the lease")

	for _, holder := range []string{"self", "other"} {
		again := s.leased(holder, epoch.Add(time.Minute), policy)
		require.True(t, again.Unsure)
		require.Equal(t, Lease{Holder: holder, Until: epoch.Add(time.Minute + 25*time.Second)}, again.Lease)
	}
	before.Unsure = true
	require.True(t, before.leased("self", epoch, policy).Unsure, "it stays so until the provider answers")
}

func TestReleasingChangesNothingButTheLeaseAndTheDoubt(t *testing.T) {
	for _, row := range []struct{ before, now, after bool }{{false, false, false}, {true, false, true}, {false, true, true}} {
		want := session3()
		want.Unsure = row.before
		s := want.leased("self", epoch, policy).released(row.now)
		want.Unsure = row.after
		require.Equal(t, want, s)
	}
}

func TestWhatTheProvidersAnswerLeavesOutStaysAsItWas(t *testing.T) {
	s := session3().leased("self", epoch, policy)
	s.Unsure, s.Refused = true, epoch
	sure := s
	sure.Unsure, sure.Refused = false, time.Time{}
	later := epoch.Add(2 * time.Hour)
	for name, row := range map[string]struct{ answer, want Tokens }{
		"nothing":         {Tokens{}, s.Tokens},
		"an expiry alone": {Tokens{RefreshExpires: later}, s.Tokens},
		"a refresh token": {Tokens{RefreshToken: "R2"}, Tokens{RefreshToken: "R2"}},
		"all":             {Tokens{RefreshToken: "R2", RefreshExpires: later}, Tokens{RefreshToken: "R2", RefreshExpires: later}},
	} {
		want := sure
		want.Tokens = row.want
		require.Equal(t, want, s.received(row.answer), name)
	}
}

func TestTheNextGenerationTakesThePlaceOfTheCurrentOne(t *testing.T) {
	before := session3()
	want := before
	want.Previous, want.Current = generation(3), generation(4)
	want.Used, want.Content = epoch.Add(time.Minute), jsontext.Value(`{"a":2}`)
	s := before.leased("self", epoch, policy).renewed(generation(4), jsontext.Value(`{"a":2}`), epoch.Add(time.Minute))
	require.Equal(t, want, s)
	require.Equal(t, generation(2), before.Previous, "a state is never changed, only copied")
}

// Every release must read what another wrote.
func TestAStateIsStoredUnderTheseNames(t *testing.T) {
	s := session3().leased("self", epoch, policy)
	s.Unsure, s.Refused = true, epoch.Add(time.Second)
	stored, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, `{"created":"2026-01-02T03:04:05.000000006Z","used":"2026-01-02T03:04:05.000000006Z",`+
		`"current":{"number":3,"secret":"AQIDBA==","salt":"AwUAAAAAAAAAAAAAAAAAAA=="},`+
		`"previous":{"number":2,"secret":"AQIDBA==","salt":"AgUAAAAAAAAAAAAAAAAAAA=="},`+
		`"lease":{"holder":"self","until":"2026-01-02T03:04:30.000000006Z"},"unsure":true,"refused":"2026-01-02T03:04:06.000000006Z",`+
		`"refresh_token":"R1","refresh_expires":"2026-01-02T04:04:05.000000006Z",`+
		`"subject":"s","content":{"a":1}}`, string(stored))
	var loaded State
	require.NoError(t, json.Unmarshal(stored, &loaded))
	require.Equal(t, s, loaded)

	s = State{Created: epoch, Used: epoch, Current: generation(1), Subject: "s", Content: jsontext.Value(`{}`)}
	stored, err = json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, `{"created":"2026-01-02T03:04:05.000000006Z","used":"2026-01-02T03:04:05.000000006Z",`+
		`"current":{"number":1,"secret":"AQIDBA==","salt":"AQUAAAAAAAAAAAAAAAAAAA=="},"subject":"s","content":{}}`, string(stored))
	loaded = State{}
	require.NoError(t, json.Unmarshal(stored, &loaded))
	require.Equal(t, s, loaded)
}

func TestALeaseIsKnownAgainAfterItWasStored(t *testing.T) {
	for name, now := range map[string]time.Time{
		"with the reading of a monotonic clock": time.Now(),
		"in a zone":                             time.Now().In(time.FixedZone("", -3*60*60-30*60)),
	} {
		s := session3().leased("self", now, policy)
		stored, err := json.Marshal(s)
		require.NoError(t, err)
		var loaded State
		require.NoError(t, json.Unmarshal(stored, &loaded))
		require.True(t, loaded.Lease.equal(s.Lease), name)
		require.True(t, s.Lease.equal(loaded.Lease), name)
	}
	s := session3().leased("self", epoch, policy)
	require.False(t, s.Lease.equal(Lease{}))
	require.False(t, s.Lease.equal(Lease{Holder: "other", Until: s.Lease.Until}))
	require.False(t, s.Lease.equal(Lease{Holder: "self", Until: s.Lease.Until.Add(1)}), "an earlier lease of the same holder")
}
