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
	"github.com/evolvego/evolve/store"
)

// scenario records a history with everything in it: commands, timers, a split event, two
// instances, and an end. It returns the commands that must be executed, in order for each
// job.
func scenario[T projection.Tx](w *world[T]) (want map[string][]string, err error) {
	_, err = w.append(
		event{Job: "a", Name: "1", Send: []string{"a1", "a2"}, Later: []later{{"remind", time.Minute, &event{Name: "due", Send: []string{"a-due"}}}}},
		event{Job: "b", Name: "1", Send: []string{"b1"}},
		event{Name: "nobody's"},
		event{Job: "b", Name: "2", Send: []string{"b2", "b2"}, Later: []later{{"stopped", time.Minute, &event{Name: "never", Send: []string{"never"}}}}},
		event{Job: "b", Name: "3", Cancel: []string{"stopped"}},
	)
	if err == nil {
		err = w.appendBoth(event{Job: "a", Name: "2", Send: []string{"a3"}}, event{Job: "a", Name: "3", Send: []string{"a4"}})
	}
	return map[string][]string{
		"a": {"a1", "a2", "a3", "a4", "a-due", "seen 1 2 3 due z"},
		"b": {"b1", "b2", "b2", "seen 1 2 3 z"},
	}, err
}

// landed checks which commands were executed, job by job. Commands are named after their
// jobs.
func landed[T projection.Tx](w *world[T], want map[string][]string) error {
	got := map[string][]string{}
	w.receiver.mu.Lock()
	once := map[string]bool{}
	for _, c := range w.receiver.calls {
		if !once[c.ID] && w.receiver.ids[c.ID] {
			once[c.ID] = true
			got[c.Instance] = append(got[c.Instance], c.Command)
		}
	}
	w.receiver.mu.Unlock()
	return differ("the executed commands", got, want)
}

func effectOnce[T projection.Tx](w *world[T]) error {
	return everyCrash(w, func(w *world[T], c *crash) error {
		w.receiver.fail(func(command) error { return c.here() })
		w.receiver.after = func(command) error { return c.here() }
		want, err := scenario(w)
		if err != nil {
			return err
		}
		g := w.run(w.new(fragile[T]{w.target, c}))
		c.mu.Lock()
		c.stop = g.cancel
		c.mu.Unlock()
		restarted := false
		restart := func() {
			if c.happened() && !restarted {
				g.stop()
				w.run(w.new(w.target))
				restarted = true
			}
		}
		w.pass(70 * time.Second)
		restart()
		w.pass(90 * time.Second)
		if _, err := w.append(event{Job: "a", Name: "z", Dump: true}, event{Job: "b", Name: "z", Dump: true}); err != nil {
			return err
		}
		w.pass(70 * time.Second)
		restart()
		w.pass(90 * time.Second)
		return landed(w, want)
	})
}

func idsFollow[T projection.Tx](w *world[T]) error {
	react := func(send ...string) decider.Process[event, job, string] {
		p := jobs()
		p.React = func(job, event) decider.Reaction[string, event] { return decider.Reaction[string, event]{Send: send} }
		return p
	}
	if _, err := w.append(event{Job: "a", Name: "1"}, event{Job: "b", Name: "1"}); err != nil {
		return err
	}
	c := &crash{left: -1}
	last := 0
	w.receiver.after = func(command) error { // all are sent, and the transaction after them fails
		if last++; last == 6 {
			c.mu.Lock()
			c.left = 1
			c.mu.Unlock()
		}
		return nil
	}
	g := w.run(w.process(fragile[T]{w.target, c}, react("x", "x", "y"), (*runtime[T]).WithoutLease, one[T]))
	c.mu.Lock()
	c.stop = g.cancel
	c.mu.Unlock()
	w.settle()
	if n := w.receiver.count(); n != 6 || !c.happened() {
		return fmt.Errorf("the commands of both jobs were not sent: %d of 6 commands", n)
	}
	g.stop()
	w.receiver.set(func() { w.receiver.after = nil })
	w.run(w.process(w.target, react("new", "y", "x", "x"))) // deployed meanwhile
	w.settle()
	return landed(w, map[string][]string{"a": {"x", "x", "y", "new"}, "b": {"x", "x", "y", "new"}})
}

// one makes a process work on one instance at a time.
func one[T projection.Tx](r *runtime[T]) *runtime[T] { return r.WithWorkers(1) }

// watched is a target that calls look after each transaction.
type watched[T projection.Tx] struct {
	projection.Target[T]
	look func()
}

// Update calls the target's Update.
func (t watched[T]) Update(ctx context.Context, do func(tx T) error) error {
	err := t.Target.Update(ctx, do)
	if err == nil {
		t.look()
	}
	return err
}

