package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	gogrpc "google.golang.org/grpc"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
)

// collector is a collector of OpenTelemetry that keeps what it receives.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer

	address string

	mu       sync.Mutex
	spans    []*tracev1.Span // guarded by mu
	services []string        // guarded by mu
}

func (c *collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.GetResourceSpans() {
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.services = append(c.services, a.GetValue().GetStringValue())
			}
		}
		for _, s := range rs.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// collecting starts a collector.
func collecting(t *testing.T) *collector {
	t.Helper()
	var listen net.ListenConfig
	lis, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{address: lis.Addr().String()}
	s := gogrpc.NewServer()
	collectorv1.RegisterTraceServiceServer(s, c)
	go func() { _ = s.Serve(lis) }()
	t.Cleanup(s.Stop)
	return c
}

// TestTraces checks that the spans of a server reach the collector that the variables
// name, as children of the client's spans, and that they contain no stored data.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := collecting(t)
	p := start(t, t.TempDir(), []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.address, "BIND_ADDR=127.0.0.1:0", "BACKEND=memory",
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
	}, "serve", "-admin", "127.0.0.1:0")

	provider := sdktrace.NewTracerProvider()
	st, err := grpc.Open(t.Context(), p.address, grpc.Plaintext(), grpc.DialOptions(
		gogrpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagation.TraceContext{})))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	ctx, request := provider.Tracer("test").Start(t.Context(), "POST /deposit")
	event := store.Event{ID: store.NewID(), Type: "Opened", Data: []byte("s3cret")}
	if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: "ann@example.com"}, store.NoStream, []store.Event{event}); err != nil {
		t.Fatal(err)
	}
	request.End()
	for _, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	must(t, "", "healthcheck", "-address", p.address)
	page := get(t, "http://"+p.admin+"/metrics")
	if !strings.Contains(page, "eventstored_call_duration_seconds") {
		t.Errorf("the metrics are %s", page)
	}
	p.stop(t) // sends the last spans

	c.mu.Lock()
	defer c.mu.Unlock()
	named := map[string]*tracev1.Span{}
	for _, s := range c.spans {
		named[s.GetName()] = s
		if text := s.String(); strings.Contains(text, "s3cret") || strings.Contains(text, "ann@example") {
			t.Errorf("a span reveals stored data: %s", text)
		}
		if strings.Contains(s.GetName(), "Subscribe") || strings.Contains(strings.ToLower(s.GetName()), "health") {
			t.Errorf("there is a span %q", s.GetName())
		}
	}
	call, appended := named["eventstore.v1.EventStore/Append"], named["append Account"]
	if call == nil || appended == nil {
		t.Fatalf("the spans are %v", c.spans)
	}
	trace := request.SpanContext().TraceID()
	if string(call.GetTraceId()) != string(trace[:]) || string(appended.GetTraceId()) != string(trace[:]) ||
		string(appended.GetParentSpanId()) != string(call.GetSpanId()) || len(call.GetParentSpanId()) == 0 {
		t.Errorf("the spans are not of the trace of the client: %v, %v", call, appended)
	}
	if !slices.Contains(c.services, "eventstored") {
		t.Errorf("the services are %q", c.services)
	}
}

// TestTracesWanted checks when spans are sent.
func TestTracesWanted(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, tt := range map[string]struct {
		env  map[string]string
		want bool
		err  string
	}{
		"nothing":          {},
		"an endpoint":      {env: map[string]string{endpoint: "http://c:4317"}, want: true},
		"one for traces":   {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, want: true},
		"disabled":         {env: map[string]string{endpoint: "http://c:4317", "OTEL_SDK_DISABLED": "true"}},
		"no exporter":      {env: map[string]string{endpoint: "http://c:4317", "OTEL_TRACES_EXPORTER": "none"}},
		"another exporter": {env: map[string]string{endpoint: "http://c:4317", "OTEL_TRACES_EXPORTER": "zipkin"}, err: "OTEL_TRACES_EXPORTER is"},
		"gRPC":             {env: map[string]string{endpoint: "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, want: true},
		"HTTP":             {env: map[string]string{endpoint: "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, err: "use grpc"},
		"neither":          {env: map[string]string{"OTEL_SDK_DISABLED": "perhaps"}, err: "OTEL_SDK_DISABLED is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := serveSettings("serve", nil, env{getenv: func(key string) string { return tt.env[key] }})
			switch {
			case tt.err == "" && (err != nil || s.traces != tt.want):
				t.Errorf("traces: %t, %v; want %t", s.traces, err, tt.want)
			case tt.err != "" && (!errors.Is(err, errUsage) || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("the error is %v, want one about %q", err, tt.err)
			}
		})
	}
}

// TestNoCollector checks that the server works without its collector.
func TestNoCollector(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "BIND_ADDR=127.0.0.1:0", "BACKEND=memory"})
	if err := add(t.Context(), tenantOf(t, "grpc://"+p.address), "a"); err != nil {
		t.Error(err)
	}
	p.stop(t)
}
