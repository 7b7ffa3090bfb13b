package projection

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/evolvego/evolve/store"
)

// Observer is notified of what a projection does, right after it happens. It must be safe
// for concurrent use, and should be quick. If it panics, the projection continues, and
// the panic is in [Progress].Fault.
type Observer interface {
	// Observe receives a notice.
	Observe(ctx context.Context, n Notice)
}

// Beginner is an [Observer] that is also notified when a transaction begins, for example
// to put a span into its context.
type Beginner interface {
	// Begin is called before events are put into the read model: n has the kind
	// BatchApplied. Observe receives BatchApplied or BatchFailed when the transaction
	// ends. Begin returns the context that the transaction, handlers and Observe get
	// until then, which must derive from ctx. If Begin panics, they get ctx. Events are
	// those of the transaction, in order. Do not change or keep them.
	Begin(ctx context.Context, n Notice, events iter.Seq[*store.Recorded]) context.Context
}

// Kind is the kind of a Notice.
type Kind uint8

// The kinds of notices.
const (
	// OwnerBegan: this instance owns the projection now.
	OwnerBegan Kind = iota + 1
	// OwnerEnded: this instance no longer owns the projection.
	OwnerEnded
	// BatchApplied: events are in the read model.
	BatchApplied
	// EventFailed: an event could not be handled, and is retried.
	EventFailed
	// EventParked: an event, and so its key, was parked.
	EventParked
	// KeyFreed: all parked events of a key are in the read model.
	KeyFreed
	// BuildReady: this version has caught up, and is active now.
	BuildReady
	// RunFailed: something other than an event failed, and is retried, or Run ends with
	// an error.
	RunFailed
	// BatchFailed: a transaction has put nothing into the read model. The consequence is
	// reported in another notice: the events may be retried in smaller transactions.
	BatchFailed
)

// errPanicked is the error in the notice of a transaction that panicked.
var errPanicked = errors.New("projection: the transaction panicked")

// String returns k in words, such as "batch applied".
func (k Kind) String() string {
	names := [...]string{
		"unknown", "owner began", "owner ended", "batch applied", "event failed", "event parked", "key freed",
		"build ready", "run failed", "batch failed",
	}
	if int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// Notice describes something that a projection did.
type Notice struct {
	Kind     Kind
	Build    string        // name and version
	Position uint64        // of the last event concerned; 0: no event
	Head     uint64        // of a batch: the last known head of the log
	Events   int           // applied or parked
	Parked   int           // of a batch: how many of Events were parked, not applied
	Live     bool          // the events were new, not history
	Building bool          // of a batch: the version has never caught up
	Key      string        // of the key that was parked or freed
	Attempt  int           // the attempt that failed, counted from 1
	Took     time.Duration // of the transaction; after a failure, the pause before the next attempt
	Err      error         // why it failed or was parked
}

// notify passes n to the observer, unless it is nil.
func (p *Projection[T, E]) notify(ctx context.Context, n Notice) {
	if p.observer == nil {
		return
	}
	n.Build = p.build()
	p.told(func() { p.observer.Observe(ctx, n) })
}

// told calls tell, which calls the observer, and reports whether it returned without a
// panic.
func (p *Projection[T, E]) told(tell func()) bool {
	err := guard("observer", func() error { tell(); return nil })
	if err != nil {
		p.live.change(func(s *Progress) { s.Fault = err })
	}
	return err == nil
}

// beginBatch notifies the observer, if it is a Beginner, that items are about to be put
// into the read model, and returns the context to continue with.
func (r *run[T, E]) beginBatch(ctx context.Context, items []item) context.Context {
	b, ok := r.p.observer.(Beginner)
	if !ok {
		return ctx
	}
	n := r.batchNotice(BatchApplied, items)
	events := func(yield func(*store.Recorded) bool) {
		for i := range items {
			if !yield(items[i].recorded) {
				return
			}
		}
	}
	began := ctx
	if !r.p.told(func() { began = b.Begin(ctx, n, events) }) { //nolint:fatcontext // one for each transaction
		return ctx
	}
	return began
}

// batchNotice returns the notice of a transaction of items.
func (r *run[T, E]) batchNotice(kind Kind, items []item) Notice {
	last := items[len(items)-1].recorded.Position
	return Notice{
		Kind: kind, Build: r.p.build(), Position: last, Head: max(r.head, last), Events: len(items),
		Live: r.live, Building: !r.about.Ready,
	}
}

// Log returns an observer that logs to l: failures and parked events as warnings,
// ownership and readiness as information, batches for debugging. A failure that is
// retried is logged once for each attempt, so ever less often, because the pauses grow. The
// first one about a panic has the stack.
func Log(l *slog.Logger) Observer { return logger{l} }

type logger struct{ to *slog.Logger }

// warnings is the observer of a projection without [Projection.WithObserver]: it logs
// what Log logs as a warning to slog.Default, as it is then.
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
	case n.Kind == BatchApplied, n.Kind == BatchFailed:
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
	attrs := []slog.Attr{slog.String("projection", n.Build), slog.Uint64("position", n.Position)}
	if n.Key != "" {
		attrs = append(attrs, slog.String("key", n.Key))
	}
	if n.Events > 0 {
		attrs = append(attrs, slog.Int("events", n.Events))
	}
	if n.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", n.Attempt))
	}
	if n.Took > 0 {
		took := "took"
		if n.Kind == EventFailed || n.Kind == RunFailed {
			took = "retry_in"
		}
		attrs = append(attrs, slog.Duration(took, n.Took))
	}
	if n.Err != nil {
		attrs = append(attrs, slog.String("error", n.Err.Error()))
	}
	if p, ok := errors.AsType[*PanicError](n.Err); ok && n.Attempt <= 1 && len(p.Stack) > 0 {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	l.to.LogAttrs(ctx, level, n.Kind.String(), attrs...)
}
