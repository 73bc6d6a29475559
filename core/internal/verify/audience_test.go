package verify

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAudience(t *testing.T) {
	const elsewhere = "it is meant for another audience"
	byClient := Audience{ClientID: "app"}
	byName := Audience{Names: []string{"api", "api2"}, ClientID: "app"}
	byBoth := Audience{Names: []string{"app", "api"}, ClientID: "app"}
	resources := Audience{Names: []string{"api"}, Resources: []string{"mcp"}}
	anybody := Audience{ClientID: "app", Anybody: true}
	scoped := func(m members) members { return m.with(members{"scope": "read"}) }
	for name, row := range map[string]struct {
		audience Audience
		claims   members
		typ      string
		reason   string
	}{
		"the client":                           {byClient, scoped(members{"aud": "app"}), "", ""},
		"the client among others":              {byClient, scoped(members{"aud": []string{"x", "app"}}), "", ""},
		"issued to the client, azp":            {byClient, scoped(members{"aud": "x", "azp": "app"}), "", ""},
		"issued to the client, client_id":      {byClient, scoped(members{"aud": "x", "client_id": "app"}), "", ""},
		"another client":                       {byClient, scoped(members{"aud": "x", "azp": "y", "client_id": "z"}), "", elsewhere},
		"nobody":                               {byClient, scoped(nil), "", elsewhere},
		"the client, maybe an ID token":        {byClient, members{"aud": "app"}, "JWT", ambiguous},
		"issued to the client, maybe an ID":    {byClient, members{"azp": "app"}, "JWT", ambiguous},
		"the client, scp":                      {byClient, members{"aud": "app", "scp": []string{"a"}}, "", ""},
		"the client, typ of the header":        {byClient, members{"aud": "app"}, "AT+jwt", ""},
		"the client, long typ of the header":   {byClient, members{"aud": "app"}, "application/at+jwt", ""},
		"the client, typ":                      {byClient, members{"aud": "app", "typ": "Bearer"}, "", ""},
		"the client, token_use":                {byClient, members{"aud": "app", "token_use": "access"}, "", ""},
		"a name":                               {byName, members{"aud": "api"}, "", ""},
		"another name":                         {byName, members{"aud": []string{"x", "api2"}}, "", ""},
		"the client instead of a name":         {byName, scoped(members{"aud": "app"}), "", elsewhere},
		"issued to the client, not for a name": {byName, scoped(members{"aud": "x", "azp": "app", "client_id": "app"}), "", elsewhere},
		"the client as a name":                 {byBoth, scoped(members{"aud": "app"}), "", ""},
		"the client as a name, maybe an ID":    {byBoth, members{"aud": "app"}, "", ambiguous},
		"a name beside the client":             {byBoth, members{"aud": "api"}, "", ""},
		"a resource":                           {resources, members{"aud": "mcp"}, "", ""},
		"a name beside a resource":             {resources, members{"aud": "api"}, "", ""},
		"neither":                              {resources, scoped(members{"aud": "x"}), "", elsewhere},
		"resources alone":                      {Audience{Resources: []string{"mcp"}}, members{"aud": "mcp"}, "", ""},
		"resources alone, and another":         {Audience{Resources: []string{"mcp"}, ClientID: "app"}, scoped(members{"aud": "app"}), "", elsewhere},
		"anybody":                              {anybody, scoped(members{"aud": "x"}), "", ""},
		"anybody, and no audience":             {anybody, scoped(nil), "", ""},
		"anybody, maybe an ID token":           {anybody, members{"aud": "x"}, "", ambiguous},
		"no client, no name":                   {Audience{}, scoped(members{"aud": "x"}), "", elsewhere},
		"no client, no name, an empty aud":     {Audience{}, scoped(members{"aud": ""}), "", elsewhere},
		"a name and no client":                 {Audience{Names: []string{"api"}}, members{"aud": "api"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Read(sign(t, key, row.typ, row.claims), 1<<20, now)
			require.NoError(t, err)
			requireReason(t, row.reason, row.audience.check(c))
		})
	}
}

func TestAudienceNamesWhomItIsFor(t *testing.T) {
	require.Equal(t, "app", Audience{ClientID: "app"}.String())
	require.Equal(t, "api", Audience{Names: []string{"api"}, ClientID: "app"}.String())
	require.Equal(t, "api or mcp", Audience{Names: []string{"api"}, Resources: []string{"mcp"}, ClientID: "app"}.String())
	require.Equal(t, "api or api2", Audience{Names: []string{"api", "api2"}, ClientID: "app"}.String())
}
