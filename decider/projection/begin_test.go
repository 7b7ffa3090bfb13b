package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type beginKey struct{}

// spans counts transactions that begin, and those that end on the context Begin returned.
type spans struct {
	loud bool

	mu      sync.Mutex
	last    int                       // guarded by mu
	open    map[int]projection.Notice // guarded by mu
	failed  int                       // guarded by mu
	applied []projection.Notice       // guarded by mu
}

func (s *spans) Begin(ctx context.Context, n projection.Notice, events iter.Seq[*store.Recorded]) context.Context {
	if s.loud {
		panic("loud")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for e := range events {
		if count++; e.Position == 0 {
			panic("an event without a position")
		}
	}
	if n.Kind != projection.BatchApplied || n.Events != count || n.Build == "" || n.Head < n.Position {
		panic(fmt.Sprintf("begins %+v with %d events", n, count))
	}
	s.last++
	s.open[s.last] = n
	return context.WithValue(ctx, beginKey{}, s.last)
}

func (s *spans) Observe(ctx context.Context, n projection.Notice) {
	if n.Kind != projection.BatchApplied && n.Kind != projection.BatchFailed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := ctx.Value(beginKey{}).(int)
	if _, ok := s.open[id]; !ok && !s.loud {
		panic(fmt.Sprintf("%+v ends, but has not begun", n))
	}
	delete(s.open, id)
	if n.Kind == projection.BatchFailed {
		s.failed++
		return
	}
	s.applied = append(s.applied, n)
}

// TestBeginner checks that each transaction that begins also ends, on the context that
// Begin returned, and that user code gets that context.
func TestBeginner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, seen := memory.New(), &spans{open: map[int]projection.Notice{}}
		for i := range 100 {
			deposit(t, st, fmt.Sprint("a", i%7), int64(i))
		}
		failures := 3
		p := projection.New(st, st, "list", moves(), func(ctx context.Context, _ *memory.Tx, e projection.Event[move]) error {
			if ctx.Value(beginKey{}) == nil {
				t.Error("the handler does not get the context of Begin")
			}
			if e.Event.Cents == 70 && failures > 0 {
				failures--
				if failures == 1 {
					panic("a handler that panics")
				}
				return errors.New("down")
			}
			return nil
		}).WithObserver(seen)
		stop := start(t, p)
		at := deposit(t, st, "a0", 5)
		if err := p.WaitFor(t.Context(), at.Position); err != nil {
			t.Fatal(err)
		}
		at = deposit(t, st, "a0", 5)
		if err := p.WaitFor(t.Context(), at.Position); err != nil {
			t.Fatal(err)
		}
		_ = stop()
		if len(seen.open) != 0 || seen.failed < 3 {
			t.Errorf("%d transactions have not ended, %d have failed; want 0, and 3 or more", len(seen.open), seen.failed)
		}
		first, last := seen.applied[0], seen.applied[len(seen.applied)-1]
		if !first.Building || first.Live || last.Building || !last.Live || last.Head != at.Position {
			t.Errorf("the first batch is %+v, the last %+v", first, last)
		}
		if p := p.Progress(); p.Fault != nil {
			t.Error(p.Fault)
		}
	})
}

// TestBeginnerPanics checks that an observer that panics changes nothing.
func TestBeginnerPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		p := projection.Documents(st, st, "balance", moves(), sum, byAccount).WithObserver(&spans{loud: true})
		stop := start(t, p)
		if err := p.WaitFor(t.Context(), deposit(t, st, "a0", 5).Position); err != nil {
			t.Error(err)
		}
		if p := p.Progress(); p.Fault == nil || p.State != projection.Live {
			t.Errorf("the progress is %+v", p)
		}
		_ = stop()
	})
}

// marks is a [projection.Beginner] that counts the events of transactions.
type marks struct{ begun int }

// Begin counts the events.
func (m *marks) Begin(ctx context.Context, _ projection.Notice, events iter.Seq[*store.Recorded]) context.Context {
	for range events {
		m.begun++
	}
	return ctx
}

func ExampleBeginner() {
	var seen marks
	var b projection.Beginner = &seen
	b.Begin(context.Background(), projection.Notice{Kind: projection.BatchApplied}, func(yield func(*store.Recorded) bool) {
		yield(&store.Recorded{Position: 7})
	})
	fmt.Println(seen.begun)
	// Output: 1
}
