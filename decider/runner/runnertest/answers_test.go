package runnertest_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
)

// lie is a way to falsify one answer.
type lie string

const (
	fails    lie = "an error instead of a result"
	succeeds lie = "a result instead of an error"
	counts   lie = "another balance"
	repeats  lie = "a result, and the events once more"
)

// lied counts the answers that a lie can falsify, and falsifies one of them. It is shared
// by all systems of a part.
type lied struct {
	lie lie
	at  int // counted from 1; 0: none

	mu    sync.Mutex
	calls int // guarded by mu
}

// now reports whether to falsify an answer, if the lie applies to it.
func (l *lied) now(applies bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if applies {
		l.calls++
	}
	return applies && l.calls == l.at
}

// falsifier is the reference with one false answer.
type falsifier struct {
	*reference

	lied *lied
}

func (f falsifier) Handle(ctx context.Context, c runnertest.Call) (runnertest.Outcome, error) {
	out, err := f.reference.Handle(ctx, c)
	switch {
	case f.lied.lie == fails && f.lied.now(err == nil):
		return runnertest.Outcome{}, errBusy
	case f.lied.lie == succeeds && f.lied.now(err != nil):
		return out, nil
	case f.lied.lie == counts && f.lied.now(err == nil):
		out.State.Balance++
	case f.lied.lie == repeats && f.lied.now(err == nil && len(out.Events) > 0 && !out.Replayed):
		for _, e := range out.Events {
			encoded, failed := f.codec.Encode(e)
			if encoded.ID = store.NewID(); failed == nil {
				_, _ = f.store.Append(context.WithoutCancel(ctx), streamOf(c.ID), store.Any, []store.Event{encoded})
			}
		}
	}
	return out, err
}

func (f falsifier) Load(ctx context.Context, id string) (state, uint64, error) {
	s, version, err := f.reference.Load(ctx, id)
	switch {
	case f.lied.lie == fails && f.lied.now(err == nil):
		return state{}, 0, errBusy
	case f.lied.lie == succeeds && f.lied.now(err != nil):
		return s, version, nil
	case f.lied.lie == counts && f.lied.now(err == nil):
		s.Balance++
	}
	return s, version, err
}

// falsified returns what is wrong with the reference if one answer is false, and how many
// answers the lie could falsify.
func falsified(t *testing.T, part string, lie lie, at int) (failures []string, calls int) {
	t.Helper()
	l := &lied{lie: lie, at: at}
	failures = runnertest.Failures(t, part, func(d account, st store.Store, c codecOfEvents) runnertest.System {
		r, _ := openReference("", true, true)(d, st, c).(*reference)
		return falsifier{r, l}
	}, 10)
	return failures, l.calls
}

// TestEveryAnswerMatters checks that each clause notices a single false answer, whichever
// it is.
func TestEveryAnswerMatters(t *testing.T) {
	t.Parallel()
	for _, part := range runnertest.Parts() {
		if strings.HasPrefix(part, "schedules: ") || part == "simulations" {
			continue // they make too many calls
		}
		for _, lie := range []lie{fails, succeeds, counts, repeats} {
			t.Run(part+": "+string(lie), func(t *testing.T) {
				t.Parallel()
				_, calls := falsified(t, part, lie, 0)
				most := min(calls, 40, 4000/max(calls, 1)) // fewer if there are many calls, because that takes long
				for at := 1; at <= most; at += 1 + at/4 {
					if failures, made := falsified(t, part, lie, at); len(failures) == 0 && made >= at {
						t.Errorf("the clause does not notice %s in answer %d of %d", lie, at, calls)
					}
				}
			})
		}
	}
}
