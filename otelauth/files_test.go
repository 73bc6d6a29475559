package otelauth_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.yaml.in/yaml/v3"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/otelauth"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// series has, by the name of a metric for Prometheus, the values of each of its labels.
type series map[string]map[string][]string

// exported gives all that the package can measure, as Prometheus gets it.
func exported(t *testing.T) series {
	t.Helper()
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	require.NoError(t, err)
	a := newApplication(t, func(c *core.Config) {
		c.TrustedIssuers = []core.Issuer{{URL: "http://127.0.0.1:1", Audiences: []string{"shop"}}}
	})
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	config := core.Config{}
	otelauth.Instrument(&config, meters, a.tracing)
	for _, kind := range kinds(t) {
		for _, reason := range []string{core.ReasonReplayed, core.ReasonForeign, core.ReasonRefused} {
			config.Observe(t.Context(), core.Event{Kind: kind, Reason: reason})
		}
		for _, err := range []*core.Error{core.ErrInvalidToken, core.ErrProvider} {
			config.Observe(t.Context(), core.Event{Kind: kind, Error: err})
		}
	}
	res, err := config.HTTPClient.Get(a.provider.URL())
	require.NoError(t, err)
	res.Body.Close()
	require.NoError(t, otelauth.Store(memory.New(), meters, a.tracing).Open(t.Context()))
	_, err = otelauth.Store(failing{memory.New(), store.Unusable("")}, meters, a.tracing).Get(t.Context(), "session", "id")
	require.Error(t, err)
	_, err = otelauth.WatchHealth(a.auth, meters)
	require.NoError(t, err)
	require.NoError(t, a.auth.Start(t.Context()))
	require.Eventually(t, func() bool {
		return len(a.auth.Health().Issuers) == 1 && a.auth.Health().Issuers["http://127.0.0.1:1"].State == core.StateDown
	}, 10e9, 1e7)

	found := series{}
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		labels := map[string][]string{"job": nil, "instance": nil, "le": nil} // of Prometheus
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		names := []string{family.GetName()}
		if family.GetMetric()[0].GetHistogram() != nil {
			names = []string{family.GetName() + "_bucket", family.GetName() + "_count", family.GetName() + "_sum"}
		}
		for _, name := range names {
			found[name] = labels
		}
	}
	return found
}

// kinds are the kinds of events of core.
func kinds(t *testing.T) (all []core.EventKind) {
	t.Helper()
	all = []core.EventKind{core.EventEnd, core.EventUnsure, core.EventKeyPublished, core.EventKeyRotated} // named elsewhere
	source, err := os.ReadFile("../core/event.go")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\tEvent\w+ +EventKind = "(\w+)"`).FindAllSubmatch(source, -1) {
		all = append(all, core.EventKind(m[1]))
	}
	require.Contains(t, all, core.EventLogin)
	return all
}

var (
	selector = regexp.MustCompile(`([a-z_:]+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)(=~|!=|=)"([^"]*)"`)
	name     = regexp.MustCompile(`\b(oidcgate|db_client|http_client)_\w+`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
)

// holds fails unless the metrics, labels and values that an expression names are there.
func (s series) holds(t *testing.T, expr string) {
	t.Helper()
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		require.Contains(t, s, m[1], expr)
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			require.Contains(t, s[m[1]], l[1], expr)
			for value := range strings.SplitSeq(l[3], "|") {
				if l[2] != "!=" && value != "" && !strings.HasPrefix(value, "$") {
					require.Contains(t, s[m[1]][l[1]], value, expr)
				}
			}
		}
	}
	var labels []string
	bare := matcher.ReplaceAllString(expr, "")
	for _, metric := range name.FindAllString(grouping.ReplaceAllString(bare, ""), -1) {
		require.Contains(t, s, metric, expr)
		labels = slices.AppendSeq(labels, maps.Keys(s[metric]))
	}
	require.NotEmpty(t, labels, expr)
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		require.Subset(t, labels, strings.Split(m[1], ", "), expr)
	}
}

func TestAlertsAndDashboardNameWhatIsMeasured(t *testing.T) {
	measured := exported(t)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	source, err := os.ReadFile("alerts.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(source, &rules))
	var alerts []string
	for _, r := range rules.Groups[0].Rules {
		measured.holds(t, r.Expr)
		require.NotEmpty(t, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.False(t, slices.Contains(alerts, r.Alert), r.Alert)
		alerts = append(alerts, r.Alert)
	}
	require.NotEmpty(t, alerts)

	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	source, err = os.ReadFile("grafana-dashboard.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(source, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	for i, p := range dashboard.Panels {
		require.Equal(t, i+1, p.ID)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			measured.holds(t, target.Expr)
		}
	}
	require.Equal(t, "label_values(oidcgate_events_total, job)", dashboard.Templating.List[1].Query)
	require.Contains(t, measured, "oidcgate_events_total")
}
