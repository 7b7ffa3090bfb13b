package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	gogrpc "google.golang.org/grpc"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/open"
)

// flushWithin is how long the last spans may take when the server stops.
const flushWithin = 2 * time.Second

// traces sends the spans of the server to the collector that the standard variables of
// OpenTelemetry name.
type traces struct{ provider *sdktrace.TracerProvider }

// tracesWanted reports whether the variables name a collector and enable spans. It
// returns an error if they ask for something that this program cannot do.
func tracesWanted(getenv func(string) string) (bool, error) {
	off, err := strconv.ParseBool(orDefault(getenv("OTEL_SDK_DISABLED"), "false"))
	if err != nil {
		return false, fmt.Errorf("%w: OTEL_SDK_DISABLED is %q: use true or false", errUsage, getenv("OTEL_SDK_DISABLED"))
	}
	endpoint := orDefault(getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	exporter := orDefault(getenv("OTEL_TRACES_EXPORTER"), "otlp")
	if off || endpoint == "" || exporter == "none" {
		return false, nil
	}
	if exporter != "otlp" {
		return false, fmt.Errorf("%w: OTEL_TRACES_EXPORTER is %q: use otlp or none", errUsage, exporter)
	}
	protocol := orDefault(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
	if protocol != "" && protocol != "grpc" {
		return false, fmt.Errorf("%w: OTEL_EXPORTER_OTLP_PROTOCOL is %q: use grpc, which a collector usually serves on port 4317", errUsage, protocol)
	}
	return true, nil
}

// newTraces returns the traces of the server. It does not wait for the collector. While
// the collector cannot be reached, spans are dropped, and nothing else changes.
func newTraces(ctx context.Context, options ...otlptracegrpc.Option) (*traces, error) {
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "eventstored"), attribute.String("service.version", buildVersion())),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return &traces{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))}, nil
}

// backend returns st with a span for each append, read and page.
func (t *traces) backend(st open.Backend) (open.Backend, error) {
	tel := otelevolve.New(otelevolve.Config{TracerProvider: t.provider, MeterProvider: metricnoop.NewMeterProvider()})
	return asBackend(tel.Store(st))
}

// server returns the option that makes a span for each call, as a child of the client's
// span. A subscription has none, because it would last for hours. Health checks have
// none either.
func (t *traces) server() gogrpc.ServerOption {
	subscribe := strings.TrimPrefix(eventstorev1.EventStore_Subscribe_FullMethodName, "/")
	service, method, _ := strings.Cut(subscribe, "/")
	return gogrpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(filters.All(
			filters.Not(filters.HealthCheck()),
			filters.Not(filters.All(filters.ServiceName(service), filters.MethodName(method))))),
	))
}

// close sends the last spans, for at most flushWithin.
func (t *traces) close(ctx context.Context, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		logger.WarnContext(ctx, "the last spans were not sent", "error", err)
	}
}
