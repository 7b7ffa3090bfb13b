package main

import (
	"context"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/evolvego/evolve/store/grpc/server"
)

// metrics counts what the server does, for Prometheus. Tenants are not told apart:
// there may be too many of them.
type metrics struct {
	registry *prometheus.Registry
	running  *prometheus.GaugeVec
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	events   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
}

func newMetrics() *metrics {
	method := []string{"method"}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "eventstored_calls_running", Help: "Calls that are being handled.",
		}, method),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventstored_calls_total", Help: "Calls that were handled, by how they ended.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "eventstored_call_seconds", Help: "How long calls took.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}, method),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventstored_events_total", Help: "Events that were recorded, by Append, or sent.",
		}, method),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventstored_payload_bytes_total", Help: "Bytes of the payloads of those events.",
		}, method),
	}
	m.registry.MustRegister(m.running, m.calls, m.seconds, m.events, m.bytes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Begin is [server.Observer.Begin].
func (m *metrics) Begin(_ context.Context, c server.Call) {
	m.running.WithLabelValues(c.Method).Inc()
}

// End is [server.Observer.End].
func (m *metrics) End(_ context.Context, c server.Call) {
	m.running.WithLabelValues(c.Method).Dec()
	m.calls.WithLabelValues(c.Method, c.Code.String()).Inc()
	m.seconds.WithLabelValues(c.Method).Observe(c.Duration.Seconds())
	m.events.WithLabelValues(c.Method).Add(float64(c.Events))
	m.bytes.WithLabelValues(c.Method).Add(float64(c.Bytes))
}

// handler serves /metrics, and profiles under /debug/pprof/.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
