package core_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Whoever makes an error himself, for a guard or a handler of his own, need not know
// which answers have a challenge (RFC 9110 15.5.2, RFC 6750 3).
func TestAnErrorOfTheProgramsOwnHasItsHeaders(t *testing.T) {
	for name, row := range map[string]struct {
		err       core.Error
		challenge string
		retry     string
	}{
		"a scope is missing": {
			core.Error{Status: 403, Code: "insufficient_scope", Description: "Orders need more.", Scope: "orders:read orders:write"},
			`Bearer realm="oidcgate", error="insufficient_scope", error_description="Orders need more.", scope="orders:read orders:write"`, "",
		},
		"the token is invalid":     {core.Error{Status: 401, Code: "invalid_token", Description: `It "is" gone.`}, `Bearer realm="oidcgate", error="invalid_token", error_description="It is gone."`, ""},
		"there is no token":        {core.Error{Status: 401, Code: "missing_token", Description: "Sign in.", Scope: "a"}, `Bearer realm="oidcgate", scope="a"`, ""},
		"a code of its own":        {core.Error{Status: 401, Code: "too_\"old", Description: "Sign in again."}, `Bearer realm="oidcgate", error="too_old", error_description="Sign in again."`, ""},
		"no words at all":          {core.Error{Status: 401}, `Bearer realm="oidcgate"`, ""},
		"a code alone":             {core.Error{Status: 401, Code: "invalid_token"}, `Bearer realm="oidcgate", error="invalid_token"`, ""},
		"a sentinel":               {*core.ErrInsufficientScope, `Bearer realm="oidcgate", error="insufficient_scope", error_description="The token lacks a scope."`, ""},
		"a client's credentials":   {*core.ErrInvalidClient, "", ""},
		"claims are not enough":    {*core.ErrInsufficientClaims, "", ""},
		"a scope at a token route": {core.Error{Status: 400, Code: "insufficient_scope"}, "", ""},
		"a malformed request":      {*core.ErrInvalidRequest, "", ""},
		"later":                    {core.Error{Status: 503, Code: "temporarily_unavailable", RetryAfter: 1500 * time.Millisecond}, "", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			want := http.Header{}
			if row.challenge != "" {
				want["Www-Authenticate"] = []string{row.challenge}
			}
			if row.retry != "" {
				want["Retry-After"] = []string{row.retry}
			}
			require.Equal(t, want, row.err.Header())
			row.err.Header().Set("Www-Authenticate", "mine")
			require.Equal(t, want, row.err.Header(), "each caller has its own")

			w := httptest.NewRecorder()
			w.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
			core.WriteError(w, &row.err)
			require.Equal(t, append([]string{`Basic realm="staff"`}, want["Www-Authenticate"]...), w.Header().Values("WWW-Authenticate"), "a challenge adds to others")
			require.Equal(t, row.retry, w.Header().Get("Retry-After"))
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		})
	}
	require.Equal(t, http.Header{}, (*core.Error)(nil).Header())
}

// An RPC answers with the headers that HTTP has.
func TestTheErrorOfAGuardHasItsHeaders(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	guard := a.auth.Required(core.Scopes("orders"))
	for _, request := range []core.Request{{}, {Authorization: []string{"Bearer x"}}, {Authorization: []string{"Bearer x", "Bearer y"}}} {
		_, err := guard.Check(t.Context(), request)
		var e *core.Error
		require.ErrorAs(t, err, &e)
		var headers []string
		for _, value := range request.Authorization {
			headers = append(headers, "Authorization: "+value)
		}
		require.NotEmpty(t, e.Header())
		require.Equal(t, serve(guard, headers...).Header["Www-Authenticate"], e.Header()["Www-Authenticate"])
	}
}

func TestErrorTellsTheCauseToLogsOnly(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	fail(provider, oidctest.KeysPath, http.StatusInternalServerError, "")
	_, err := a.auth.Verify(t.Context(), provider.AccessToken(t, "alice"))
	var e *core.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "temporarily_unavailable", e.Code)
	require.ErrorContains(t, err, e.Code+": "+e.Description)
	require.ErrorContains(t, err, errors.Unwrap(e).Error())
	require.NotContains(t, e.Description, errors.Unwrap(e).Error())
	require.NotContains(t, e.Description, provider.Issuer)
}

func TestWriteErrorAnswersWithTheSentinels(t *testing.T) {
	w := httptest.NewRecorder()
	core.WriteError(w, core.ErrInvalidToken)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, `Bearer realm="oidcgate", error="invalid_token", error_description="The access token is invalid."`, w.Header().Get("WWW-Authenticate"))
	for _, err := range []error{nil, (*core.Error)(nil), &core.Error{Code: "x"}} {
		w := httptest.NewRecorder()
		core.WriteError(w, err)
		require.Equal(t, http.StatusInternalServerError, w.Code)
	}
}

func TestWriteErrorTellsNothingAboutForeignErrors(t *testing.T) {
	w := httptest.NewRecorder()
	core.WriteError(w, fmt.Errorf("wrapped: %w", core.ErrNotFound))
	require.Equal(t, http.StatusNotFound, w.Code)
	w = httptest.NewRecorder()
	core.WriteError(w, io.ErrUnexpectedEOF)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, `{"error":"server_error","error_description":"Something went wrong on the server.","detail":"Something went wrong on the server."}`+"\n", w.Body.String())
}
