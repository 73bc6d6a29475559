package verify

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnIssuersPatternHasAWholePartOfThePathForTheTenant(t *testing.T) {
	for url, wellFormed := range map[string]bool{
		"https://issuer.example":                       true,
		"https://issuer.example/a{b":                   false,
		"https://issuer.example/{tenantid}":            true,
		"https://issuer.example/{tenantid}/v2.0":       true,
		"https://issuer.example/a/{tenantid}/":         true,
		"https://issuer.example/a{tenantid}":           false,
		"https://issuer.example/{tenantid}b":           false,
		"https://{tenantid}/a":                         false,
		"https://{tenantid}":                           false,
		"{tenantid}":                                   false,
		"https://issuer.example/{tenantid}/{tenantid}": false,
		"https://issuer.example/{x}/{tenantid}":        false,
	} {
		name := NewIssuerName(url)
		require.Equal(t, wellFormed, name.WellFormed(), url)
		require.Equal(t, url, name.String())
	}
}

func TestAnIssuerIsNamedByItsExactURLOrByATenantOfAPattern(t *testing.T) {
	const one, many, last = "https://i.example/a", "https://i.example/{tenantid}/v2", "https://i.example/{tenantid}"
	for _, row := range []struct {
		name, issuer string
		tid          any
		names        bool // the claims
		covers       bool // the issuer
	}{
		{one, one, nil, true, true},
		{one, one, "a", true, true},
		{one, one + "/", nil, false, false},
		{one, "", nil, false, false},
		{one, "https://i.example/", nil, false, false},

		{many, "https://i.example/t1/v2", "t1", true, true},
		{many, "https://i.example/t1/v2", "t2", false, true},
		{many, "https://i.example/t1/v2", nil, false, true},
		{many, "https://i.example/t1/v2", 1, false, true},
		{many, "https://i.example//v2", "", false, false},
		{many, "https://i.example/v2", "", false, false},
		{many, "https://i.example/v2", "v2", false, false},
		{many, "https://i.example/t1/v3", "t1", false, false},
		{many, "https://j.example/t1/v2", "t1", false, false},
		{many, "https://i.example/t1/x/v2", "t1/x", false, false},
		{many, "https://i.example/t1?/v2", "t1?", false, false},
		{many, "https://i.example/t1#/v2", "t1#", false, false},
		{many, "https://i.example/%74/v2", "%74", false, false},
		{many, many, "{tenantid}", true, true},

		{last, "https://i.example/t1", "t1", true, true},
		{last, "https://i.example/t1/", "t1", false, false},
		{last, "https://i.example/", "", false, false},
	} {
		name := NewIssuerName(row.name)
		require.Equal(t, row.names, name.Names(members{"iss": row.issuer, "tid": row.tid}.with(nil).set(t)), row)
		require.Equal(t, row.covers, name.Covers(row.issuer), row)
	}
}
