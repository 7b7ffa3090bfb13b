package projection

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/evolvego/evolve/store"
)

// Observer is told what a projection does, right after it did it. It is safe for
// concurrent use, and should be quick. If it panics, the projection goes on, and the
// panic is in [Progress].Fault.
type Observer interface {
	// Observe is told n.
	Observe(ctx context.Context, n Notice)
}

// Beginner is an [Observer] that is also told when a transaction begins, to put a span
// into its context, say.
type Beginner interface {
	// Begin is told that events are about to be put into the read model: n is of the
	// kind BatchApplied. Observe is told BatchApplied or BatchFailed when that ends.
	// Begin returns the context that the transaction, handlers and Observe get until
	// then, which must come from ctx. If Begin panics, that is ctx. Events are those
	// of the transaction, in order; they must not be changed, nor kept.
	Begin(ctx context.Context, n Notice, events iter.Seq[*store.Recorded]) context.Context
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
	// BatchFailed: a transaction has put nothing into the read model. What follows of
	// that is another notice: the events may be tried again in smaller transactions.
	BatchFailed
)

// errPanicked is what the observer is told of a transaction that ends in a panic.
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

// Notice is something that a projection did.
type Notice struct {
	Kind     Kind
	Build    string        // name and version
	Position uint64        // of the last event that it is about; 0: of none
	Head     uint64        // of a batch: the last known position of the log
	Events   int           // that were applied or parked
	Parked   int           // of a batch: how many of Events were not applied, but parked
	Live     bool          // they were news, not history
	Building bool          // of a batch: the version has never caught up
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
	p.told(func() { p.observer.Observe(ctx, n) })
}

// told calls tell, which tells the observer something, and reports whether it returned.
func (p *Projection[T, E]) told(tell func()) bool {
	err := guard("observer", func() error { tell(); return nil })
	if err != nil {
		p.live.change(func(s *Progress) { s.Fault = err })
	}
	return err == nil
}

// beginBatch tells the observer that items are about to be put into the read model, if it is
// to be told, and returns the context to go on with.
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
	if !r.p.told(func() { began = b.Begin(ctx, n, events) }) { //nolint:fatcontext // there is one for each transaction
		return ctx
	}
	return began
}

// batchNotice returns what the observer is told of a transaction of items.
func (r *run[T, E]) batchNotice(kind Kind, items []item) Notice {
	last := items[len(items)-1].recorded.Position
	return Notice{
		Kind: kind, Build: r.p.build(), Position: last, Head: max(r.head, last), Events: len(items),
		Live: r.live, Building: !r.about.Ready,
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
	case n.Kind == BatchApplied, n.Kind == BatchFailed:
		level = slog.LevelDebug
	case n.Err != nil:
		level = slog.LevelWarn
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
