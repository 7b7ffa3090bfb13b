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
type label struct{ name, a, b, c string }

// options is the attributes of a measurement, as what instruments take.
type options struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

// measured is the options for commands of one Go type on streams of one type. They are
// found by the names of both alone, because a lookup by five costs as much as recording.
type measured struct {
	streamType, command string

	handle, load, batch *start // of spans

	stream   *options // those of the stream type alone
	commands few      // by their outcomes, and the types of their errors
	appends  few      // by their outcomes
}

// few is options of which there are only a few, by one or two names. It is read without a
// lock.
type few struct{ all atomic.Pointer[[]named] }

type named struct {
	a, b string
	*options
}

// get returns the options with these names, which makes them if there are none.
func (f *few) get(a, b string, makes func() *options) *options {
	all := f.all.Load()
	if all != nil {
		for i := range *all {
			if n := &(*all)[i]; n.a == a && n.b == b {
				return n.options
			}
		}
	}
	o := makes()
	next := []named{{a, b, o}}
	if all != nil {
		next = append(slices.Clip(*all), next...)
	}
	if len(next) <= mostKept {
		f.all.CompareAndSwap(all, &next) // if another was faster, the next one keeps these
	}
	return o
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

// measured returns the options for a command. Those of the last one are at hand, because an
// observer is that of one runner in most programs.
func (c commands) measured(streamType, command string) *measured {
	m := c.last.Load()
	if m != nil && m.streamType == streamType && m.command == command {
		return m
	}
	m = c.t.commands.get([2]string{streamType, command}, func() *measured {
		return &measured{
			streamType: streamType, command: command, stream: c.t.byStream(streamType),
			handle: c.t.newStart("handle", streamType, command), load: c.t.newStart("load", streamType, command),
			batch: c.t.newStart("batch", streamType, command),
		}
	})
	c.last.Store(m)
	return m
}

// byCommand returns the options for a command that has ended.
func (t *Telemetry) byCommand(m *measured, outcome, errorType string) *options {
	return m.commands.get(outcome, errorType, func() *options {
		attributes := []attribute.KeyValue{attribute.String(keyStreamType, m.streamType), attribute.String(keyOutcome, outcome)}
		if m.command != "" {
			attributes = append(attributes, attribute.String(keyCommandType, m.command))
		}
		if errorType != "" {
			attributes = append(attributes, attribute.String(keyErrorType, errorType))
		}
		return t.with(attributes...)
	})
}

// byAppend returns the options for an append of a command.
func (t *Telemetry) byAppend(m *measured, outcome string) *options {
	return m.appends.get(outcome, "", func() *options { return t.byName(keyStreamType, m.streamType, keyOutcome, outcome) })
}

// start is the name of a span, and what it begins with.
type start struct {
	name    string
	options []trace.SpanStartOption
}

// newStart returns how a span of name begins, that is about a stream type and a command; one
// that is empty is left out.
func (t *Telemetry) newStart(name, streamType, command string) *start {
	attributes := slices.Clone(t.tenant)
	if streamType != "" {
		attributes = append(attributes, attribute.String(keyStreamType, streamType))
		name += " " + streamType
	}
	if command != "" {
		attributes = append(attributes, attribute.String(keyCommandType, command))
	}
	return &start{name: name, options: []trace.SpanStartOption{trace.WithAttributes(attributes...)}}
}

// start returns how a span of the store begins, that is about a stream type.
func (t *Telemetry) start(c call, streamType string) *start {
	return t.starts[c].get(streamType, func() *start { return t.newStart(c.String(), streamType, "") })
}
