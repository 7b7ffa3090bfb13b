package projection

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Image is a view of a log in the memory of this process. It has no checkpoint: each Run
// folds the log from its start. It is safe for concurrent use. The zero Image is not
// usable.
type Image[S, E any] struct {
	log    store.Log
	source codec.Source[E]
	view   decider.View[S, E]
	is     atomic.Pointer[frame[S]]
	live   *status
}

// frame is a state and its position in the log.
type frame[S any] struct {
	state    S
	position uint64
}

// NewImage returns an Image of view over the events of source in log. It panics if log or
// the Evolve of view is nil.
func NewImage[S, E any](log store.Log, source codec.Source[E], view decider.View[S, E]) *Image[S, E] {
	if log == nil || view.Evolve == nil || len(source.Filter().StreamTypes) == 0 {
		panic("projection: an image needs a log, a source and an Evolve")
	}
	m := &Image[S, E]{log: log, source: source, view: view}
	m.live = newStatus("image", time.Now) //nolint:forbidigo // says how old, and how long
	m.is.Store(&frame[S]{state: view.Start()})
	return m
}

// State returns the state and its position in the log. The state is shared: do not change
// what it points to. The Image does not change it either, if Evolve is pure.
func (m *Image[S, E]) State() (state S, position uint64) {
	f := m.is.Load()
	return f.state, f.position
}

// Run folds the log and follows it until ctx ends, and then returns the error of ctx. It
// blocks. If reading the log fails, Run tries again, and logs a warning for each attempt to
// slog.Default. If an event cannot be decoded, or
// Evolve panics on it, Run ends with an *[EventError], and the state is that of the page
// before.
func (m *Image[S, E]) Run(ctx context.Context) (err error) {
	if !m.live.begin() {
		return fmt.Errorf("projection: image: %w", ErrRunning)
	}
	defer func() { m.live.end(ctx, err) }()
	m.live.owned(true)
	at := frame[S]{state: m.view.Start()}
	retry := Retry{Pause: 20 * time.Millisecond, MaxPause: 10 * time.Second}
	for pauses := (backoff{}); ; {
		before := at.position
		at, err = m.follow(ctx, at)
		if at.position > before {
			pauses = backoff{}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, new(*EventError)), final(err):
			return err
		}
		_, attempt := m.live.failing(err)
		pause := pauses.next(retry)
		warnings{}.Observe(ctx, Notice{Kind: RunFailed, Build: "image", Position: at.position, Attempt: attempt, Took: pause, Err: err})
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// follow folds the log from at on, and returns the last frame.
func (m *Image[S, E]) follow(ctx context.Context, at frame[S]) (frame[S], error) {
	var decoded []codec.Decoded[E]
	for page, err := range m.log.Subscribe(ctx, store.LogOptions{From: at.position + 1, Filter: m.source.Filter()}) {
		if err != nil {
			return at, err
		}
		state := at.state
		i := 0
		err := guard("image", func() (err error) {
			for ; i < len(page.Events); i++ {
				if decoded, err = m.source.Decode(decoded[:0], &page.Events[i]); err != nil {
					return err
				}
				for j := range decoded {
					state = m.view.Evolve(state, decoded[j].Event)
				}
			}
			return nil
		})
		if err != nil {
			return at, eventError("image", &page.Events[i], err)
		}
		at = frame[S]{state, max(page.Next, 1) - 1}
		m.is.Store(&frame[S]{at.state, at.position})
		m.live.reached(at.position, page.Head, page.End)
	}
	return at, errors.New("the subscription ended")
}

// Progress returns the progress of m.
func (m *Image[S, E]) Progress() Progress { return m.live.snapshot() }

// WaitFor returns nil when the state contains the log up to position. It returns
// [ErrAhead] if position is beyond the head of the log. If Run has failed, WaitFor
// returns its error. When ctx ends, it returns the error of ctx and says what m was
// doing.
func (m *Image[S, E]) WaitFor(ctx context.Context, position uint64) error {
	for asked := false; ; {
		is, _, _, wake := m.live.waiting(nil)
		switch {
		case is.Position >= position:
			return nil
		case is.State == Failed:
			return fmt.Errorf("projection: image: wait for position %d: %w", position, is.Cause)
		}
		if !asked {
			asked = true
			if head, err := m.log.Head(ctx); err == nil && position > head {
				return fmt.Errorf("projection: image: wait for position %d: the head of the log is %d: %w", position, head, ErrAhead)
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
			err := fmt.Errorf("projection: image: wait for position %d: it is %s at %d: %w", position, is.State, is.Position, ctx.Err())
			if cause := m.Progress().Cause; cause != nil {
				err = fmt.Errorf("%w: %w", err, cause)
			}
			return err
		}
	}
}
