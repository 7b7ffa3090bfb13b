package projection

import (
	"context"
	"log/slog"
	"time"
)

// Observer is told what a projection does, right after it did it. It is safe for
// concurrent use, and should be quick. If it panics, the projection goes on, and the
// panic is in [Progress].Fault.
type Observer interface {
	// Observe is told n.
	Observe(ctx context.Context, n Notice)
}

// Kind says what a Notice is about.
type Kind uint8

// What a projection tells its observer.
const (
	// OwnerBegan: this instance has the projection now.
	OwnerBegan Kind = iota + 1
	// OwnerEnded: this instance no longer has the projection.
	OwnerEnded
	// BatchApplied: events are in the read model.
	BatchApplied
	// EventFailed: an event could not be handled, and is tried again.
	EventFailed
	// EventParked: an event, and so its key, was parked.
	EventParked
	// KeyFreed: all parked events of a key are in the read model.
	KeyFreed
	// BuildReady: this version has caught up, and is the active one.
	BuildReady
	// RunFailed: something other than an event failed, and is tried again; or Run
	// ends with an error.
	RunFailed
)

// String returns k in words, such as "batch applied".
func (k Kind) String() string {
	names := [...]string{
		"unknown", "owner began", "owner ended", "batch applied", "event failed", "event parked", "key freed",
		"build ready", "run failed",
	}
	if int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// Notice is something that a projection did.
type Notice struct {
	Kind     Kind
	Build    string        // name and version
	Position uint64        // of the last event that it is about; 0: of none
	Events   int           // that were applied or parked
	Live     bool          // they were news, not history
	Key      string        // that was parked or freed
	Attempt  int           // that failed, 1 being the first
	Took     time.Duration // of the transaction; when failed, the pause before the next attempt
	Err      error         // why it failed, or was parked
}

// notify tells the observer n, if there is one.
func (p *Projection[T, E]) notify(ctx context.Context, n Notice) {
	if p.observer == nil {
		return
	}
	n.Build = p.build()
	err := guard("observer", func() error { p.observer.Observe(ctx, n); return nil })
	if err != nil {
		p.live.change(func(s *Progress) { s.Fault = err })
	}
}

// Log returns an observer that logs to l: failures as warnings, who owns what and when it
// is ready as information, batches for debugging.
func Log(l *slog.Logger) Observer { return logger{l} }

type logger struct{ to *slog.Logger }

// Observe logs n.
func (l logger) Observe(ctx context.Context, n Notice) {
	level := slog.LevelInfo
	switch {
	case n.Err != nil:
		level = slog.LevelWarn
	case n.Kind == BatchApplied:
		level = slog.LevelDebug
	}
	if !l.to.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("projection", n.Build), slog.Uint64("position", n.Position)}
	if n.Events > 0 {
		attrs = append(attrs, slog.Int("events", n.Events))
	}
	if n.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", n.Attempt))
	}
	if n.Took > 0 {
		attrs = append(attrs, slog.Duration("took", n.Took))
	}
	if n.Err != nil {
		attrs = append(attrs, slog.String("error", n.Err.Error()))
	}
	l.to.LogAttrs(ctx, level, n.Kind.String(), attrs...)
}
