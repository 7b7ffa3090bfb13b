package process

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evolvego/evolve/store"
)

// Observer is told what a process does, right after it did it. It is safe for
// concurrent use, and should be quick. If it panics, the process goes on, and the panic
// is in [Progress].Fault.
type Observer interface {
	// Observe is told n.
	Observe(ctx context.Context, n Notice)
}

// Beginner is an [Observer] that is also told when an instance begins to react, to put a
// span into the context of its commands, say.
type Beginner interface {
	// Begin is told that an instance is about to react to cause: n is of the kind
	// Reacted. Observe is told Reacted or ReactionFailed when that ends. Begin returns
	// the context that Send and Observe get until then, which must come from ctx. If
	// Begin panics, that is ctx. Cause must not be changed, nor kept.
	Begin(ctx context.Context, n Notice, cause *store.Recorded) context.Context
}

// Kind says what a Notice is about.
type Kind uint8

// What a process tells its observer.
const (
	// OwnerBegan: this instance of the program runs the process now.
	OwnerBegan Kind = iota + 1
	// OwnerEnded: this instance of the program no longer runs the process.
	OwnerEnded
	// TookOver: this version reacts from here on, and no earlier one does; or it has
	// been restored.
	TookOver
	// Reacted: an instance has reacted to an event, and its commands were sent.
	Reacted
	// TimerFired: the event of a timer is in the log.
	TimerFired
	// InstanceFailed: an instance could not react, or its commands could not be sent.
	// It waits, and is tried again.
	InstanceFailed
	// InstanceQuarantined: the same, and it is not tried again until it is released.
	InstanceQuarantined
	// InstanceReleased: an instance is tried again, because somebody said so.
	InstanceReleased
	// InputSkipped: an instance goes on behind an input, because somebody said so.
	InputSkipped
	// InstanceAbandoned: an instance is over, because somebody said so.
	InstanceAbandoned
	// RunFailed: something else failed, and is tried again; or Run ends with an error.
	RunFailed
	// ReactionFailed: an instance could not react, or one of its commands could not be
	// sent. InstanceFailed or InstanceQuarantined follows once that is saved, and
	// neither if the process ends.
	ReactionFailed
)

// errPanicked is what the observer is told of a reaction that ends in a panic.
var errPanicked = errors.New("process: the reaction panicked")

// String returns k in words, such as "timer fired".
func (k Kind) String() string {
	names := [...]string{
		"unknown", "owner began", "owner ended", "took over", "reacted", "timer fired", "instance failed",
		"instance quarantined", "instance released", "input skipped", "instance abandoned", "run failed",
		"reaction failed",
	}
	if int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// Notice is something that a process did.
type Notice struct {
	Kind     Kind
	Process  string // name and version
	Instance string
	Position uint64        // of the event that it is about; 0: of none
	EventID  string        // of that event
	Commands int           // that were sent
	Timers   int           // of the instance that run now
	Attempt  int           // that failed, 1 being the first
	Took     time.Duration // for the reaction and its commands
	Err      error         // why it failed
}

// notify tells the observer n, if there is one.
func (r *Runtime[T, E, S, C]) notify(ctx context.Context, n Notice) {
	if r.observer == nil {
		return
	}
	n.Process = r.build()
	err := guard("observer", func() error { r.observer.Observe(ctx, n); return nil })
	if err != nil {
		r.live.change(func(p *Progress) { p.Fault = err })
	}
}

// begin tells the observer that an instance is about to react, if it is to be told, and
// returns the context to go on with.
func (r *Runtime[T, E, S, C]) begin(ctx context.Context, n Notice, cause *store.Recorded) context.Context {
	b, ok := r.observer.(Beginner)
	if !ok {
		return ctx
	}
	n.Process = r.build()
	began := ctx
	err := guard("observer", func() error {
		began = b.Begin(ctx, n, cause) //nolint:fatcontext // there is one for each reaction
		return nil
	})
	if err != nil {
		r.live.change(func(p *Progress) { p.Fault = err })
		return ctx
	}
	return began
}

// Log returns an observer that logs to l: failures as warnings, what somebody did and
// who runs the process as information, reactions and timers for debugging.
func Log(l *slog.Logger) Observer { return logger{l} }

type logger struct{ to *slog.Logger }

// Observe logs n.
func (l logger) Observe(ctx context.Context, n Notice) {
	level := slog.LevelInfo
	switch {
	case n.Kind == Reacted, n.Kind == TimerFired, n.Kind == ReactionFailed:
		level = slog.LevelDebug
	case n.Err != nil:
		level = slog.LevelWarn
	}
	if !l.to.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("process", n.Process)}
	if n.Instance != "" {
		attrs = append(attrs, slog.String("instance", n.Instance))
	}
	if n.Position > 0 {
		attrs = append(attrs, slog.Uint64("position", n.Position))
	}
	if n.EventID != "" {
		attrs = append(attrs, slog.String("event", n.EventID))
	}
	if n.Kind == Reacted {
		attrs = append(attrs, slog.Int("commands", n.Commands), slog.Int("timers", n.Timers), slog.Duration("took", n.Took))
	}
	if n.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", n.Attempt))
	}
	if n.Err != nil {
		attrs = append(attrs, slog.String("error", n.Err.Error()))
	}
	l.to.LogAttrs(ctx, level, n.Kind.String(), attrs...)
}
