package otelauth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/otelauth"
	"github.com/oidcgate/oidcgate/stdauth"
)

// One line measures an application. Here the metrics are read by hand, and elsewhere by an
// exporter.
func Example() {
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))

	config := core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop"}},
		PublicURL: "https://shop.example.org/api",
	}
	otelauth.Instrument(&config, meters, nil)
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	if _, err := otelauth.WatchHealth(auth, meters); err != nil {
		log.Fatal(err)
	}

	guarded := stdauth.Required(auth)(http.NotFoundHandler())
	request := httptest.NewRequest(http.MethodGet, "/api/me", nil)
	request.Header.Set("Authorization", "Bearer nonsense")
	guarded.ServeHTTP(httptest.NewRecorder(), request)

	var measured metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &measured); err != nil {
		log.Fatal(err)
	}
	for _, m := range measured.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			if p.Value > 0 {
				fmt.Println(m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value)
			}
		}
	}
	// Output:
	// oidcgate.events error.type=invalid_token,oidcgate.event=token 1
}
