package otelauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/otelauth"
	"github.com/oidcgate/oidcgate/stdauth"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// telemetry keeps in memory what is measured.
type telemetry struct {
	reader  *sdkmetric.ManualReader
	meters  *sdkmetric.MeterProvider
	spans   *tracetest.SpanRecorder
	tracing *sdktrace.TracerProvider
}

func newTelemetry() *telemetry {
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewSpanRecorder()
	return &telemetry{
		reader: reader, meters: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		spans: spans, tracing: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	}
}

// points gives the value of each series of a metric (of a histogram: the count), by its
// attributes, such as "oidcgate.event=login". What is 0 is left out of counters.
func (o *telemetry) points(t *testing.T, name string) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	for _, m := range o.metrics(t) {
		if m.Name != name {
			continue
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				if p.Value != 0 {
					found[encoded(p.Attributes)] = p.Value
				}
			}
		case metricdata.Gauge[int64]:
			for _, p := range data.DataPoints {
				found[encoded(p.Attributes)] = p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				found[encoded(p.Attributes)] = int64(p.Count)
			}
		default:
			t.Fatalf("%s is a %T", name, data)
		}
	}
	return found
}

func (o *telemetry) metrics(t *testing.T) (all []metricdata.Metrics) {
	t.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(t.Context(), &collected))
	for _, scope := range collected.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

// span gives the one span of this name.
func (o *telemetry) span(t *testing.T, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	all := o.spans.Ended()
	i := slices.IndexFunc(all, func(s sdktrace.ReadOnlySpan) bool { return s.Name() == name })
	require.GreaterOrEqual(t, i, 0, "there is no span %q", name)
	return all[i]
}

// text gives all that is in the spans.
func (o *telemetry) text() string {
	var text strings.Builder
	for _, s := range o.spans.Ended() {
		fmt.Fprintln(&text, s.Name(), listed(s.Attributes()), s.Status())
		for _, e := range s.Events() {
			fmt.Fprintln(&text, e.Name, listed(e.Attributes))
		}
	}
	return text.String()
}

func encoded(set attribute.Set) string { return set.Encoded(attribute.DefaultEncoder()) }

func listed(attributes []attribute.KeyValue) string { return encoded(attribute.NewSet(attributes...)) }

// onDisk is a store that core does not take for the one in memory.
type onDisk struct{ store.Store }

// application is a broker that is measured.
type application struct {
	*telemetry
	provider *oidctest.Provider
	auth     *core.Auth
	url      string
}

func newApplication(t *testing.T, change func(*core.Config)) *application {
	t.Helper()
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { provider.Close() })
	mux := http.NewServeMux()
	o := newTelemetry()
	tracer := o.tracing.Tracer("application")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(r.Context(), "request")
		defer span.End()
		mux.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(server.Close)
	config := core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: server.URL + "/api",
		Secrets:   []string{"bWFrZSBvbmUgd2l0aCBvcGVuc3NsIHJhbmQgLWJhc2U2NA=="},
		Broker:    &core.Broker{Store: onDisk{memory.New()}, Algorithm: "ES256"},
	}
	if change != nil {
		change(&config)
	}
	otelauth.Instrument(&config, o.meters, o.tracing)
	auth, err := core.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { auth.Close() })
	stdauth.Mount(mux, "/api", auth)
	mux.Handle("GET /api/me", stdauth.Required(auth)(http.NotFoundHandler()))
	return &application{telemetry: o, provider: provider, auth: auth, url: server.URL + "/api"}
}

func (a *application) signIn(t *testing.T) oidctest.Tokens {
	t.Helper()
	return a.provider.SignIn(t, a.url+"/auth/v2/login", "alice")
}

func (a *application) refresh(t *testing.T, token string) int {
	t.Helper()
	res, err := http.PostForm(a.url+"/auth/v2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode
}

func (a *application) guarded(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, a.url+"/me", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode
}
