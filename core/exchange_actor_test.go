package core_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// RFC 8693 4.1: the new token names who acts for the user, as the old one does.
func TestAnExchangeKeepsWhoActsForTheUser(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	nested := map[string]any{"sub": "support", "act": map[string]any{"sub": "bot", "n": 9007199254740993.0}}
	for name, row := range map[string]struct {
		act  any
		want any // nil: none
		code string
	}{
		"somebody":        {map[string]any{"sub": "support"}, map[string]any{"sub": "support"}, ""},
		"a chain":         {nested, nested, ""},
		"nobody":          {nil, nil, ""},
		"a text":          {"support", nil, "invalid_request"},
		"a list":          {[]any{nested}, nil, "invalid_request"},
		"an empty object": {map[string]any{}, map[string]any{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.exchange(a.subjectToken(map[string]any{"act": row.act}))
			if row.code != "" {
				requireError(t, got, http.StatusBadRequest, row.code)
				return
			}
			require.Equal(t, row.want, claimsOf(t, a.tokens(got).AccessToken)["act"])
		})
	}
}

func TestNoTokenIsMintedForASubjectThatStandsForNobody(t *testing.T) {
	var username string
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Username = username
		return nil
	}), func(c *core.Config) { c.Broker.SubjectIsUsername = true })
	for name, bad := range map[string]string{"NUL": "alice\x00root", "a line break": "alice\n", "a control character of Latin-1": "alice\u0085", "too long": strings.Repeat("a", 1025)} {
		t.Run(name, func(t *testing.T) {
			username = "alice"
			token := a.signIn("alice").RefreshToken
			username = bad
			requireError(t, a.codeLogin("alice"), http.StatusInternalServerError, "server_error")
			requireError(t, a.exchange(a.provider.AccessToken(t, "alice")), http.StatusInternalServerError, "server_error")
			require.NotEqual(t, http.StatusOK, a.refresh(token).StatusCode)
		})
	}
}
