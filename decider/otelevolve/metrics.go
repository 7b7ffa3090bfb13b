package otelevolve

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// instruments holds the instruments. Observable ones belong to watched.
type instruments struct {
	commandDuration metric.Float64Histogram
	commandAttempts metric.Int64Histogram
	conflicts       metric.Int64Counter
	loadDuration    metric.Float64Histogram
	loadEvents      metric.Int64Histogram
	appendDuration  metric.Float64Histogram
	appendEvents    metric.Int64Histogram
	snapshots       metric.Int64Counter

	projectionEvents    metric.Int64Counter
	projectionBatch     metric.Float64Histogram
	projectionFailures  metric.Int64Counter
	projectionTakeovers metric.Int64Counter

	processReactions metric.Int64Counter
	processCommands  metric.Int64Counter
	processFailures  metric.Int64Counter
}

// seconds returns the buckets of durations, and counts returns the buckets of numbers.
func seconds() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(
		0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
}

func counts() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000)
}

// maker makes instruments of a meter. An instrument that cannot be made measures nothing.
type maker struct{ metric.Meter }

func (m maker) duration(name, about string) metric.Float64Histogram {
	h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about), seconds())
	if err != nil {
		otel.Handle(err)
		return noop.Float64Histogram{}
	}
	return h
}

func (m maker) histogram(name, unit, about string) metric.Int64Histogram {
	h, err := m.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(about), counts())
	if err != nil {
		otel.Handle(err)
		return noop.Int64Histogram{}
	}
	return h
}

func (m maker) counter(name, unit, about string) metric.Int64Counter {
	c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
	if err != nil {
		otel.Handle(err)
		return noop.Int64Counter{}
	}
	return c
}

func newInstruments(meter metric.Meter) *instruments {
	m := maker{meter}
	return &instruments{
		commandDuration: m.duration("evolve.command.duration", "Durations of commands."),
		commandAttempts: m.histogram("evolve.command.attempts", "{attempt}", "Attempts per command."),
		conflicts:       m.counter("evolve.conflicts", "{conflict}", "Appends to streams that had moved on."),
		loadDuration:    m.duration("evolve.load.duration", "Durations of reading and folding a stream."),
		loadEvents:      m.histogram("evolve.load.events", "{event}", "Events read by a load."),
		appendDuration:  m.duration("evolve.append.duration", "Durations of appends."),
		appendEvents:    m.histogram("evolve.append.events", "{event}", "Events in an append."),
		snapshots:       m.counter("evolve.snapshots", "{snapshot}", "Snapshots that were saved, failed or missed."),

		projectionEvents:    m.counter("evolve.projection.events", "{event}", "Events that projections have handled."),
		projectionBatch:     m.duration("evolve.projection.batch.duration", "Durations of transactions."),
		projectionFailures:  m.counter("evolve.projection.failures", "{failure}", "Failed attempts."),
		projectionTakeovers: m.counter("evolve.projection.takeovers", "{takeover}", "How often this program became the owner."),

		processReactions: m.counter("evolve.process.reactions", "{reaction}", "Reactions to events."),
		processCommands:  m.counter("evolve.process.commands", "{command}", "Commands that were sent."),
		processFailures:  m.counter("evolve.process.failures", "{failure}", "Failures that are not those of an instance."),
	}
}
