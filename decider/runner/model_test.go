package runner_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// storm delays every call, and makes appends fail in the ways of a real store: without
// effect, before the effect, after it, or long before it.
type storm struct {
	store.Store
	faults bool
	order  atomic.Int64
	mu     sync.Mutex
	random *rand.Rand // guarded by mu
	late   sync.WaitGroup
}

func (s *storm) roll(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

func (s *storm) pass() { time.Sleep(time.Duration(s.roll(3000)) * time.Microsecond) }

func (s *storm) Append(ctx context.Context, n store.Stream, x store.Expected, events []store.Event) (store.Appended, error) {
	s.pass()
	defer s.pass()
	fault := s.roll(10)
	switch {
	case !s.faults || fault > 3:
		return s.Store.Append(ctx, n, x, events)
	case fault == 0: // it never happens
	case fault == 1: // it happens later
		events = slices.Clone(events)
		wait := time.Duration(s.roll(20)) * time.Millisecond
		s.late.Go(func() {
			time.Sleep(wait)
			_, _ = s.Store.Append(context.WithoutCancel(ctx), n, x, events)
		})
	default: // it happens, but the answer is lost
		_, _ = s.Store.Append(ctx, n, x, events)
	}
	return store.Appended{}, errDown
}

func (s *storm) Read(ctx context.Context, n store.Stream, o store.ReadOptions) (store.Page, error) {
	s.pass()
	if s.faults && s.roll(20) == 0 {
		return store.Page{}, errDown
	}
	o.Limit = 5 // so that there are many pages
	return s.Store.Read(ctx, n, o)
}

// called is one call of a client, and its result.
type called struct {
	cmd command
	id  string // command id
	result
	began, ended int64 // in the order of all calls
}

// handler is Handle of a runner or a group.
type handler = func(context.Context, string, command, ...runner.Option) (outcome, error)

// Whatever runs concurrently and whatever fails, the stream is one history of decisions,
// and every caller got the correct answer about its part in it.
func TestRunnerIsThePureFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		inner := memory.New()
		st := &storm{
			Store: inner, faults: rapid.Bool().Draw(rt, "faults"),
			random: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
		}
		handlers, done := drawHandlers(rt, st)
		calls := drawCalls(rt, len(handlers))
		synctest.Test(t, func(t *testing.T) {
			var wg sync.WaitGroup
			for i := range calls {
				wg.Go(func() {
					for j := range calls[i] {
						c := &calls[i][j]
						c.began = st.order.Add(1)
						c.run(t.Context(), handlers[i], time.Duration(5+st.roll(200))*time.Millisecond)
						c.ended = st.order.Add(1)
					}
				})
			}
			wg.Wait()
			done()
			st.late.Wait()
		})
		check(rt, inner, slices.Concat(calls...))
	})
}

// run calls handle, for at most the time it may take.
func (c *called) run(ctx context.Context, handle handler, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var opts []runner.Option
	if c.id != "" {
		opts = append(opts, runner.CommandID(c.id))
	}
	c.out, c.err = handle(ctx, "a", c.cmd, opts...)
}

// drawHandlers returns the handlers of some clients: runners of all kinds on one store,
// each as if in its own process.
func drawHandlers(t *rapid.T, st store.Store) (handlers []handler, done func()) {
	snaps := memory.New()
	var groups []*group
	for i := range rapid.IntRange(1, 5).Draw(t, "clients") {
		r := newAccounts(st).WithRetry(runner.Retry{Transient: func(err error) bool { return errors.Is(err, errDown) }})
		if rapid.Bool().Draw(t, "cached") {
			r = r.WithCache(runner.Cache[account]{})
		}
		if rapid.Bool().Draw(t, "snapshots") {
			r = r.WithSnapshots(snapshots{Store: snaps, Schema: "1", Every: 3})
		}
		handle := r.Handle
		if rapid.Bool().Draw(t, "group") {
			g := runner.NewGroup(r)
			groups = append(groups, g)
			handle = g.Handle
			if i > 0 && rapid.Bool().Draw(t, "shared") {
				handle = groups[0].Handle
			}
		}
		handlers = append(handlers, handle)
	}
	return handlers, func() {
		for _, g := range groups {
			g.Close()
		}
	}
}

