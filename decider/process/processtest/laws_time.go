package processtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

func remind(id string, after time.Duration) event {
	return event{Job: id, Name: "1", Later: []later{{"remind", after, &event{Name: "due", Dump: true}}}}
}

// slow is a target whose transactions take a while.
type slow[T projection.Tx] struct{ projection.Target[T] }

// Update calls the target's Update, later.
func (s slow[T]) Update(ctx context.Context, do func(tx T) error) error {
	time.Sleep(100 * time.Millisecond)
	return s.Target.Update(ctx, do)
}

func firesOnce[T projection.Tx](w *world[T]) error {
	for range 2 { // so slow that both see the timer before one of them has handled it
		w.run(w.new(slow[T]{w.target}, (*runtime[T]).WithoutLease))
	}
	started, err := w.append(remind("a", time.Minute))
	if err != nil {
		return err
	}
	w.pass(5 * time.Minute)
	w.run(w.new(w.target, (*runtime[T]).WithoutLease)) // one more, which starts late
	w.pass(5 * time.Minute)
	own, err := w.own("a")
	if err != nil {
		return err
	}
	if len(own) != 1 {
		return fmt.Errorf("a timer was recorded %d times in %s/a", len(own), name)
	}
	if own[0].Meta.CausationID != started.ID || own[0].Meta.CorrelationID != started.Meta.CorrelationID {
		return fmt.Errorf("the event of the timer carries %+v, want that event %s caused it, and its correlation", own[0].Meta, started.ID)
	}
	return landed(w, map[string][]string{"a": {"seen 1 due"}})
}

// gated is a log whose subscriptions stop while the gate is closed.
type gated struct {
	process.Store
	gate chan struct{} // closed: open
}

// Subscribe calls the log's Subscribe after the gate.
func (g *gated) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		for page, err := range g.Store.Subscribe(ctx, o) {
			if len(page.Events) > 0 && page.Events[len(page.Events)-1].Position > 1 {
				select {
				case <-g.gate:
				case <-ctx.Done():
				}
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func overtakesNothing[T projection.Tx](w *world[T]) error {
	g := &gated{Store: w.log, gate: make(chan struct{})}
	w.log = g
	r := w.new(w.target)
	w.run(r)
	all := event{Job: "a", Name: "1", Later: []later{
		{"stopped", time.Minute, &event{Name: "never", Send: []string{"never"}}},
		{"second", time.Minute, &event{Name: "due", Dump: true}},
	}}
	if _, err := w.append(all); err != nil {
		return err
	}
	w.pass(time.Minute - time.Millisecond)
	if own, err := w.own("a"); err != nil || len(own) > 0 {
		return join(err, fmt.Errorf("%d timers fired before they were due", len(own)))
	}
	_, err := w.append(event{Job: "a", Name: "2", Cancel: []string{"stopped"}}, event{Name: "nobody's"})
	if err != nil {
		return err
	}
	w.pass(time.Minute) // the timers are due, and earlier events are not handled
	if own, err := w.own("a"); err != nil || len(own) > 0 {
		return join(err, fmt.Errorf("%d timers overtook events that were recorded before they were due", len(own)))
	}
	close(g.gate)
	w.pass(time.Minute)
	own, err := w.own("a")
	if err != nil || len(own) != 1 {
		return join(err, fmt.Errorf("%d timers fired, want the one that was not stopped", len(own)))
	}
	return landed(w, map[string][]string{"a": {"seen 1 2 due"}})
}

func stale[T projection.Tx](w *world[T]) error {
	down := true
	w.receiver.before = func(c command) error {
		if c.Command == "slow" && down {
			return errDown
		}
		return nil
	}
	w.run(w.new(w.target))
	_, err := w.append(
		event{Job: "a", Name: "1", Later: []later{
			{"stopped", time.Minute, &event{Name: "never", Send: []string{"never"}}},
			{"anew", time.Minute, &event{Name: "first", Send: []string{"first"}}},
		}},
		event{Job: "a", Name: "2", Send: []string{"slow"}, Cancel: []string{"stopped"}, Later: []later{
			{"anew", 4 * time.Minute, &event{Name: "second", Dump: true}},
		}})
	if err != nil {
		return err
	}
	w.pass(2 * time.Minute) // both timers have fired, behind the waiting input
	if own, err := w.own("a"); err != nil || len(own) != 2 {
		return join(err, fmt.Errorf("%d timers fired, want 2", len(own)))
	}
	w.receiver.set(func() { down = false })
	w.pass(5 * time.Minute)
	return landed(w, map[string][]string{"a": {"slow", "seen 1 2 second"}})
}

func firedThenSent[T projection.Tx](w *world[T]) error {
	w.receiver.fail(func(c command) error {
		if c.Command == "due" {
			return errDown
		}
		return nil
	})
	r := w.new(w.target)
	g := w.run(r)
	_, err := w.append(event{Job: "a", Name: "1", Later: []later{{"t", time.Minute, &event{
		Name: "2", Send: []string{"before", "due"}, Later: []later{{"next", time.Minute, &event{Name: "3", Dump: true}}},
	}}}})
	if err != nil {
		return err
	}
	w.pass(3 * time.Minute)
	found, err := r.Instances(w.ctx, nil)
	if err != nil || len(found) != 1 || found[0].Timers != 1 || found[0].Waiting == nil {
		return join(err, fmt.Errorf("while its command cannot be sent, the instance is %+v, want it to wait with its timer", found))
	}
	g.stop()
	w.receiver.fail(nil)
	w.run(w.new(w.target))
	w.pass(5 * time.Minute)
	return landed(w, map[string][]string{"a": {"before", "due", "seen 1 2 3"}})
}

func overIsOver[T projection.Tx](w *world[T]) error {
	g := w.run(w.new(w.target))
	_, err := w.append(
		event{Job: "a", Name: "1", Later: []later{{"t", time.Minute, &event{Name: "due", Send: []string{"due"}}}}},
		event{Job: "a", Name: "2", End: true, Send: []string{"bye"}, Later: []later{{"u", time.Minute, &event{Name: "due", Send: []string{"due"}}}}},
		event{Job: "a", Name: "3", Dump: true})
	if err != nil {
		return err
	}
	w.pass(5 * time.Minute)
	g.stop()
	r := w.new(w.target)
	w.run(r)
	if _, err := w.append(event{Job: "a", Name: "4", Dump: true, Later: []later{{"v", time.Minute, &event{Name: "due", Send: []string{"due"}}}}}); err != nil {
		return err
	}
	w.pass(5 * time.Minute)
	own, err := w.own("a")
	if err != nil || len(own) > 0 {
		return join(err, fmt.Errorf("%d timers of an ended instance fired", len(own)))
	}
	if n := r.Progress().Timers; n != 0 {
		return fmt.Errorf("%d timers of an ended instance run", n)
	}
	if err := landed(w, map[string][]string{"a": {"bye"}}); err != nil {
		return err
	}
	live, err := r.Instances(w.ctx, nil)
	if err != nil || len(live) != 0 {
		return join(err, fmt.Errorf("instances that are not over: %+v", live))
	}
	all, err := r.Instances(w.ctx, func(process.Instance) bool { return true })
	if err != nil || len(all) != 1 || !all[0].Over || all[0].Abandoned {
		return join(err, fmt.Errorf("all instances are %+v, want the one that is over, not abandoned", all))
	}
	if err := r.Abandon(w.ctx, "a"); !errors.Is(err, process.ErrNoInstance) {
		return fmt.Errorf("abandon of an ended instance = %s, want ErrNoInstance", answer(err))
	}
	return nil
}
