package runner

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evolvego/evolve/store"
)

// Observer is notified of what a runner does, right after it happens and before the call
// continues. It must be safe for concurrent use, and should be quick. If it panics, the
// call and its result do not change: the observer is notified of the panic, as
// [ObserverFailed]. If it panics again, slog.Default logs that.
type Observer interface {
	// Observe receives a notice, with the context of the call, or of a batch of a [Group]
	// for work that is done for several calls at once.
	Observe(ctx context.Context, n Notice)
}

// Beginner is an [Observer] that is also notified when something begins, for example to
// put a span into the context.
type Beginner interface {
	// Begin is called before a command is handled, a stream is read or a batch of a Group
	// is handled: n has the kind CommandHandled, StreamLoaded or BatchHandled. Observe
	// receives a notice of that kind at the end. Begin returns the context that the
	// store, [Runner.WithMetadata] and Observe get until then, which must derive from
	// ctx. If Begin panics, they get ctx.
	Begin(ctx context.Context, n Notice) context.Context
}

// Kind is the kind of a Notice.
type Kind uint8

// The kinds of notices. Failures are reported too: see [Notice].Err.
const (
	// StreamLoaded: events of a stream were read and folded.
	StreamLoaded Kind = iota + 1
	// EventsAppended: events were sent to the store.
	EventsAppended
	// ConflictFound: events were sent to the store, but the stream had moved on.
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
	// ObserverFailed: the observer panicked while it received a notice.
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

// Notice describes something that a runner did.
type Notice struct {
	Kind      Kind
	Stream    store.Stream
	Command   string        // the Go type of the command; empty for Transact, Load and a batch
	CommandID string        // the command ID of the call; empty if it had none
	Version   uint64        // of the stream afterwards; 0 if unknown
	Events    int           // that were read, sent, or belong to the command; of a batch, those of all its commands
	Attempt   int           // counted from 1; when retried, the attempt that begins
	Origin    Origin        // of a load: the state that the call began with
	Replayed  bool          // the events were recorded before
	Took      time.Duration // the duration; when retried, the pause before the attempt
	Err       error         // why it failed, or why it is retried; nil if it succeeded
}

// Origin says which state a call began with before it read the stream.
type Origin string

// Origins of the state that a call begins with.
const (
	FromBeginning Origin = ""         // of the stream
	FromCache     Origin = "cache"    // see [Runner.WithCache]
	FromSnapshot  Origin = "snapshot" // see [Runner.WithSnapshots]
	FromMemento   Origin = "memento"  // see [LoadFrom]
)

// message returns a description of what happened.
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

// WithObserver returns a copy of r that notifies o of what it does. Nil means no
// observer. If o is a [Beginner], it is also notified when work begins.
func (r *Runner[C, S, E]) WithObserver(o Observer) *Runner[C, S, E] {
	c := *r
	c.observer = o
	c.beginner, _ = o.(Beginner)
	return &c
}

// now returns the time if anything will use it.
func (r *Runner[C, S, E]) now() time.Time {
	if r.cache == nil && r.observer == nil {
		return time.Time{}
	}
	return r.clock()
}

// Log returns an observer that logs to l: failures as warnings, handled and rejected
// commands as information, and everything else for debugging.
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

// level returns the log level of n.
func (n *Notice) level() slog.Level {
	switch {
	case n.Err == nil && n.Kind != CommandHandled, n.Kind == ConflictFound, n.Kind == CommandRetried:
		return slog.LevelDebug
	case n.Err == nil, errors.Is(n.Err, ErrRejected):
		return slog.LevelInfo
	}
	return slog.LevelWarn
}
