package processtest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store"
)

// Happening is a list of events that are appended to a stream together, some time after
// the previous happening. [projectiontest.Given] makes its Append.
type Happening struct {
	After time.Duration
	projectiontest.Append
}

// Subject is a process that [Crashes] checks.
type Subject[T projection.Tx, E, S, C any] struct {
	// New returns the process on a log and a target, as your program makes it.
	New func(log process.Store, target projection.Target[T]) *process.Runtime[T, E, S, C]
	// Send passes commands to their handler, such as a runner on the log. If it is nil,
	// every command is accepted and does nothing.
	Send func(log process.Store) process.Send[C]
	// Then is how long a run continues after the history, so that timers fire.
	Then time.Duration
}

// Crashes checks that a process does the same wherever it crashes: each instance sends
// the same commands in the same order, when commands with equal IDs count once. It runs
// history without a crash, and then with a crash at every place: before and after each
// transaction of the target and each command. After the crash it makes a new process.
// Each run is in a bubble of testing/synctest, where open is called, so waiting takes no
// time. Still, a process that waits wakes up every few seconds, in each of some hundred
// runs: use timers of minutes here rather than days.
//
// It finds, for example, a React or an Evolve that keeps something between two calls, or
// that takes IDs, times or random numbers from anywhere but the event.
func Crashes[T projection.Tx, E, S, C any](
	t *testing.T, open func(t *testing.T) Setup[T], subject Subject[T, E, S, C], history []Happening,
) {
	t.Helper()
	var want map[string][]C
	for place, step := 0, 1; ; place += step {
		c := &crash{left: place}
		var got map[string][]C
		synctest.Test(t, func(t *testing.T) {
			setup := open(t)
			if setup.Sparse {
				step = 11
			}
			got = survive(t, setup, subject, history, c)
		})
		switch {
		case t.Failed():
			return
		case place == 0 && len(got) == 0:
			t.Error("the process sends nothing in this history, so there is nothing to compare")
			return
		case place == 0:
			want = got
			continue
		case !c.happened():
			return
		}
		for id := range merged(got, want) {
			if !reflect.DeepEqual(got[id], want[id]) {
				t.Errorf("with a crash at place %d, instance %q sends %+v, but without a crash %+v", place, id, got[id], want[id])
				return
			}
		}
	}
}

func merged[C any](a, b map[string][]C) map[string]bool {
	ids := map[string]bool{}
	for id := range a {
		ids[id] = true
	}
	for id := range b {
		ids[id] = true
	}
	return ids
}

// sends records the commands that were executed, by instance.
type sends[C any] struct {
	mu  sync.Mutex
	ids map[string]bool // guarded by mu
	all map[string][]C  // guarded by mu
}

func (s *sends[C]) land(c process.Command[C]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ids[c.ID] {
		s.ids[c.ID] = true
		s.all[c.Instance] = append(s.all[c.Instance], c.Command)
	}
}

// survive runs a history with a crash, and returns what was sent.
func survive[T projection.Tx, E, S, C any](
	t *testing.T, setup Setup[T], subject Subject[T, E, S, C], history []Happening, c *crash,
) map[string][]C {
	t.Helper()
	landed := &sends[C]{ids: map[string]bool{}, all: map[string][]C{}}
	take := func(context.Context, process.Command[C]) error { return nil }
	if subject.Send != nil {
		take = subject.Send(setup.Log)
	}
	send := func(ctx context.Context, cmd process.Command[C]) error {
		err := errors.Join(c.here(), ctx.Err())
		if err == nil {
			err = take(ctx, cmd)
		}
		if err == nil {
			landed.land(cmd)
			err = c.here()
		}
		return err
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	first := subject.New(setup.Log, fragile[T]{setup.Target, c})
	if c.left > 0 {
		first = first.WithObserver(nil) // nobody needs to know of this crash
	}
	go func() {
		err := c.run(ctx, func(ctx context.Context) error { return first.Run(ctx, send) })
		if c.happened() && ctx.Err() == nil {
			err = subject.New(setup.Log, setup.Target).Run(ctx, send)
		}
		ended <- err
	}()
	for _, h := range history {
		time.Sleep(h.After)
		synctest.Wait()
		if _, err := setup.Log.Append(ctx, h.Stream, store.Any, h.Events); err != nil {
			t.Errorf("append to %s: %v", h.Stream, err)
		}
	}
	time.Sleep(subject.Then)
	synctest.Wait()
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the process ended by itself: %v", err)
	}
	return landed.all
}
