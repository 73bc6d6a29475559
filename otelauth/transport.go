package otelauth

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Transport gives a transport for the client in Config.HTTPClient. It measures each request to
// the provider with otelhttp: in the histogram http.client.request.duration and others, and as
// a span that ends with the body of the answer. Headers and bodies are not looked at, and
// url.full has no query and no user. The request tells the provider about the span
// (traceparent), but no baggage, which may be meant for the application alone. A nil base means
// a copy of [http.DefaultTransport] for calls to few hosts. nil: the global providers.
func Transport(base http.RoundTripper, meters metric.MeterProvider, traces trace.TracerProvider) http.RoundTripper {
	if base == nil {
		base = defaultTransport()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	if traces == nil {
		traces = otel.GetTracerProvider()
	}
	return otelhttp.NewTransport(bareURL{base}, otelhttp.WithMeterProvider(meters), otelhttp.WithTracerProvider(traces),
		otelhttp.WithPropagators(propagation.TraceContext{}))
}

// defaultTransport gives what core uses where Config.HTTPClient is nil.
func defaultTransport() http.RoundTripper {
	shared, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // a program has put another transport in its place
		return http.DefaultTransport
	}
	own := shared.Clone()
	own.MaxResponseHeaderBytes = 64 << 10
	own.MaxIdleConnsPerHost = 16
	return own
}

// bareURL takes the query out of the URL that otelhttp has written to the span.
type bareURL struct{ next http.RoundTripper }

// RoundTrip corrects the span and goes on.
func (b bareURL) RoundTrip(r *http.Request) (*http.Response, error) {
	bare := *r.URL
	bare.User, bare.RawQuery, bare.ForceQuery, bare.Fragment, bare.RawFragment = nil, "", false, "", ""
	trace.SpanFromContext(r.Context()).SetAttributes(semconv.URLFull(bare.String()))
	return b.next.RoundTrip(r)
}
