// Package otelauth measures oidcgate with OpenTelemetry: metrics and traces of logins,
// sessions, rejected tokens, calls to the provider and calls to the store:
//
//	func main() {
//		// … set OpenTelemetry's global providers, as for the rest of the program
//		config := core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "http://localhost:8000/api",
//		}
//		otelauth.Instrument(&config, nil, nil)
//		auth, err := core.New(config)
//		if err != nil {
//			log.Fatal(err)
//		}
//		otelauth.WatchHealth(auth, nil)
//		mux := http.NewServeMux()
//		stdauth.Mount(mux, "/api", auth)
//		log.Fatal(http.ListenAndServe("localhost:8000", otelhttp.NewHandler(mux, "shop")))
//	}
//
// [Instrument] does what [Observer], [Transport] and [Store] do one by one. Each takes the
// providers to use; nil means OpenTelemetry's global one. Set the global providers before:
// what is counted earlier is lost.
//
// No secret gets into a metric or a span. No user gets into a metric either, and each
// attribute of a metric has a bounded number of values, whatever strangers send. Names are
// those of OpenTelemetry's semantic conventions, or begin with oidcgate. Spans of requests to
// the application are not made here: use the middleware for the router, such as otelhttp.
//
// The files grafana-dashboard.json and alerts.yaml, beside this one, are a dashboard for Grafana
// and alerts for Prometheus.
package otelauth

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store/memory"
)

// scope names this package to OpenTelemetry, as the source of what it measures.
const scope = "github.com/oidcgate/oidcgate/otelauth"

// Instrument sets what a Config has for being measured: Observe, to [Observer] and then the
// observer that is there; HTTPClient, to a copy with [Transport]; and Broker.Store, to [Store]
// in a copy of the Broker. Without a Broker, or with the store in memory, there is no store to
// measure. nil: the global providers. Call it once for a Config, before [core.New].
func Instrument(config *core.Config, meters metric.MeterProvider, traces trace.TracerProvider) {
	observe, theirs := Observer(meters), config.Observe
	config.Observe = func(ctx context.Context, event core.Event) {
		observe(ctx, event)
		if theirs != nil {
			theirs(ctx, event)
		}
	}
	client := http.Client{}
	if config.HTTPClient != nil {
		client = *config.HTTPClient
	}
	client.Transport = Transport(client.Transport, meters, traces)
	config.HTTPClient = &client
	if config.Broker == nil || config.Broker.Store == nil {
		return
	}
	// Core knows the store in memory by its type: it alone needs no Config.Secrets.
	if _, inMemory := config.Broker.Store.(*memory.Store); !inMemory {
		broker := *config.Broker
		broker.Store = Store(broker.Store, meters, traces)
		config.Broker = &broker
	}
}

// meterOf gives the meter of this package. nil: of the global provider.
func meterOf(meters metric.MeterProvider) metric.Meter {
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	return meters.Meter(scope)
}

// tracerOf gives the tracer of this package. nil: of the global provider.
func tracerOf(traces trace.TracerProvider) trace.Tracer {
	if traces == nil {
		traces = otel.GetTracerProvider()
	}
	return traces.Tracer(scope)
}
