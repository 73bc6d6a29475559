package otelauth

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/oidcgate/oidcgate/core"
)

const dependencyKey = attribute.Key("oidcgate.dependency")

// WatchHealth reports [core.Auth.Health] in the gauge oidcgate.dependency.up, at each
// collection: 1 if the last call to a dependency succeeded, 0 if it failed. Requests may still
// be served then, with what was fetched earlier. The attribute oidcgate.dependency is provider,
// keys, store, signing_keys or issuer; one of Config.TrustedIssuers has its URL in
// oidcgate.issuer. What is not used, or was not called yet, is left out. In broker mode the
// gauge oidcgate.signing_key.age has the seconds since the current signing key began to sign.
// nil: the global provider. Call the function that it gives when auth is closed.
func WatchHealth(auth *core.Auth, meters metric.MeterProvider) (unregister func() error, err error) {
	meter := meterOf(meters)
	up, err := meter.Int64ObservableGauge("oidcgate.dependency.up", metric.WithUnit("{dependency}"),
		metric.WithDescription("Whether the last call to a dependency succeeded."))
	if err != nil {
		return nil, err
	}
	age, err := meter.Int64ObservableGauge("oidcgate.signing_key.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the current signing key began to sign."))
	if err != nil {
		return nil, err
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		report := func(d core.Dependency, attributes ...attribute.KeyValue) {
			switch d.State {
			case core.StateGood:
				o.ObserveInt64(up, 1, metric.WithAttributes(attributes...))
			case core.StateStale, core.StateDown:
				o.ObserveInt64(up, 0, metric.WithAttributes(attributes...))
			}
		}
		health := auth.Health()
		report(health.Provider, dependencyKey.String("provider"))
		report(health.Keys, dependencyKey.String("keys"))
		report(health.Store, dependencyKey.String("store"))
		report(health.SigningKeys, dependencyKey.String("signing_keys"))
		for url, issuer := range health.Issuers {
			report(issuer, dependencyKey.String("issuer"), issuerKey.String(url))
		}
		if !health.SigningSince.IsZero() {
			o.ObserveInt64(age, int64(time.Since(health.SigningSince).Seconds()))
		}
		return nil
	}, up, age)
	if err != nil {
		return nil, err
	}
	return registration.Unregister, nil
}
