package runner

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evolvego/evolve/store"
)

// Observer is told what a runner does, right after it did it and before the call
// goes on. It is safe for concurrent use, and should be quick.
type Observer interface {
	// Observe is told n, on the context of the call, or of a [Group] for what
	// is done for several calls at once.
	Observe(ctx context.Context, n Notice)
}

// Kind says what a Notice is about.
type Kind uint8

// What a runner tells its observer.
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
	}
	return "unknown"
}

// Notice is something that a runner did.
type Notice struct {
	Kind     Kind
	Stream   store.Stream
	Version  uint64        // of the stream after it; 0 if unknown
	Events   int           // that were read, sent, or are the command's
	Attempt  int           // it belongs to, 1 being the first; when retried, the one that begins
	Replayed bool          // the events were recorded before
	Took     time.Duration // how long it took; when retried, the wait before the attempt
	Err      error         // why it did not succeed, or why it is tried again; nil if it did
}

// WithObserver returns a copy of r that tells o what it does; nil is nobody.
func (r *Runner[C, S, E]) WithObserver(o Observer) *Runner[C, S, E] {
	c := *r
	c.observer = o
	return &c
}

// notify tells the observer n, if there is one.
func (r *Runner[C, S, E]) notify(ctx context.Context, n Notice) {
	if r.observer != nil {
		r.observer.Observe(ctx, n)
	}
}

// now returns the time if anybody will look at it.
func (r *Runner[C, S, E]) now() time.Time {
	if r.cache == nil && r.observer == nil {
		return time.Time{}
	}
	return r.clock()
}

// Log returns an observer that logs to l: what did not succeed as a warning, a
// rejection and a handled command as information, the rest for debugging.
func Log(l *slog.Logger) Observer { return logger{l} }

type logger struct{ to *slog.Logger }

// Observe logs n.
func (l logger) Observe(ctx context.Context, n Notice) {
	level := n.level()
	if !l.to.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("stream", n.Stream.String()),
		slog.Uint64("version", n.Version),
		slog.Int("events", n.Events),
		slog.Int("attempt", n.Attempt),
		slog.Duration("took", n.Took),
	}
	if n.Replayed {
		attrs = append(attrs, slog.Bool("replayed", true))
	}
	if n.Err != nil {
		attrs = append(attrs, slog.String("error", n.Err.Error()))
	}
	l.to.LogAttrs(ctx, level, n.Kind.String(), attrs...)
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
