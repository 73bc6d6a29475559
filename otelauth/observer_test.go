package otelauth_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/otelauth"
)

func TestObserverCountsByKindErrorAndReason(t *testing.T) {
	o := newTelemetry()
	observe := otelauth.Observer(o.meters)
	observe(t.Context(), core.Event{Kind: core.EventLogin})
	observe(t.Context(), core.Event{Kind: core.EventLogin})
	observe(t.Context(), core.Event{Kind: core.EventLogin, Error: core.ErrAccessDenied})
	observe(t.Context(), core.Event{Kind: core.EventEnd, Reason: core.ReasonReplayed})
	observe(t.Context(), core.Event{Kind: core.EventKeyRotated, Key: "k1", Reason: "new"})
	require.Equal(t, map[string]int64{
		"oidcgate.event=login":                                      2,
		"error.type=access_denied,oidcgate.event=login":             1,
		"oidcgate.event=end,oidcgate.reason=refresh_token_replayed": 1,
		"oidcgate.event=key_rotated":                                1,
	}, o.points(t, "oidcgate.events"))
}

// Whoever makes an error code of his own at each request must not make a series of each.
func TestObserverTakesInventedValuesForOne(t *testing.T) {
	o := newTelemetry()
	observe := otelauth.Observer(o.meters)
	for i := range 1000 {
		observe(t.Context(), core.Event{Kind: core.EventLogin, Error: &core.Error{Code: fmt.Sprintf("invented_%d", i)}})
		observe(t.Context(), core.Event{Kind: core.EventEnd, Reason: fmt.Sprintf("invented_%d", i)})
		observe(t.Context(), core.Event{
			Kind: core.EventMint, Subject: fmt.Sprint(i), Client: fmt.Sprint(i), Session: fmt.Sprint(i), Issuer: fmt.Sprint(i),
			RequestID: fmt.Sprint(i), Key: fmt.Sprint(i), Reason: fmt.Sprint(i),
		})
	}
	require.Equal(t, map[string]int64{
		"error.type=_OTHER,oidcgate.event=login":    1000,
		"oidcgate.event=end,oidcgate.reason=_OTHER": 1000,
		"oidcgate.event=mint":                       1000,
	}, o.points(t, "oidcgate.events"))
}

func TestObserverKnowsEachErrorAndReasonOfCore(t *testing.T) {
	ours, err := os.ReadFile("observer.go")
	require.NoError(t, err)
	for file, declared := range map[string]string{
		"../core/errors.go": `(?m)^\t(Err\w+) += &Error`, "../core/event.go": `(?m)^\t(Reason\w+) += `,
	} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		names := regexp.MustCompile(declared).FindAllSubmatch(source, -1)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.Regexp(t, `core\.`+string(name[1])+`\b`, string(ours))
		}
	}
}

// For Prometheus, a counter that appears with the value 1 has not increased.
func TestObserverBeginsWithZeroForWhatMustNotBeMissed(t *testing.T) {
	o := newTelemetry()
	otelauth.Observer(o.meters)
	text := fmt.Sprint(o.metrics(t))
	for _, value := range []string{core.ReasonReplayed, core.ReasonForeign, core.ReasonRevoked, string(core.EventUnsure)} {
		require.Contains(t, text, value)
	}
}

func TestObserverTellsTheSpanAboutTheEventButNotTheSubject(t *testing.T) {
	o := newTelemetry()
	ctx, span := o.tracing.Tracer("test").Start(t.Context(), "request")
	otelauth.Observer(o.meters)(ctx, core.Event{
		Kind: core.EventLogin, Subject: "user-alice", Issuer: "https://id.example", Client: "shop", Session: "s1", RequestID: "r1",
		Error: core.ErrInvalidGrant,
	})
	span.End()
	events := o.span(t, "request").Events()
	require.Len(t, events, 1)
	require.Equal(t, "oidcgate.login", events[0].Name)
	require.Equal(t, "error.type=invalid_grant,oidcgate.client=shop,oidcgate.event=login,oidcgate.issuer=https://id.example,"+
		"oidcgate.request_id=r1,oidcgate.session=s1", strings.ReplaceAll(listed(events[0].Attributes), `\`, ""))
}
