package otelauth

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/oidcgate/oidcgate/store"
)

// systemName is the db.system.name of a store. Which database it is, is its own business.
var systemName = semconv.DBSystemNameKey.String("oidcgate")

// durations are the buckets, in seconds, that the semantic conventions advise for databases.
var durations = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}

// Store gives a store that does what the given one does, and measures each call but Close: in the
// histogram db.client.operation.duration, by db.system.name (oidcgate), db.operation.name
// (open, get, find, put, delete or purge) and error.type, and as a span with the kind of record
// as db.collection.name. [store.ErrNotFound] and [store.ErrConflict] are answers and no errors.
// IDs, keys and data of records are in neither. nil: the global providers.
//
// Core takes a wrapped store in memory for one that outlives the process, and demands
// Config.Secrets.
func Store(s store.Store, meters metric.MeterProvider, traces trace.TracerProvider) store.Store {
	calls, err := meterOf(meters).Float64Histogram("db.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of database client operations."), metric.WithExplicitBucketBoundaries(durations...))
	if err != nil {
		otel.Handle(err)
	}
	return &measured{Store: s, calls: calls, tracer: tracerOf(traces)}
}

// measured is a store that is measured.
type measured struct {
	store.Store
	calls  metric.Float64Histogram
	tracer trace.Tracer
}

func (m *measured) Open(ctx context.Context) (err error) {
	ctx, end := m.begin(ctx, "open", "")
	defer func() { end(err) }()
	return m.Store.Open(ctx)
}

func (m *measured) Get(ctx context.Context, kind, id string) (_ store.Record, err error) {
	ctx, end := m.begin(ctx, "get", kind)
	defer func() { end(err) }()
	return m.Store.Get(ctx, kind, id)
}

func (m *measured) Find(ctx context.Context, kind, key, after string, limit int) (_ []store.Record, err error) {
	ctx, end := m.begin(ctx, "find", kind)
	defer func() { end(err) }()
	return m.Store.Find(ctx, kind, key, after, limit)
}

func (m *measured) Put(ctx context.Context, r store.Record) (_ int64, err error) {
	ctx, end := m.begin(ctx, "put", r.Kind)
	defer func() { end(err) }()
	return m.Store.Put(ctx, r)
}

func (m *measured) Delete(ctx context.Context, kind, id string, version int64) (err error) {
	ctx, end := m.begin(ctx, "delete", kind)
	defer func() { end(err) }()
	return m.Store.Delete(ctx, kind, id, version)
}

func (m *measured) Purge(ctx context.Context, now time.Time, limit int) (_ int, err error) {
	ctx, end := m.begin(ctx, "purge", "")
	defer func() { end(err) }()
	return m.Store.Purge(ctx, now, limit)
}

// begin begins a call, on records of a kind or, with "", of any. The function that it gives
// ends it.
func (m *measured) begin(ctx context.Context, operation, kind string) (context.Context, func(error)) {
	attributes := []attribute.KeyValue{systemName, semconv.DBOperationName(operation)}
	name := operation
	if kind != "" {
		name += " " + kind
	}
	ctx, span := m.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	if kind != "" {
		span.SetAttributes(semconv.DBCollectionName(kind))
	}
	began := time.Now()
	return ctx, func(err error) {
		if failure := failureOf(err); failure != "" {
			attributes = append(attributes, semconv.ErrorTypeKey.String(failure))
			span.SetAttributes(semconv.ErrorTypeKey.String(failure))
			// The text is left out: a database may repeat there what it was given.
			span.SetStatus(codes.Error, "")
		}
		m.calls.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(attributes...))
		span.End()
	}
}

// failureOf gives the error.type of what a call has ended with. "": it is no error.
func failureOf(err error) string {
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		return ""
	case errors.Is(err, store.ErrUnusable):
		return "unusable"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return other
}
