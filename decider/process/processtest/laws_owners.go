package processtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

func rebuiltIsLive[T projection.Tx](w *world[T]) error {
	r := w.new(w.target)
	g := w.run(r)
	if _, err := scenario(w); err != nil {
		return err
	}
	w.pass(2 * time.Minute)
	_, err := w.append(
		event{Job: "c", Name: "1", Later: []later{{"t", 3 * time.Minute, &event{Name: "due", Dump: true}}, {"u", 3 * time.Minute, &event{Name: "never"}}}},
		event{Job: "c", Name: "2", Cancel: []string{"u"}, Send: []string{"c2"}},
		event{Job: "d", Name: "1", End: true}, event{Job: "d", Name: "2"},
		event{Job: "e", Name: "1", Panic: true}, event{Job: "e", Name: "2"})
	if err != nil {
		return err
	}
	w.settle()
	every := func(process.Instance) bool { return true }
	live, err := r.Instances(w.ctx, every)
	if err != nil {
		return err
	}
	g.stop()
	sent := w.receiver.count()
	w.target = w.plant.target(w.fresh().Target) // it has lost its contents
	again := w.new(w.target, (*runtime[T]).WithRestore)
	w.run(again)
	w.settle()
	if n := w.receiver.count() - sent; n != 0 {
		return fmt.Errorf("a rebuild has sent %d commands", n)
	}
	rebuilt, err := again.Instances(w.ctx, every)
	if err != nil {
		return err
	}
	if err := differ("the instances that were rebuilt", shape(rebuilt), shape(live)); err != nil {
		return err
	}
	for _, id := range []string{"a", "b"} {
		if _, err := w.append(event{Job: id, Name: "z", Dump: true}); err != nil {
			return err
		}
	}
	w.pass(4 * time.Minute)
	return landed(w, map[string][]string{
		"a": {"a1", "a2", "a3", "a4", "a-due", "seen 1 2 3 due z"}, "b": {"b1", "b2", "b2", "seen 1 2 3 z"}, "c": {"c2", "seen 1 2 due"},
	})
}

// shape returns the properties of instances that a rebuild must preserve.
func shape(all []process.Instance) (shapes []string) {
	for _, i := range all {
		waits := uint64(0)
		if i.Waiting != nil {
			waits = i.Waiting.Position
		}
		shapes = append(shapes, fmt.Sprintf("%s at %d, over: %v, timers: %d, waits at %d", i.ID, i.Position, i.Over, i.Timers, waits))
	}
	return shapes
}

func takesOver[T projection.Tx](w *world[T]) error {
	var mu sync.Mutex
	by := map[uint64][]string{} // which owner has reacted to which event
	version := func(n int) decider.Process[event, job, string] {
		p := jobs()
		p.React = func(s job, e event) decider.Reaction[string, event] {
			r := jobs().React(s, e)
			r.Send = append(r.Send, fmt.Sprint("v", n))
			return r
		}
		return p
	}
	w.receiver.before = func(c command) error {
		if c.Instance == "bad" {
			return process.Permanent(errDown)
		}
		mu.Lock()
		defer mu.Unlock()
		if c.Command[0] == 'v' {
			by[c.Cause.Position] = append(by[c.Cause.Position], c.Command)
		}
		return nil
	}
	first := w.run(w.process(w.target, version(1)))
	do := func(n int) error {
		_, err := w.append(event{Job: "a", Name: strconv.Itoa(n), Later: []later{{"t", 3 * time.Minute, &event{Name: "due", Dump: true}}}})
		return err
	}
	for n := range 3 {
		if err := do(n); err != nil {
			return err
		}
	}
	bad, err := w.append(event{Job: "bad", Name: "1", Send: []string{"x"}})
	if err != nil {
		return err
	}
	w.settle()
	second := w.process(w.target, version(2), func(r *runtime[T]) *runtime[T] { return r.WithVersion(2) })
	w.run(second)
	for n := 3; n < 6; n++ {
		if err := do(n); err != nil {
			return err
		}
	}
	w.pass(time.Minute)
	select {
	case <-first.done:
		if !errors.Is(first.err, process.ErrSuperseded) {
			return fmt.Errorf("Run of the previous version = %s, want ErrSuperseded", answer(first.err))
		}
	default:
		return errors.New("the previous version keeps running")
	}
	if err := waits(w, second, "bad", true); err != nil {
		return err
	}
	mu.Lock()
	for position := uint64(1); position <= bad.Position+3; position++ {
		if position != bad.Position && len(by[position]) != 1 {
			mu.Unlock()
			return fmt.Errorf("the event at position %d got reactions from %v", position, by[position])
		}
	}
	old := by[1]
	mu.Unlock()
	if !slices.Equal(old, []string{"v1"}) {
		return fmt.Errorf("an event that the previous version had handled got reactions from %v", old)
	}
	w.pass(4 * time.Minute)
	if got := w.receiver.all(); !slices.Contains(got, "seen 0 1 2 3 4 5 due") || !slices.Contains(got, "v2") {
		return fmt.Errorf("the new version has sent %q, want everything from the beginning", got)
	}
	if err := w.run(w.process(w.target, version(1))).wait(w); !errors.Is(err, process.ErrSuperseded) {
		return fmt.Errorf("Run of the previous version, again = %s, want ErrSuperseded", answer(err))
	}
	return nil
}

