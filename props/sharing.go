package props

import (
	"runtime"
	"sync"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

const (
	sharers      = 4  // goroutines that use one state
	sharedCalls  = 12 // decisions and evolutions that they make
	sharedRounds = 64 // how often, to be sure
)

// sharing makes the calls of a history in several goroutines at once, each call
// on one state for all of them, and wants the results that they have alone. Run
// with -race it finds more.
func sharing[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	h := play(r.decider, cmds)
	calls, rounds := r.shared(h), 4
	if r.thorough {
		rounds = sharedRounds
	}
	wrong := make([]string, len(calls))
	var mu sync.Mutex // guards wrong
	var ready, done sync.WaitGroup
	ready.Add(sharers)
	for g := range sharers {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			for n := range rounds * len(calls) {
				i := (n + g) % len(calls)
				if got := calls[i].call(); got != calls[i].want {
					mu.Lock()
					wrong[i] = got
					mu.Unlock()
				}
				runtime.Gosched()
			}
		})
	}
	done.Wait()
	for i, got := range wrong {
		if got != "" {
			return breachf(calls[i].step, "%s on one state, in several goroutines:\n  alone     %s\n  together  %s   ← is there a buffer or a cache beside the arguments?",
				calls[i].what(), calls[i].want, got)
		}
	}
	return nil
}

// shared returns some of the decisions and evolutions of h, with their results as
// text.
func (r *run[C, S, E]) shared(h History[C, S, E]) []again[string] {
	var all []again[string]
	for i, s := range h.Steps {
		all = append(all, again[string]{
			step: i,
			call: func() string {
				events, err := r.decider.Decide(value.Clone(s.Command), s.Before)
				return decision[E]{events, err}.String()
			},
			what: func() string { return show.Text(s.Command) + " decided" },
		})
		if s.Err == nil && len(s.Events) > 0 {
			all = append(all, again[string]{
				step: i,
				call: func() string { return show.Text(r.decider.Evolve(s.Before, s.Events[0])) },
				what: func() string { return show.Text(s.Events[0]) + " evolved" },
			})
		}
	}
	some := all[:0:0]
	for i := 0; i < len(all); i += 1 + len(all)/sharedCalls {
		all[i].want = calmly(all[i].call)
		all[i].call = func(call func() string) func() string { return func() string { return calmly(call) } }(all[i].call)
		some = append(some, all[i])
	}
	return some
}

// calmly returns the result of call, or its panic.
func calmly(call func() string) (result string) {
	if err := catch(func() { result = call() }); err != nil {
		return err.Error()
	}
	return result
}
