package process_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type beginKey struct{}

// spans counts reactions that begin, and those that end on the context Begin returned.
type spans struct {
	mu     sync.Mutex
	last   int                 // guarded by mu
	open   map[int]bool        // guarded by mu
	ended  int                 // guarded by mu
	failed int                 // guarded by mu
	traces map[string][]string // guarded by mu; the traceparent of causes, by instance
}

func (s *spans) Begin(ctx context.Context, n process.Notice, cause *store.Recorded) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.Kind != process.Reacted || n.EventID != cause.ID || n.Position != cause.Position {
		panic(fmt.Sprintf("begins %+v because of %+v", n, cause))
	}
	s.last++
	s.open[s.last] = true
	s.traces[n.Instance] = append(s.traces[n.Instance], cause.Meta.Headers["traceparent"])
	return context.WithValue(ctx, beginKey{}, s.last)
}

func (s *spans) Observe(ctx context.Context, n process.Notice) {
	if n.Kind != process.Reacted && n.Kind != process.ReactionFailed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := ctx.Value(beginKey{}).(int)
	if !s.open[id] || (n.Kind == process.ReactionFailed) != (n.Err != nil) {
		panic(fmt.Sprintf("%+v ends, but has not begun", n))
	}
	delete(s.open, id)
	s.ended++
	if n.Kind == process.ReactionFailed {
		s.failed++
	}
}

// TestBeginner checks that each reaction that begins also ends, on the context that Begin
// returned and that Send gets, and that the event of a timer carries the trace of the
// event that started it.
func TestBeginner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, seen := memory.New(), &spans{open: map[int]bool{}, traces: map[string][]string{}}
		r := process.New(st, st, "Echo", echo(), jobs()).WithTimers(events()).WithObserver(seen)
		failures := 2
		stop := started(t, r, func(ctx context.Context, c process.Command[string]) error {
			if ctx.Value(beginKey{}) == nil {
				t.Error("Send does not get the context of Begin")
			}
			if c.Command == "fails" && failures > 0 {
				failures--
				if failures == 0 {
					panic("a Send that panics")
				}
				return errors.New("down")
			}
			return nil
		})
		encoded, err := events().Encode(happened{"1", "later"})
		if err != nil {
			t.Fatal(err)
		}
		encoded.ID = store.NewID()
		encoded.Meta.Headers = map[string]string{"traceparent": "00-1-1-01", "tracestate": "a=b", "other": "x"}
		if _, err := st.Append(t.Context(), store.Stream{Type: "Job", ID: "1"}, store.Any, []store.Event{encoded}); err != nil {
			t.Fatal(err)
		}
		record(t, st, happened{"2", "fails"})
		time.Sleep(2 * time.Minute)
		_ = stop()
		if len(seen.open) != 0 || seen.failed != 2 || seen.ended != 5 {
			t.Errorf("%d reactions have not ended, %d have, %d of them failed; want 0, 5, 2", len(seen.open), seen.ended, seen.failed)
		}
		if got := fmt.Sprint(seen.traces["1"]); got != "[00-1-1-01 00-1-1-01]" {
			t.Errorf("the events of instance 1 belong to the traces %s", got)
		}
		page, err := st.Read(t.Context(), store.Stream{Type: "Echo", ID: "1"}, store.ReadOptions{})
		if err != nil || len(page.Events) != 1 {
			t.Fatalf("the stream of the instance has %d events, %v", len(page.Events), err)
		}
		if h := page.Events[0].Meta.Headers; h["traceparent"] != "00-1-1-01" || h["tracestate"] != "a=b" || h["other"] != "" {
			t.Errorf("the event of the timer has the headers %v", h)
		}
		if p := r.Progress(); p.Fault != nil {
			t.Error(p.Fault)
		}
	})
}

// marks is a [process.Beginner] that records the causes.
type marks []string

// Begin records the ID of the cause.
func (m *marks) Begin(ctx context.Context, _ process.Notice, cause *store.Recorded) context.Context {
	*m = append(*m, cause.ID)
	return ctx
}

func ExampleBeginner() {
	var seen marks
	var b process.Beginner = &seen
	b.Begin(context.Background(), process.Notice{Kind: process.Reacted}, &store.Recorded{Event: store.Event{ID: "e-1"}})
	fmt.Println(seen)
	// Output: [e-1]
}