func sentThenSaved[T projection.Tx](w *world[T]) error {
	var mu sync.Mutex
	var violated error
	var positions []uint64
	for n := range 5 {
		last, err := w.append(event{Job: "a", Name: strconv.Itoa(n), Send: []string{fmt.Sprint("a", n)}})
		if err != nil {
			return err
		}
		positions = append(positions, last.Position)
	}
	look := func() {
		var c store.Checkpoint
		err := w.target.Update(w.ctx, func(tx T) (err error) {
			c, err = tx.LoadCheckpoint("process/" + name + "@1")
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		violated = join(violated, err)
		for n, position := range positions {
			if position <= c.Position && !slices.Contains(w.receiver.all(), fmt.Sprint("a", n)) {
				violated = fmt.Errorf("the checkpoint is at position %d, but the command of the event at %d was not sent", c.Position, position)
			}
		}
	}
	w.receiver.wait = func(context.Context, command) { time.Sleep(time.Second) }
	w.run(w.new(watched[T]{w.target, look}))
	w.pass(time.Minute)
	mu.Lock()
	defer mu.Unlock()
	return join(violated, landed(w, map[string][]string{"a": {"a0", "a1", "a2", "a3", "a4"}}))
}

func inOrder[T projection.Tx](w *world[T]) error {
	want := map[string][]string{}
	for n := range 20 {
		for _, id := range []string{"a", "b"} {
			e := event{Job: id, Name: strconv.Itoa(n), Send: []string{fmt.Sprint(id, n, "x"), fmt.Sprint(id, n, "y")}}
			want[id] = append(want[id], e.Send...)
			if _, err := w.append(e); err != nil {
				return err
			}
		}
	}
	arrived := make(chan struct{})
	alone := false
	w.receiver.wait = func(ctx context.Context, c command) {
		switch c.Command {
		case "a0x": // continues when the command of b is in flight as well
			select {
			case <-arrived:
			case <-ctx.Done():
				alone = true
			}
		case "b0x":
			close(arrived)
		}
	}
	w.run(w.new(w.target))
	w.pass(time.Minute)
	if alone {
		return errors.New("a command of job a is in flight, and job b waits for it")
	}
	return landed(w, want)
}

func watermark[T projection.Tx](w *world[T]) error {
	failed := false
	w.receiver.before = func(c command) error {
		if c.Command == "second" && !failed {
			failed = true
			return errDown
		}
		return nil
	}
	err := w.appendBoth(event{Job: "a", Name: "1", Send: []string{"first"}}, event{Job: "a", Name: "2", Send: []string{"second"}})
	if err != nil {
		return err
	}
	w.run(w.new(w.target))
	w.pass(time.Minute)
	if n := len(w.receiver.of("first")); n != 1 {
		return fmt.Errorf("the command of the first part was sent %d times, though only the second part had failed", n)
	}
	if _, err := w.append(event{Job: "a", Name: "3", Dump: true}); err != nil {
		return err
	}
	w.settle()
	return landed(w, map[string][]string{"a": {"first", "second", "seen 1 2 3"}})
}

func keepsItsOwn[T projection.Tx](w *world[T]) error {
	down := true
	w.receiver.before = func(c command) error {
		if c.Instance == "a" && down {
			return errDown
		}
		return nil
	}
	r := w.new(w.target)
	w.run(r)
	for n := range 3 {
		last, err := w.append(
			event{Job: "a", Name: strconv.Itoa(n), Send: []string{fmt.Sprint("a", n)}},
			event{Job: "b", Name: strconv.Itoa(n), Send: []string{fmt.Sprint("b", n)}})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
		err = join(r.WaitFor(ctx, last.Position), r.WaitFor(ctx, last.Position, "b"))
		if again := r.WaitFor(ctx, last.Position, "a"); !errors.Is(again, process.ErrWaiting) {
			err = join(err, fmt.Errorf("wait for the job that fails = %s, want ErrWaiting", answer(again)))
		}
		cancel()
		if err != nil {
			return err
		}
	}
	w.settle()
	if err := landed(w, map[string][]string{"b": {"b0", "b1", "b2"}}); err != nil {
		return err
	}
	if err := waits(w, r, "a", false); err != nil {
		return err
	}
	w.receiver.set(func() { down = false })
	w.pass(time.Minute)
	if p := r.Progress(); p.Waiting != 0 || p.State != process.Live {
		return fmt.Errorf("after the cause was fixed the progress is %+v, want that it is live, and nothing waits", p)
	}
	return landed(w, map[string][]string{"a": {"a0", "a1", "a2"}, "b": {"b0", "b1", "b2"}})
}

// waits returns an error unless exactly this job waits, quarantined or not.
func waits[T projection.Tx](w *world[T], r *runtime[T], id string, quarantined bool) error {
	all, err := r.Instances(w.ctx, func(i process.Instance) bool { return i.Waiting != nil })
	if err != nil {
		return err
	}
	if len(all) != 1 || all[0].ID != id || all[0].Waiting.Quarantined != quarantined || all[0].Waiting.Cause == "" ||
		all[0].Waiting.Position == 0 || all[0].Waiting.Since.IsZero() || all[0].Waiting.Attempts == 0 {
		return fmt.Errorf("the instances that wait are %+v, want %q, quarantined: %v", all, id, quarantined)
	}
	p, counted := r.Progress(), 1
	if quarantined {
		counted = 0
	}
	if p.Waiting != counted || p.Quarantined != 1-counted {
		return fmt.Errorf("the progress says that %d wait and %d are quarantined, want %d and %d", p.Waiting, p.Quarantined, counted, 1-counted)
	}
	return nil
}

func quarantine[T projection.Tx](w *world[T]) error {
	r := w.new(w.target)
	w.run(r)
	if _, err := w.append(event{Job: "pure", Name: "1", Panic: true, Send: []string{"x"}}); err != nil {
		return err
	}
	w.pass(2 * time.Minute)
	if err := waits(w, r, "pure", true); err != nil {
		return err
	}
	if n := len(w.seen.of(process.InstanceQuarantined)); n != 1 || len(w.seen.of(process.InstanceFailed)) != 0 {
		return fmt.Errorf("a permanent failure was reported %d times as quarantined, and %d times as retried", n, len(w.seen.of(process.InstanceFailed)))
	}
	if err := r.Abandon(w.ctx, "pure"); err != nil {
		return err
	}
	w.receiver.fail(func(command) error { return errDown })
	began := time.Now()
	if _, err := w.append(event{Job: "down", Name: "1", Send: []string{"y"}}); err != nil {
		return err
	}
	w.pass(4 * time.Minute)
	if err := waits(w, r, "down", false); err != nil {
		return fmt.Errorf("before the budget is spent: %w", err)
	}
	w.pass(2 * time.Minute)
	if err := waits(w, r, "down", true); err != nil {
		return fmt.Errorf("after the budget is spent: %w", err)
	}
	calls := w.receiver.of("y")
	if len(calls) < 20 || len(calls) > 120 {
		return fmt.Errorf("a command was sent %d times in 5 minutes", len(calls))
	}
	if early, late := calls[2].at.Sub(calls[1].at), calls[len(calls)-1].at.Sub(calls[len(calls)-2].at); early > time.Second || late < 2*time.Second {
		return fmt.Errorf("the pauses do not grow: %v, and %v in the end", early, late)
	}
	n := w.receiver.count()
	w.pass(2 * time.Minute)
	if w.receiver.count() != n {
		return errors.New("a quarantined instance is retried")
	}
	if last := calls[len(calls)-1].at.Sub(began); last > 6*time.Minute {
		return fmt.Errorf("the last attempt was after %v", last)
	}
	return nil
}

func release[T projection.Tx](w *world[T]) error {
	r := w.new(w.target)
	w.run(r)
	w.receiver.fail(func(c command) error {
		if strings.HasPrefix(c.Command, "bad") {
			return process.Permanent(errDown)
		}
		return nil
	})
	var bad []store.Recorded
	for _, id := range []string{"a", "b", "c"} {
		if _, err := w.append(event{Job: id, Name: "1", Send: []string{id + "1"}}); err != nil {
			return err
		}
		last, err := w.append(event{Job: id, Name: "2", Send: []string{"bad"}})
		if err != nil {
			return err
		}
		bad = append(bad, last)
		if _, err := w.append(event{Job: id, Name: "3", Dump: true, Later: []later{{"t", time.Minute, &event{Name: "due", Send: []string{id + "-due"}}}}}); err != nil {
			return err
		}
	}
	w.pass(2 * time.Minute)
	if p := r.Progress(); p.Quarantined != 3 {
		return fmt.Errorf("%d instances are quarantined, want 3", p.Quarantined)
	}
	if err := r.Skip(w.ctx, "b", bad[0].Position); !errors.Is(err, process.ErrNotWaiting) {
		return fmt.Errorf("skip of another position = %s, want ErrNotWaiting", answer(err))
	}
	err := join(r.Skip(w.ctx, "b", bad[1].Position), r.Abandon(w.ctx, "c"))
	w.settle()
	w.receiver.fail(nil) // fixed
	err = join(err, r.Release(w.ctx, "a"))
	if err != nil {
		return err
	}
	w.pass(10 * time.Minute)
	if _, err := w.append(event{Job: "c", Name: "4", Dump: true}); err != nil {
		return err
	}
	w.settle()
	for id, want := range map[string]error{"a": process.ErrNotWaiting, "nobody": process.ErrNoInstance, "c": process.ErrNoInstance} {
		if err := r.Release(w.ctx, id); !errors.Is(err, want) {
			return fmt.Errorf("release of %q = %s, want %w", id, answer(err), want)
		}
	}
	for kind, n := range map[process.Kind]int{process.InstanceReleased: 1, process.InputSkipped: 1, process.InstanceAbandoned: 1} {
		if got := len(w.seen.of(kind)); got != n {
			return fmt.Errorf("%q was reported %d times, want %d", kind, got, n)
		}
	}
	if p := r.Progress(); p.Quarantined != 0 || p.Waiting != 0 {
		return fmt.Errorf("in the end the progress is %+v, want that nothing waits", p)
	}
	return landed(w, map[string][]string{"a": {"a1", "bad", "seen 1 2 3", "a-due"}, "b": {"b1", "seen 1 3", "b-due"}, "c": {"c1"}})
}
