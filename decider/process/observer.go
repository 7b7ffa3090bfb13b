package process

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evolvego/evolve/store"
)

// Observer is notified of what a process does, right after it happens. It must be safe
// for concurrent use, and should be quick. If it panics, the process continues, and the
// panic is in [Progress].Fault.
type Observer interface {
	// Observe receives a notice.
	Observe(ctx context.Context, n Notice)
}

// Beginner is an [Observer] that is also notified when an instance begins to react, for
// example to put a span into the context of its commands.
type Beginner interface {
	// Begin is called before an instance reacts to cause: n has the kind Reacted. Observe
	// receives Reacted or ReactionFailed when the reaction ends. Begin returns the
	// context that Send and Observe get until then, which must derive from ctx. If Begin
	// panics, they get ctx. Do not change or keep cause.
	Begin(ctx context.Context, n Notice, cause *store.Recorded) context.Context
}

// Kind is the kind of a Notice.
type Kind uint8

// The kinds of notices.
const (
	// OwnerBegan: this instance of the program runs the process now.
	OwnerBegan Kind = iota + 1
	// OwnerEnded: this instance of the program no longer runs the process.
	OwnerEnded
	// TookOver: this version is active from here on, and no earlier one is; or it has
	// been restored.
	TookOver
	// Reacted: an instance has reacted to an event, and its commands were sent.
	Reacted
	// TimerFired: the event of a timer is in the log.
	TimerFired
	// InstanceFailed: an instance could not react, or its commands could not be sent. It
	// waits, and is retried.
	InstanceFailed
	// InstanceQuarantined: the same, but it is not retried until it is released.
	InstanceQuarantined
	// InstanceReleased: an instance is retried, because Release was called.
	InstanceReleased
	// InputSkipped: an instance continues after an input, because Skip was called.
	InputSkipped
	// InstanceAbandoned: an instance is over, because Abandon was called.
	InstanceAbandoned
	// RunFailed: something else failed, and is retried, or Run ends with an error.
	RunFailed
	// ReactionFailed: an instance could not react, or one of its commands could not be
	// sent. InstanceFailed or InstanceQuarantined follows once that is saved. Neither
	// follows if the process ends first.
	ReactionFailed
)

// errPanicked is the error in the notice of a reaction that panicked.
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

// Notice describes something that a process did.
type Notice struct {
	Kind     Kind
	Process  string // name and version
	Instance string
	Position uint64        // of the event concerned; 0: no event
	EventID  string        // of that event
	Commands int           // sent
	Timers   int           // of the instance that are running now
	Attempt  int           // the attempt that failed, counted from 1
	Took     time.Duration // for the reaction and its commands
	Err      error         // why it failed
}

// notify passes n to the observer, unless it is nil.
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

// begin notifies the observer, if it is a Beginner, that an instance is about to react,
// and returns the context to continue with.
func (r *Runtime[T, E, S, C]) begin(ctx context.Context, n Notice, cause *store.Recorded) context.Context {
	b, ok := r.observer.(Beginner)
	if !ok {
		return ctx
	}
	n.Process = r.build()
	began := ctx
	err := guard("observer", func() error {
		began = b.Begin(ctx, n, cause) //nolint:fatcontext // one for each reaction
		return nil
	})
	if err != nil {
		r.live.change(func(p *Progress) { p.Fault = err })
		return ctx
	}
	return began
}

// Log returns an observer that logs to l: failures and quarantines as warnings,
// interventions and ownership as information, reactions and timers for debugging. A
// failure that is retried is logged once for each attempt, so ever less often, because
// the pauses grow. The first one about a panic has the stack.
func Log(l *slog.Logger) Observer { return logger{l} }

type logger struct{ to *slog.Logger }

// warnings is the observer of a process without [Runtime.WithObserver]: it logs what Log
// logs as a warning to slog.Default, as it is then.
type warnings struct{}

// Observe logs n if it is a warning.
func (warnings) Observe(ctx context.Context, n Notice) {
	if n.level() >= slog.LevelWarn {
		Log(slog.Default()).Observe(ctx, n)
	}
}

// level returns the level at which Log logs n.
func (n *Notice) level() slog.Level {
	switch {
	case n.Kind == Reacted, n.Kind == TimerFired, n.Kind == ReactionFailed:
		return slog.LevelDebug
	case n.Err != nil:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Observe logs n.
func (l logger) Observe(ctx context.Context, n Notice) {
	level := n.level()
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
	if p, ok := errors.AsType[*PanicError](n.Err); ok && n.Attempt <= 1 && len(p.Stack) > 0 {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	l.to.LogAttrs(ctx, level, n.Kind.String(), attrs...)
}
