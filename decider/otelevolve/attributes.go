package otelevolve

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of spans and metrics.
const (
	keyStreamType  = "evolve.stream.type"
	keyStreamID    = "evolve.stream.id"
	keyCommandType = "evolve.command.type"
	keyOutcome     = "evolve.outcome"
	keyAttempts    = "evolve.attempts"
	keyAttempt     = "evolve.attempt"
	keyWait        = "evolve.wait"
	keyEvents      = "evolve.events"
	keyVersion     = "evolve.version"
	keyPosition    = "evolve.position"
	keyExpected    = "evolve.expected"
	keyRejection   = "evolve.rejection"
	keySnapshot    = "evolve.snapshot"
	keyCache       = "evolve.cache"
	keyProjection  = "evolve.projection"
	keyProcess     = "evolve.process"
	keyInstance    = "evolve.instance"
	keyCommands    = "evolve.commands"
	keyTimers      = "evolve.timers"
	keyLag         = "evolve.lag"
	keyRebuild     = "evolve.rebuild"
	keyResult      = "evolve.result"
	keyReason      = "evolve.reason"
	keyState       = "evolve.state"
	keyTenant      = "evolve.tenant"
	keyErrorType   = string(semconv.ErrorTypeKey)
)

// number returns an attribute for what is counted without a sign.
func number(key string, n uint64) attribute.KeyValue {
	return attribute.Int64(key, int64(n)) //nolint:gosec // no log is that long
}

// consumer returns the attributes of a span that handles what was recorded before.
func consumer(group string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("evolve"), semconv.MessagingOperationTypeProcess,
		semconv.MessagingConsumerGroupName(group),
	}
}

func messageID(id string) attribute.KeyValue { return semconv.MessagingMessageID(id) }

func batchCount(n int) attribute.KeyValue { return semconv.MessagingBatchMessageCount(n) }

// label is the attributes of a measurement, as what they are made of.
type label struct{ name, a, b, c, errorType string }

// options is the attributes of a measurement, as what instruments take.
type options struct {
	record []metric.RecordOption
	add    []metric.AddOption
	stream *options // of a command: those of its stream type alone
}

// labels keeps options, which cost much more to make than to use.
type labels struct{ copied[label, *options] }

// mostKept is how many values a copied keeps. A program has fewer, but the stream types of
// a server are chosen by its clients.
const mostKept = 1000

// copied is a map that is read without a lock, and copied when it grows.
type copied[K comparable, V any] struct {
	mu  sync.Mutex // held by who copies
	all atomic.Pointer[map[K]V]
}

// get returns the value of key, which makes it if there is none.
func (c *copied[K, V]) get(key K, makes func() V) V {
	if all := c.all.Load(); all != nil {
		if v, ok := (*all)[key]; ok {
			return v
		}
	}
	return c.add(key, makes())
}

func (c *copied[K, V]) add(key K, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[K]V{}
	if all := c.all.Load(); all != nil {
		if there, ok := (*all)[key]; ok {
			return there
		}
		if len(*all) >= mostKept {
			return v
		}
		next = maps.Clone(*all)
	}
	next[key] = v
	c.all.Store(&next)
	return v
}

// with returns the options for attributes.
func (t *Telemetry) with(attributes ...attribute.KeyValue) *options {
	set := metric.WithAttributeSet(attribute.NewSet(append(attributes, t.tenant...)...))
	return &options{record: []metric.RecordOption{set}, add: []metric.AddOption{set}}
}

// byStream returns the options for a stream type.
func (t *Telemetry) byStream(streamType string) *options {
	key := label{name: keyStreamType, a: streamType}
	return t.labels.get(key, func() *options { return t.with(attribute.String(keyStreamType, streamType)) })
}

// byName returns the options for a stream type, a projection or a process, which kind says,
// and something more, which about says.
func (t *Telemetry) byName(kind, name, about, what string) *options {
	return t.labels.get(label{name: kind, a: name, b: about, c: what}, func() *options {
		attributes := []attribute.KeyValue{attribute.String(kind, name)}
		if about != "" {
			attributes = append(attributes, attribute.String(about, what))
		}
		return t.with(attributes...)
	})
}

// byCommand returns the options for a command.
func (t *Telemetry) byCommand(streamType, command, outcome, errorType string) *options {
	key := label{name: keyCommandType, a: streamType, b: command, c: outcome, errorType: errorType}
	return t.labels.get(key, func() *options {
		attributes := []attribute.KeyValue{attribute.String(keyStreamType, streamType), attribute.String(keyOutcome, outcome)}
		if command != "" {
			attributes = append(attributes, attribute.String(keyCommandType, command))
		}
		if errorType != "" {
			attributes = append(attributes, attribute.String(keyErrorType, errorType))
		}
		o := t.with(attributes...)
		o.stream = t.byStream(streamType)
		return o
	})
}

// start is the name of a span, and what it begins with.
type start struct {
	name    string
	options []trace.SpanStartOption
}

// starts keeps starts, by the name of a span, what it is about and a command.
type starts struct {
	copied[[3]string, *start]
}

// start returns how a span of name begins, that is about a stream type and, if it is not
// empty, a command.
func (t *Telemetry) start(name, streamType, command string) *start {
	return t.starts.get([3]string{name, streamType, command}, func() *start {
		attributes := slices.Clone(t.tenant)
		spanName := name
		if streamType != "" {
			attributes = append(attributes, attribute.String(keyStreamType, streamType))
			spanName += " " + streamType
		}
		if command != "" {
			attributes = append(attributes, attribute.String(keyCommandType, command))
		}
		return &start{name: spanName, options: []trace.SpanStartOption{trace.WithAttributes(attributes...)}}
	})
}