// drawCalls returns the commands of each of n clients. They differ in their amounts, and
// a command with an ID may be called more than once.
func drawCalls(t *rapid.T, n int) [][]called {
	amount := 0
	var named []called
	calls := make([][]called, n)
	for i := range calls {
		for range rapid.IntRange(1, 6).Draw(t, "calls") {
			amount++
			cmds := []command{
				open{fmt.Sprint("owner ", amount)},
				deposit{1000 + amount},
				deposit{2000 + amount},
				withdraw{amount, 1},
				withdraw{100 + amount, 3},
				touch{},
			}
			c := called{cmd: cmds[rapid.IntRange(0, len(cmds)-1).Draw(t, "command")]}
			if rapid.Bool().Draw(t, "named") {
				c.id = fmt.Sprint("id ", amount)
				if len(named) > 0 && rapid.Bool().Draw(t, "again") {
					c = named[rapid.IntRange(0, len(named)-1).Draw(t, "which")]
				}
				named = append(named, c)
			}
			calls[i] = append(calls[i], c)
		}
	}
	return calls
}

// check compares calls with the stored events.
func check(t *rapid.T, st store.Store, calls []called) {
	t.Helper()
	page, err := st.Read(context.Background(), stream("a"), store.ReadOptions{})
	if err != nil || !page.End && len(page.Events) > 0 {
		for err == nil && !page.End {
			var more store.Page
			more, err = st.Read(context.Background(), stream("a"), store.ReadOptions{From: page.Next})
			page.Events, page.Next, page.End = append(page.Events, more.Events...), more.Next, more.End
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := textCodec{}.Decode(nil, page.Events)
	if err != nil {
		t.Fatal(err)
	}
	states := []account{{}}
	for _, e := range all {
		states = append(states, evolve(states[len(states)-1], e))
	}

	// Every event belongs to one of the commands, decided on the state before it.
	left := slices.Clone(calls)
	for v := 0; v < len(all); {
		n := 0
		for i, c := range left {
			events, err := decide(c.cmd, states[v])
			if err == nil && len(events) > 0 && v+len(events) <= len(all) && slices.Equal(all[v:v+len(events)], events) {
				n = len(events)
				left = slices.DeleteFunc(left, func(o called) bool { return o.cmd == c.cmd && (o.id == c.id && c.id != "") })
				if c.id == "" {
					left = slices.Delete(left, i, i+1)
				}
				break
			}
		}
		if n == 0 {
			t.Fatalf("version %d, %v, belongs to no command, or to one that was recorded before: %v", v+1, all[v], all)
		}
		v += n
	}
	for i := range calls {
		c := &calls[i]
		if problem := c.check(calls, all, states); problem != "" {
			t.Fatalf("%#v %q = %+v, %v: %s; events %v", c.cmd, c.id, c.out, c.err, problem, all)
		}
	}
}

// check returns what is wrong with the answer that the caller of c got, given all events
// of the stream and its states.
func (c *called) check(calls []called, all []event, states []account) string {
	at := c.find(all)
	switch {
	case errors.Is(c.err, runner.ErrRejected):
		if c.landedBefore(calls) || at >= 0 && c.id == "" {
			return "rejected, but it is recorded"
		}
		for _, s := range states {
			if _, err := decide(c.cmd, s); errors.Is(c.err, err) {
				return ""
			}
		}
		return "no state rejects it"
	case errors.Is(c.err, runner.ErrUnknownOutcome):
		return ""
	case c.err != nil:
		if at >= 0 && c.id == "" {
			return "it is recorded, but the error does not say that the outcome is unknown"
		}
		if !errors.Is(c.err, context.DeadlineExceeded) && !errors.Is(c.err, runner.ErrExhausted) && !errors.Is(c.err, errDown) {
			return "unexpected error"
		}
		return ""
	case c.out.Version >= uint64(len(states)) || c.out.State != states[c.out.Version]:
		return "the state does not belong to the version"
	case len(c.out.Events) == 0:
		if c.landedBefore(calls) {
			return "no events, but it is recorded"
		}
		if events, err := decide(c.cmd, c.out.State); err != nil || len(events) > 0 {
			return "it should have decided events"
		}
		return ""
	case at < 0:
		return "lost write"
	case !c.out.Replayed && at+len(c.out.Events) != int(c.out.Version):
		return fmt.Sprintf("it is recorded at %d", at+1)
	}
	return ""
}

// landedBefore reports whether a call with the same ID had been told, before c was
// called, that it was recorded.
func (c *called) landedBefore(calls []called) bool {
	return c.id != "" && slices.ContainsFunc(calls, func(o called) bool {
		return o.id == c.id && len(o.out.Events) > 0 && o.ended < c.began
	})
}

// find returns the index of the first of the command's events in all, or -1.
func (c *called) find(all []event) int {
	return slices.IndexFunc(all, func(e event) bool {
		switch cmd := c.cmd.(type) {
		case open:
			return e == event(opened(cmd))
		case deposit:
			return e == event(deposited(cmd))
		case withdraw:
			return e == event(withdrawn{cmd.Amount})
		}
		return false
	})
}
