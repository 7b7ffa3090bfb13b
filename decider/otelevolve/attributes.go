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

// Attributes of spans and metrics.
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

// number returns an attribute for an unsigned count.
func number(key string, n uint64) attribute.KeyValue {
	return attribute.Int64(key, int64(n)) //nolint:gosec // no log is that long
}

// consumer returns the attributes of a span that handles recorded events.
func consumer(group string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("evolve"), semconv.MessagingOperationTypeProcess,
		semconv.MessagingConsumerGroupName(group),
	}
}

func messageID(id string) attribute.KeyValue { return semconv.MessagingMessageID(id) }

func batchCount(n int) attribute.KeyValue { return semconv.MessagingBatchMessageCount(n) }

// label holds the values that the attributes of a measurement are made of.
type label struct{ name, a, b, c string }

// options holds the attributes of a measurement in the form that instruments take.
type options struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

// measured holds the options for commands of one Go type on streams of one type. They are
// looked up by only these two names, because a lookup by five costs as much as recording.
type measured struct {
	streamType, command string

	handle, load, batch *start // of spans

	stream   *options // for the stream type alone
	commands few      // by outcome and type of error
	appends  few      // by outcome
}

// few is a small set of options, by one or two names. Readers take no lock.
type few struct{ all atomic.Pointer[[]named] }

type named struct {
	a, b string
	*options
}

// get returns the options with these names, and makes them if there are none.
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
		f.all.CompareAndSwap(all, &next) // if another goroutine was faster, the next call stores these
	}
	return o
}

// labels stores options, which cost much more to make than to use.
type labels struct{ copied[label, *options] }

// mostKept limits the values in a copied. A program has fewer, but clients choose the
// stream types of a server.
const mostKept = 1000

// copied is a map that is read without a lock, and copied when it grows.
type copied[K comparable, V any] struct {
	mu  sync.Mutex // held while copying
	all atomic.Pointer[map[K]V]
}

// get returns the value of key, and makes it if there is none.
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

// byName returns the options for a stream type, a projection or a process, as kind says,
// and one more attribute, named by about.
func (t *Telemetry) byName(kind, name, about, what string) *options {
	return t.labels.get(label{name: kind, a: name, b: about, c: what}, func() *options {
		attributes := []attribute.KeyValue{attribute.String(kind, name)}
		if about != "" {
			attributes = append(attributes, attribute.String(about, what))
		}
		return t.with(attributes...)
	})
}

// measured returns the options for a command. It remembers those of the last command,
// because in most programs an observer belongs to one runner.
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

// start is the name of a span and its initial options.
type start struct {
	name    string
	options []trace.SpanStartOption
}

// newStart returns the start of a span of name, about a stream type and a command. It
// leaves out those that are empty.
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

// start returns the start of a store span about a stream type.
func (t *Telemetry) start(c call, streamType string) *start {
	return t.starts[c].get(streamType, func() *start { return t.newStart(c.String(), streamType, "") })
}
