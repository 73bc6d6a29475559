package otelauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"

	"github.com/oidcgate/oidcgate/otelauth"
)

// call makes a request over a transport that is measured, and gives what has arrived.
func call(t *testing.T, o *telemetry, userinfo, path string) (arrived *http.Request) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived = r }))
	defer server.Close()
	member, err := baggage.NewMember("user", "alice")
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	url := strings.Replace(server.URL, "://", "://"+userinfo, 1) + path
	req, err := http.NewRequestWithContext(baggage.ContextWithBaggage(t.Context(), bag), http.MethodPost, url, strings.NewReader("client_secret=hunter2"))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer hunter2")
	res, err := (&http.Client{Transport: otelauth.Transport(nil, o.meters, o.tracing)}).Do(req)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return arrived
}

func TestTransportKeepsSecretsOutOfSpansAndMetrics(t *testing.T) {
	o := newTelemetry()
	arrived := call(t, o, "user:hunter2@", "/token?token=hunter2#hunter2")
	require.Equal(t, "token=hunter2", arrived.URL.RawQuery, "the request itself stays as it is")
	require.Contains(t, o.text(), "/token {")
	require.NotContains(t, o.text(), "hunter2")
	require.NotContains(t, o.text(), "?")
	require.NotContains(t, keys(o.points(t, "http.client.request.duration")), "hunter2")
}

func TestTransportTellsTheProviderOfTheSpanAndNoBaggage(t *testing.T) {
	o := newTelemetry()
	arrived := call(t, o, "", "/token")
	require.Contains(t, arrived.Header.Get("Traceparent"), o.span(t, "HTTP POST").SpanContext().TraceID().String())
	require.Empty(t, arrived.Header.Get("Baggage"))
}

func TestTransportMeasuresEachRequest(t *testing.T) {
	o := newTelemetry()
	call(t, o, "", "/token?id=1")
	require.Len(t, o.points(t, "http.client.request.duration"), 1)
	require.Contains(t, keys(o.points(t, "http.client.request.duration")), "server.address=127.0.0.1")
}

func keys(points map[string]int64) string {
	var all strings.Builder
	for key := range points {
		all.WriteString(key + "\n")
	}
	return all.String()
}