// wait returns the result of Run, if it returns soon.
func (g *running[T]) wait(w *world[T]) error {
	w.pass(time.Minute)
	select {
	case <-g.done:
		return g.err
	default:
		return errors.New("it is still running")
	}
}

func rejection[T projection.Tx](w *world[T]) error {
	w.receiver.fail(func(c command) error {
		if c.Command == "no" {
			return &runner.RejectedError{Err: errRejected}
		}
		return nil
	})
	r := w.new(w.target)
	g := w.run(r)
	asked := []event{{Job: "a", Name: "1", Send: []string{"no", "after"}}, {Job: "a", Name: "2", Dump: true}}
	if _, err := w.append(asked...); err != nil {
		return err
	}
	w.pass(time.Minute)
	if n := len(w.receiver.of("no")); n != 1 {
		return fmt.Errorf("a rejected command was sent %d times", n)
	}
	if err := waits(w, r, "a", true); err != nil {
		return fmt.Errorf("by default: %w", err)
	}
	g.stop()
	done := func(r *runtime[T]) *runtime[T] {
		return r.WithRejected(func(string, error) (e event, record bool) { return e, false })
	}
	r = w.new(w.target, done)
	g = w.run(r)
	if err := r.Release(w.ctx, "a"); err != nil {
		return err
	}
	w.pass(time.Minute)
	if err := landed(w, map[string][]string{"a": {"after", "seen 1 2"}}); err != nil {
		return fmt.Errorf("if a rejection counts as done: %w", err)
	}
	g.stop()
	answer := func(r *runtime[T]) *runtime[T] {
		return r.WithRejected(func(command string, rejection error) (event, bool) {
			return event{Name: command + " " + rejection.Error(), Dump: true}, true
		})
	}
	w.run(w.new(w.target, answer))
	asked[0].Job, asked[1].Job = "b", "b"
	if _, err := w.append(asked...); err != nil {
		return err
	}
	w.pass(time.Minute)
	own, err := w.own("b")
	if err != nil || len(own) != 1 || own[0].Meta.CausationID == "" {
		return join(err, fmt.Errorf("the answer to a rejection is recorded as %+v", own))
	}
	if _, err := w.append(event{Job: "b", Name: "3", Dump: true}); err != nil {
		return err
	}
	w.settle()
	if all := w.receiver.all(); !strings.Contains(all[len(all)-1], "no processtest: no") || !strings.HasSuffix(all[len(all)-1], " 3") {
		return fmt.Errorf("the instance has not received the answer: %q", all)
	}
	return nil
}

func unknownOutcome[T projection.Tx](w *world[T]) error {
	lost := 3
	w.receiver.after = func(c command) error {
		if lost--; lost >= 0 {
			return &runner.UnknownOutcomeError{CommandID: c.ID, Err: errDown}
		}
		return nil
	}
	w.run(w.new(w.target))
	if _, err := w.append(event{Job: "a", Name: "1", Send: []string{"x"}}); err != nil {
		return err
	}
	w.pass(time.Minute)
	if n := len(w.receiver.of("x")); n != 4 {
		return fmt.Errorf("a command whose outcome was unknown 3 times was sent %d times", n)
	}
	return landed(w, map[string][]string{"a": {"x"}})
}

func pendingAgain[T projection.Tx](w *world[T]) error {
	p := jobs()
	p.Pending = func(s job) []string { return append(slices.Clone(s.Waits), "new") }
	g := w.run(w.process(w.target, p))
	_, err := w.append(
		event{Job: "a", Name: "1", Send: []string{"x"}}, event{Job: "a", Name: "2", Send: []string{"x", "y", "x"}},
		event{Job: "b", Name: "1", Send: []string{"z"}}, event{Job: "b", Name: "2", End: true})
	if err != nil {
		return err
	}
	w.settle()
	g.stop()
	sent := w.receiver.count()
	w.target = w.plant.target(w.fresh().Target) // it has lost its contents
	w.run(w.process(w.target, p, (*runtime[T]).WithRestore))
	w.settle()
	w.receiver.mu.Lock()
	var again []string
	for _, c := range w.receiver.calls[sent:] {
		again = append(again, c.Command)
	}
	w.receiver.mu.Unlock()
	return join(differ("what was sent again", again, []string{"x", "y", "x", "new"}),
		landed(w, map[string][]string{"a": {"x", "x", "y", "x", "new"}, "b": {"z"}}))
}

