package main

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/server"
)

// metrics are the metrics of the server for Prometheus. They have no label for tenants,
// because there may be too many.
type metrics struct {
	registry *prometheus.Registry
	running  *prometheus.GaugeVec
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	events   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	appends  prometheus.Histogram
	replayed prometheus.Counter
}

func newMetrics(backend store.Log) *metrics {
	method := []string{"method"}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "eventstored_calls_running", Help: "Calls in progress.",
		}, method),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventstored_calls_total", Help: "Calls that have ended, by their status code.",
		}, []string{"method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "eventstored_call_duration_seconds", Help: "Durations of calls.",
			Buckets: []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, method),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventstored_events_total", Help: "Events recorded by Append, or sent.",
		}, method),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventstored_payload_bytes_total", Help: "Bytes in the payloads of these events.",
		}, method),
		appends: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "eventstored_append_events", Help: "Events per append.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000},
		}),
		replayed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventstored_replayed_total", Help: "Appends whose events were already recorded.",
		}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "eventstored_build_info", Help: "Always 1; the labels describe the running program.",
		ConstLabels: prometheus.Labels{"version": buildVersion(), "go": runtime.Version()},
	}, func() float64 { return 1 })
	up := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "eventstored_backend_up", Help: "1 if the store answers within a second, otherwise 0.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		if _, err := backend.Head(ctx); err != nil {
			return 0
		}
		return 1
	})
	m.registry.MustRegister(m.running, m.calls, m.duration, m.events, m.bytes, m.appends, m.replayed, build, up,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Begin is [server.Observer.Begin].
func (m *metrics) Begin(_ context.Context, c server.Call) {
	m.running.WithLabelValues(c.Method).Inc()
}

// End is [server.Observer.End].
func (m *metrics) End(ctx context.Context, c server.Call) {
	m.running.WithLabelValues(c.Method).Dec()
	m.calls.WithLabelValues(c.Method, c.Code.String()).Inc()
	observe(ctx, m.duration.WithLabelValues(c.Method), c.Duration)
	if c.Replayed { // nothing was recorded
		m.replayed.Inc()
		return
	}
	m.events.WithLabelValues(c.Method).Add(float64(c.Events))
	m.bytes.WithLabelValues(c.Method).Add(float64(c.Bytes))
	if c.Method == "Append" && c.Code == codes.OK {
		m.appends.Observe(float64(c.Events))
	}
}

// observe adds d to h. If its trace is sampled, the trace is the exemplar.
func observe(ctx context.Context, h prometheus.Observer, d time.Duration) {
	span := trace.SpanContextFromContext(ctx)
	exemplars, ok := h.(prometheus.ExemplarObserver)
	if !ok || !span.IsSampled() {
		h.Observe(d.Seconds())
		return
	}
	exemplars.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": span.TraceID().String()})
}

// handler serves the metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
