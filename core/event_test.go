package core_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestEventsSayWhoWhichClientWhichSessionAndWhichRequest(t *testing.T) {
	type requestID struct{}
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), func(c *core.Config) {
		c.RequestID = func(ctx context.Context) string { id, _ := ctx.Value(requestID{}).(string); return id }
	})
	expect := func(kind core.EventKind, subject, session string) {
		t.Helper()
		event := a.log.last(t)
		require.Equal(t, kind, event.Kind)
		require.Equal(t, a.provider.ClientID, event.Client)
		require.Equal(t, subject, event.Subject)
		require.Equal(t, session, event.Session)
		require.Equal(t, a.provider.Issuer, event.Issuer)
	}
	a.get(browser(), "/auth/v2/login?redirect_uri="+url.QueryEscape(native))
	expect(core.EventLoginStart, "", "")
	a.post(browser(), "/auth/v2/device")
	expect(core.EventLoginStart, "", "")

	tokens := a.signIn("alice")
	token, err := a.auth.Verify(t.Context(), tokens.AccessToken)
	require.NoError(t, err)
	expect(core.EventLogin, "user-alice", token.SessionID())
	tokens = a.tokens(a.refresh(tokens.RefreshToken))
	expect(core.EventRefresh, "user-alice", token.SessionID())

	ctx := context.WithValue(t.Context(), requestID{}, "request-7")
	_, err = a.auth.Required(core.Scopes("orders")).Check(ctx, core.Request{Authorization: []string{"Bearer " + tokens.AccessToken}})
	require.ErrorIs(t, err, core.ErrInsufficientScope)
	expect(core.EventToken, "user-alice", token.SessionID())
	require.Equal(t, "request-7", a.log.last(t).RequestID)

	require.Equal(t, http.StatusFound, a.logoutWith("", "refresh_token", tokens.RefreshToken).StatusCode)
	expect(core.EventLogout, "user-alice", token.SessionID())
}

// A refresh is shared by all who come with the same token, and outlives them.
func TestEventsOfARefreshHaveTheRequestThatBeganIt(t *testing.T) {
	type requestID struct{}
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered(), func(c *core.Config) {
		c.RequestID = func(ctx context.Context) string { id, _ := ctx.Value(requestID{}).(string); return id }
	})
	token := a.signIn("alice").RefreshToken
	refresh := func(id string) int {
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), requestID{}, id), http.MethodPost, "/api"+tokenRoute,
			strings.NewReader(form("refresh_token", token).Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		a.mux.ServeHTTP(w, r)
		return w.Code
	}
	before := len(a.log.events)
	a.provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		real.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler) // the answer is lost
	})
	require.Equal(t, http.StatusServiceUnavailable, refresh("request-1"))
	a.provider.Answer(oidctest.TokenPath, nil)
	require.Equal(t, http.StatusBadRequest, refresh("request-2"))
	var told []string
	for _, event := range a.log.events[before:] {
		told = append(told, string(event.Kind)+" "+event.RequestID)
	}
	require.Equal(t, []string{"refresh_unsure request-1", "end request-2", "refresh request-2"}, told)
}

func TestChangesOfTheTrustedIssuersAreEvents(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	kinds := func(list ...core.Issuer) (told []string) {
		before := len(a.log.events)
		require.NoError(t, a.auth.SetTrustedIssuers(list))
		for _, event := range a.log.events[before:] {
			told = append(told, string(event.Kind)+" "+event.Issuer)
		}
		return told
	}
	first, second := core.Issuer{URL: "https://one.example.org"}, core.Issuer{URL: "https://two.example.org"}
	require.Equal(t, []string{"issuer_added https://one.example.org"}, kinds(first))
	require.Empty(t, kinds(first), "the same list changes nothing")
	require.Equal(t, []string{"issuer_added https://two.example.org", "issuer_removed https://one.example.org"}, kinds(second))
	require.Equal(t, []string{"issuer_removed https://two.example.org"}, kinds())
}

func TestLogEventsWritesWhatIsKnownAndWarnsOfFailures(t *testing.T) {
	var log bytes.Buffer
	observe := core.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	observe(t.Context(), core.Event{Kind: core.EventLogin, Time: time.Now(), Issuer: "https://id.example.org", Subject: "alice", Client: "shop", Session: "s1", RequestID: "r1"})
	observe(t.Context(), core.Event{Kind: core.EventEnd, Subject: "bob", Reason: core.ReasonReplayed})
	var failed *core.Error
	require.True(t, errors.As(error(core.ErrInvalidToken), &failed))
	observe(t.Context(), core.Event{Kind: core.EventToken, Error: failed})
	require.Equal(t, `level=INFO msg=event kind=login request_id=r1 issuer=https://id.example.org subject=alice client=shop session=s1
level=WARN msg=event kind=end subject=bob reason=refresh_token_replayed
level=WARN msg=event kind=token error="invalid_token: The access token is invalid."
`, log.String())
}

func TestADependencyThatGoesAwayAndIsBackIsAnEventEach(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store), quick)
	changes := func() (told []string) {
		a.log.mu.Lock()
		defer a.log.mu.Unlock()
		for _, event := range a.log.changes {
			told = append(told, string(event.Kind)+" "+event.Dependency)
			require.Equal(t, event.Kind == core.EventDown, event.Error != nil)
		}
		a.log.changes = nil
		return told
	}
	a.provider.Down(true)
	require.Error(t, a.auth.Start(t.Context()))
	require.Equal(t, []string{"down provider"}, changes())
	a.clock.Add(time.Minute)
	require.Error(t, a.auth.Start(t.Context()))
	require.Empty(t, changes(), "it is down still")
	a.provider.Down(false)
	a.clock.Add(time.Minute)
	require.NoError(t, a.auth.Start(t.Context()))
	require.Equal(t, []string{"up provider"}, changes())

	store.fail(func(context.Context, string, bool) error { return errors.New("the disk is on fire") })
	for range 3 {
		_, err := a.auth.Sessions(t.Context(), "alice")
		require.ErrorIs(t, err, core.ErrUnavailable)
	}
	require.Equal(t, []string{"down store"}, changes())
	store.fail(nil)
	_, err := a.auth.Sessions(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, []string{"up store"}, changes())
}