func causation[T projection.Tx](w *world[T]) error {
	w.run(w.new(w.target))
	started, err := w.append(event{Job: "a", Name: "1", Send: []string{"x"}, Later: []later{{"t", time.Minute, &event{Name: "2", Send: []string{"y"}}}}})
	if err != nil {
		return err
	}
	w.pass(time.Minute)
	own, err := w.own("a")
	if err != nil || len(own) != 1 {
		return join(err, fmt.Errorf("%d timers fired", len(own)))
	}
	for text, want := range map[string]store.Metadata{
		"x": {CorrelationID: started.Meta.CorrelationID, CausationID: started.ID},
		"y": {CorrelationID: started.Meta.CorrelationID, CausationID: own[0].ID},
	} {
		calls := w.receiver.of(text)
		if len(calls) != 1 {
			return fmt.Errorf("%q was sent %d times", text, len(calls))
		}
		if err := differ("the metadata of "+text, calls[0].Metadata(), want); err != nil {
			return err
		}
	}
	return nil
}

// forgetful is a target that loses some answers: the commit is made, but the answer is
// lost.
type forgetful[T projection.Tx] struct {
	projection.Target[T]
	mu sync.Mutex
	n  int // guarded by mu
}

// Update calls the target's Update, loses two of eleven answers, and pauses.
func (f *forgetful[T]) Update(ctx context.Context, do func(tx T) error) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	time.Sleep(time.Duration(n%7) * 5 * time.Millisecond)
	if n%7 == 3 {
		time.Sleep(time.Second) // a paused owner
	}
	err := f.Target.Update(ctx, do)
	if n*7919%11 < 2 && err == nil {
		return errCrash
	}
	return err
}

// paused is a target whose transactions each wait for the next gate.
type paused[T projection.Tx] struct {
	projection.Target[T]
	mu    sync.Mutex
	gates []chan struct{} // guarded by mu; nil: no wait
}

func (p *paused[T]) arm(gates ...chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gates = gates
}

// Update calls the target's Update after waiting for a gate.
func (p *paused[T]) Update(ctx context.Context, do func(tx T) error) error {
	p.mu.Lock()
	var gate chan struct{}
	if len(p.gates) > 0 {
		gate, p.gates = p.gates[0], p.gates[1:]
	}
	p.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	return p.Target.Update(ctx, do)
}

// pausedOwner pauses an owner before it commits, until another one is far ahead. The
// paused commit must not affect the owner that comes next.
func pausedOwner[T projection.Tx](w *world[T]) error {
	target := &paused[T]{Target: w.target}
	w.run(w.new(target, (*runtime[T]).WithoutLease))
	w.settle()
	commit, next := make(chan struct{}), make(chan struct{})
	target.arm(nil, commit, next) // it loads, sends, and is paused
	if _, err := w.append(event{Job: "p", Name: "1", Send: []string{"p1"}}); err != nil {
		return err
	}
	w.settle()
	ahead := w.run(w.new(w.target, (*runtime[T]).WithoutLease))
	w.settle()
	if _, err := w.append(event{Job: "p", Name: "2", Send: []string{"p2"}}, event{Job: "p", Name: "3"}); err != nil {
		return err
	}
	w.settle()
	close(commit)
	w.settle()
	ahead.stop()
	w.run(w.new(w.target, (*runtime[T]).WithoutLease)) // which knows what the target holds
	if _, err := w.append(event{Job: "p", Name: "4", Dump: true}); err != nil {
		return err
	}
	w.settle()
	close(next)
	w.pass(time.Minute)
	return landed(w, map[string][]string{"p": {"p1", "p2", "seen 1 2 3 4"}})
}

func twoOwners[T projection.Tx](w *world[T]) error {
	alone := newWorld(w.ctx, w.fresh, w.plant)
	err := pausedOwner(alone)
	alone.close()
	if err != nil {
		return fmt.Errorf("the paused owner: %w", err)
	}
	w.receiver.wait = func(_ context.Context, c command) {
		time.Sleep(time.Duration(len(c.ID+c.Command)%5) * time.Millisecond)
	}
	for range 3 {
		w.run(w.new(&forgetful[T]{Target: w.target}, (*runtime[T]).WithoutLease))
	}
	want := map[string][]string{}
	for n := range 15 {
		for _, id := range []string{"a", "b"} {
			e := event{Job: id, Name: strconv.Itoa(n), Send: []string{fmt.Sprint(id, n)}}
			if n == 14 {
				e.Dump = true
			}
			want[id] = append(want[id], e.Send...)
			if _, err := w.append(e); err != nil {
				return err
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
	for id := range want {
		want[id] = append(want[id], "seen 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14")
	}
	w.pass(time.Minute)
	return landed(w, want)
}
