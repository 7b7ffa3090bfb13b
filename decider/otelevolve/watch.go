package otelevolve

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
)

// WatchProjection records the metrics of p's progress, as far as this program knows, each
// time that metrics are collected, until stop is called. stop may be called again. Watch
// the copy that you call Run on, because the With… methods make copies.
func (t *Telemetry) WatchProjection(p interface{ Progress() projection.Progress }) (stop func()) {
	return t.watched.add(func(o metric.Observer, g *gauges) {
		is := p.Progress()
		by := metric.WithAttributeSet(attribute.NewSet(append(t.tenant, attribute.String(keyProjection, is.Build))...))
		o.ObserveInt64(g.projectionLag, behind(is.Position, is.Head), by)
		o.ObserveFloat64(g.projectionLagTime, is.Lag.Seconds(), by)
		o.ObserveInt64(g.projectionParked, int64(is.Parked), by)
		o.ObserveInt64(g.projectionState, 1, by, metric.WithAttributes(attribute.String(keyState, string(is.State))))
	})
}

// WatchProcess is [Telemetry.WatchProjection] for a process.
func (t *Telemetry) WatchProcess(p interface{ Progress() process.Progress }) (stop func()) {
	return t.watched.add(func(o metric.Observer, g *gauges) {
		is := p.Progress()
		by := metric.WithAttributeSet(attribute.NewSet(append(t.tenant, attribute.String(keyProcess, is.Process))...))
		o.ObserveInt64(g.processLag, behind(is.Position, is.Head), by)
		o.ObserveInt64(g.processTimers, int64(is.Timers), by)
		o.ObserveInt64(g.processWaiting, int64(is.Waiting), by)
		o.ObserveInt64(g.processQuarantined, int64(is.Quarantined), by)
		o.ObserveInt64(g.processState, 1, by, metric.WithAttributes(attribute.String(keyState, string(is.State))))
	})
}

// behind returns how many positions of the log are not handled.
func behind(position, head uint64) int64 {
	return int64(head - min(position, head)) //nolint:gosec // no log is that long
}

// watched holds the callbacks of gauges.
type watched struct {
	mu  sync.Mutex
	all []*look // guarded by mu; copied when it changes
}

type look struct {
	at func(metric.Observer, *gauges)
}

// add adds a callback.
func (w *watched) add(at func(metric.Observer, *gauges)) (stop func()) {
	l := &look{at}
	w.change(func(all []*look) []*look { return append(all, l) })
	return func() {
		w.change(func(all []*look) []*look {
			return slices.DeleteFunc(all, func(o *look) bool { return o == l })
		})
	}
}

func (w *watched) change(change func([]*look) []*look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = change(slices.Clone(w.all))
}

// register makes the gauges of meter, which call the callbacks.
func (w *watched) register(meter metric.Meter) {
	g, all := newGauges(meter)
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		w.mu.Lock()
		looks := w.all
		w.mu.Unlock()
		for _, l := range looks {
			l.at(o, g)
		}
		return nil
	}, all...)
	if err != nil {
		otel.Handle(err)
	}
}

// gauges holds the observable instruments.
type gauges struct {
	projectionLag, projectionParked, projectionState                            metric.Int64ObservableGauge
	projectionLagTime                                                           metric.Float64ObservableGauge
	processLag, processTimers, processWaiting, processQuarantined, processState metric.Int64ObservableGauge
}

// newGauges returns the gauges of meter, and a list of those that could be made.
func newGauges(meter metric.Meter) (*gauges, []metric.Observable) {
	var all []metric.Observable
	gauge := func(name, unit, about string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about))
		if err != nil {
			otel.Handle(err)
			return g
		}
		all = append(all, g)
		return g
	}
	age, err := meter.Float64ObservableGauge("evolve.projection.lag.time", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest event that is not handled yet."))
	if err != nil {
		otel.Handle(err)
	} else {
		all = append(all, age)
	}
	return &gauges{
		projectionLag:      gauge("evolve.projection.lag", "{event}", "Positions of the log that are not handled yet."),
		projectionLagTime:  age,
		projectionParked:   gauge("evolve.projection.parked", "{key}", "Parked keys."),
		projectionState:    gauge("evolve.projection.state", "{state}", "1 for the current state of the projection in this program."),
		processLag:         gauge("evolve.process.lag", "{event}", "Positions of the log that are not handled yet."),
		processTimers:      gauge("evolve.process.timers.pending", "{timer}", "Running timers."),
		processWaiting:     gauge("evolve.process.waiting", "{instance}", "Instances that wait and are retried."),
		processQuarantined: gauge("evolve.process.quarantined", "{instance}", "Instances that wait until they are released."),
		processState:       gauge("evolve.process.state", "{state}", "1 for the current state of the process in this program."),
	}, all
}
