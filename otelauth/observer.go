package otelauth

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/oidcgate/oidcgate/core"
)

// Attributes of an event. Those of the first group are in metrics too.
const (
	eventKey  = attribute.Key("oidcgate.event")
	reasonKey = attribute.Key("oidcgate.reason")

	issuerKey  = attribute.Key("oidcgate.issuer")
	clientKey  = attribute.Key("oidcgate.client")
	sessionKey = attribute.Key("oidcgate.session")
	keyKey     = attribute.Key("oidcgate.key")
	requestKey = attribute.Key("oidcgate.request_id")
)

// other stands for a value that is on no list (OpenTelemetry's error.type).
var other = semconv.ErrorTypeOther.Value.AsString()

// errorCodes are the values of error.type. A provider, or an application, may answer with
// codes of its own, even another one each time: in a metric each would be a series.
var errorCodes = []string{
	core.ErrInvalidRequest.Code, core.ErrInvalidGrant.Code, core.ErrInvalidScope.Code, core.ErrInvalidTarget.Code,
	core.ErrInvalidClient.Code, core.ErrUnsupportedGrant.Code, core.ErrAccessDenied.Code, core.ErrMissingToken.Code,
	core.ErrInvalidToken.Code, core.ErrInsufficientScope.Code, core.ErrInsufficientClaims.Code, core.ErrCrossSite.Code, core.ErrNotFound.Code,
	core.ErrProvider.Code, core.ErrUnavailable.Code,
	// Of providers: RFC 6749, RFC 8628, RFC 9449, RFC 9470, OpenID Connect Core 3.1.2.6.
	"unauthorized_client", "unsupported_response_type", "unsupported_token_type", "expired_token", "invalid_dpop_proof",
	"insufficient_user_authentication", "login_required", "interaction_required", "consent_required",
	"account_selection_required",
}

// endReasons are the values of oidcgate.reason.
var endReasons = []string{
	core.ReasonReplayed, core.ReasonForeign, core.ReasonRefused, core.ReasonUnknown, core.ReasonSubject, core.ReasonDenied,
	core.ReasonRevoked, core.ReasonProviderLogout, core.ReasonReplaced,
}

// Observer gives an observer for Config.Observe. It counts events in oidcgate.events, by
// oidcgate.event (the kind), error.type (the OAuth error code of a failure) and oidcgate.reason
// (of an event of kind end). Codes and reasons that are on no list count as _OTHER. It
// also adds each event to the span of its context, with the issuer, the client, the session, the
// key and the request besides, but not the subject. Several requests can share a refresh: that
// it ends a session belongs to no span. nil: the global provider. The observer is safe for
// concurrent use.
func Observer(meters metric.MeterProvider) func(context.Context, core.Event) {
	events, err := meterOf(meters).Int64Counter("oidcgate.events", metric.WithUnit("{event}"),
		metric.WithDescription("Events of logins, sessions, guards and signing keys."))
	if err != nil {
		otel.Handle(err)
	}
	// A counter that begins with 1 has not increased for Prometheus. What rarely happens,
	// and must not be missed, begins with 0.
	for _, reason := range endReasons {
		events.Add(context.Background(), 0, metric.WithAttributes(counted(core.Event{Kind: core.EventEnd, Reason: reason})...))
	}
	events.Add(context.Background(), 0, metric.WithAttributes(counted(core.Event{Kind: core.EventUnsure})...))

	return func(ctx context.Context, e core.Event) {
		attributes := counted(e)
		events.Add(ctx, 1, metric.WithAttributes(attributes...))
		if span := trace.SpanFromContext(ctx); span.IsRecording() {
			span.AddEvent("oidcgate."+string(e.Kind), trace.WithAttributes(append(attributes, traced(e)...)...))
		}
	}
}

// counted gives the attributes by which an event is counted.
func counted(e core.Event) []attribute.KeyValue {
	attributes := []attribute.KeyValue{eventKey.String(string(e.Kind))}
	if e.Error != nil {
		attributes = append(attributes, semconv.ErrorTypeKey.String(among(errorCodes, e.Error.Code)))
	}
	if e.Kind == core.EventEnd {
		attributes = append(attributes, reasonKey.String(among(endReasons, e.Reason)))
	}
	return attributes
}

// traced gives the attributes that an event has in a span besides.
func traced(e core.Event) (attributes []attribute.KeyValue) {
	for _, a := range []attribute.KeyValue{
		issuerKey.String(e.Issuer), clientKey.String(e.Client), sessionKey.String(e.Session),
		keyKey.String(e.Key), requestKey.String(e.RequestID),
	} {
		if a.Value.AsString() != "" {
			attributes = append(attributes, a)
		}
	}
	return attributes
}

// among gives the value if it is on the list.
func among(list []string, value string) string {
	if slices.Contains(list, value) {
		return value
	}
	return other
}
