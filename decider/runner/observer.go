package runner

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evolvego/evolve/store"
)

// Observer is told what a runner does, right after it did it and before the call
// goes on. It must be safe for concurrent use, and should be quick. One that panics
// changes nothing of what a call does or returns: it is told of that, as
// [ObserverFailed], and if it panics again slog.Default is.
type Observer interface {
	// Observe is told n, on the context of the call, or of a batch of a [Group]
	// for what is done for several calls at once.
	Observe(ctx context.Context, n Notice)
}

// Beginner is an [Observer] that is also told when something begins, to put a span into
// its context, say.
type Beginner interface {
	// Begin is told that a command, the reading of a stream or a batch of a Group
	// begins: n is of the kind CommandHandled, StreamLoaded or BatchHandled, and
	// Observe is told a notice of that kind when it ends. Begin returns the context
	// that the store, [Runner.WithMetadata] and Observe get until then, which must
	// come from ctx. If Begin panics, that is ctx.
	Begin(ctx context.Context, n Notice) context.Context
}

// Kind says what a Notice is about.
type Kind uint8

// What a runner tells its observer. It is told of failures too: see [Notice].Err.
const (
	// StreamLoaded: events of a stream were read and folded.
	StreamLoaded Kind = iota + 1
	// EventsAppended: events were sent to the store.
	EventsAppended
	// ConflictFound: events were sent to the store, and the stream had moved on.
	ConflictFound
	// CommandRetried: another attempt begins, after a wait.
	CommandRetried
	// CommandHandled: a call of Handle or Transact ends.
	CommandHandled
	// SnapshotSaved: a snapshot was saved.
	SnapshotSaved
	// SnapshotMissed: a snapshot could not be used, and events are read instead.
	SnapshotMissed
	// BatchHandled: a batch of a Group ends; its commands were handled together.
	BatchHandled
	// ObserverFailed: the observer panicked when it was told something.
	ObserverFailed
)

// String returns k in words, such as "stream loaded".
func (k Kind) String() string {
	switch k {
	case StreamLoaded:
		return "stream loaded"
	case EventsAppended:
		return "events appended"
	case ConflictFound:
		return "conflict found"
	case CommandRetried:
		return "command retried"
	case CommandHandled:
		return "command handled"
	case SnapshotSaved:
		return "snapshot saved"
	case SnapshotMissed:
		return "snapshot missed"
	case BatchHandled:
		return "batch handled"
	case ObserverFailed:
		return "observer failed"
	}
	return "unknown"
}

// Notice is something that a runner did.
type Notice struct {
	Kind      Kind
	Stream    store.Stream
	Command   string        // the Go type of the command; empty for Transact, Load and a batch
	CommandID string        // the one that the call was given; empty if none
	Version   uint64        // of the stream after it; 0 if unknown
	Events    int           // that were read, sent, or are the command's; of a batch, those of all its commands
	Attempt   int           // it belongs to, 1 being the first; when retried, the one that begins
	Origin    Origin        // of a load: what the call began with
	Replayed  bool          // the events were recorded before
	Took      time.Duration // how long it took; when retried, the wait before the attempt
	Err       error         // why it did not succeed, or why it is tried again; nil if it did
}

// Origin says what a call began with, before it read the stream.
type Origin string

// Where the state comes from that a call begins with.
const (
	FromBeginning Origin = ""         // of the stream
	FromCache     Origin = "cache"    // see [Runner.WithCache]
	FromSnapshot  Origin = "snapshot" // see [Runner.WithSnapshots]
	FromMemento   Origin = "memento"  // see [LoadFrom]
)

// message returns what happened, in words.
func (n *Notice) message() string {
	switch {
	case n.Err == nil:
	case n.Kind == StreamLoaded:
		return "stream not loaded"
	case n.Kind == EventsAppended:
		return "events not appended"
	case n.Kind == SnapshotSaved:
		return "snapshot not saved"
	case n.Kind == BatchHandled:
		return "batch failed"
	case n.Kind == CommandHandled && errors.Is(n.Err, ErrRejected):
		return "command rejected"
	case n.Kind == CommandHandled:
		return "command failed"
	}
	return n.Kind.String()
}

// WithObserver returns a copy of r that tells o what it does; nil is nobody. An o
// that is a [Beginner] is also told before.
func (r *Runner[C, S, E]) WithObserver(o Observer) *Runner[C, S, E] {
	c := *r
	c.observer = o
	c.beginner, _ = o.(Beginner)
	return &c
}

// now returns the time if anybody will look at it.
func (r *Runner[C, S, E]) now() time.Time {
	if r.cache == nil && r.observer == nil {
		return time.Time{}
	}
	return r.clock()
}

// Log returns an observer that logs to l: a warning for what did not succeed, and
// information for a command that was handled or rejected; the rest is for debugging.
func Log(l *slog.Logger) Observer { return logger{l} }

type logger struct{ to *slog.Logger }

// Observe logs n.
func (l logger) Observe(ctx context.Context, n Notice) {
	level := n.level()
	if !l.to.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("stream", n.Stream.String())}
	if n.Command != "" {
		attrs = append(attrs, slog.String("command", n.Command))
	}
	if n.CommandID != "" {
		attrs = append(attrs, slog.String("command_id", n.CommandID))
	}
	attrs = append(attrs,
		slog.Uint64("version", n.Version), slog.Int("events", n.Events), slog.Int("attempt", n.Attempt), slog.Duration("took", n.Took))
	if n.Replayed {
		attrs = append(attrs, slog.Bool("replayed", true))
	}
	if n.Err != nil {
		attrs = append(attrs, slog.String("error", n.Err.Error()))
	}
	l.to.LogAttrs(ctx, level, n.message(), attrs...)
}

// level returns how much n matters.
func (n *Notice) level() slog.Level {
	switch {
	case n.Err == nil && n.Kind != CommandHandled, n.Kind == ConflictFound, n.Kind == CommandRetried:
		return slog.LevelDebug
	case n.Err == nil, errors.Is(n.Err, ErrRejected):
		return slog.LevelInfo
	}
	return slog.LevelWarn
}
