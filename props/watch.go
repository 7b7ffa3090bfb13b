package props

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
)

// patience is how many seconds a user's function may take.
const patience = 10

// watch notices a user's function that does not return. Its methods do nothing on nil.
type watch struct {
	calls     atomic.Uint64    // begun and ended: odd during a call
	what      func() string    // the current call; written before it is counted
	story     func() string    // the history that led to it; written before it is counted
	abandoned atomic.Bool      // nothing waits any longer
	never     chan struct{}    // made outside of bubbles, where waiting for it is no deadlock
	seconds   <-chan time.Time // nil: use the clock
}

// enter records that a call begins. What describes it, and may be called until it ends.
func (w *watch) enter(what func() string) {
	w.what = what
	w.calls.Add(1)
}

// leave records that the call has ended. If nothing waits for it any longer, the goroutine
// stops here, because the test may be over.
func (w *watch) leave() {
	w.calls.Add(1)
	if w.abandoned.Load() {
		<-w.never
	}
}

// history sets the history that leads to the calls that follow.
func (w *watch) history(story func() string) {
	if w != nil {
		w.story = story
	}
}

// guard runs f, and returns the call that hangs in it, or "" if f returns.
func (w *watch) guard(f func()) (hung string) {
	seconds := w.seconds
	if seconds == nil {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		seconds = t.C
	}
	w.never = make(chan struct{})
	done, finished := make(chan struct{}), false
	var panicked any
	var stack []byte
	go func() {
		defer close(done)
		defer func() {
			if panicked = recover(); panicked != nil {
				stack = debug.Stack()
			}
		}()
		f()
		finished = true
	}()
	last, waited := uint64(0), 0
	for {
		select {
		case <-done:
			switch {
			case panicked != nil:
				panic(fmt.Sprintf("%v\n\n%s", panicked, stack))
			case !finished: // it has failed its test
				runtime.Goexit()
			}
			return ""
		case <-seconds:
			n := w.calls.Load()
			if n%2 == 0 || n != last {
				last, waited = n, 0
				continue
			}
			if waited++; waited < patience {
				continue
			}
			w.abandoned.Store(true)
			if w.calls.Load() == n {
				return w.report()
			}
		}
	}
}

func (w *watch) report() string {
	text := fmt.Sprintf("%s has not returned for %d seconds", w.what(), patience)
	if w.story != nil {
		text += w.story()
	}
	return text
}

// watched returns d without EvolveInPlace, with its Decide and Evolve watched under these
// names. They must not be called by several goroutines at once.
func watched[C, S, E any](w *watch, d decider.Decider[C, S, E], decide, evolve string) decider.Decider[C, S, E] {
	inner := d
	d.EvolveInPlace = nil
	var cmd C
	var state S
	var event E
	deciding := func() string { return fmt.Sprintf("%s(%s, %s)", decide, show.Text(cmd), show.Text(state)) }
	evolving := func() string { return fmt.Sprintf("%s(%s, %s)", evolve, show.Text(state), show.Text(event)) }
	d.Decide = func(c C, s S) ([]E, error) {
		cmd, state = c, s
		w.enter(deciding)
		defer w.leave()
		return inner.Decide(c, s)
	}
	d.Evolve = func(s S, e E) S {
		state, event = s, e
		w.enter(evolving)
		defer w.leave()
		return inner.Evolve(s, e)
	}
	return d
}

// watchedProcess returns p with its Key, React and Pending watched.
func watchedProcess[E, S, C any](w *watch, p decider.Process[E, S, C]) decider.Process[E, S, C] {
	inner := p
	var state S
	var event E
	keying := func() string { return fmt.Sprintf("Key(%s)", show.Text(event)) }
	evolving := func() string { return fmt.Sprintf("Evolve(%s, %s)", show.Text(state), show.Text(event)) }
	reacting := func() string { return fmt.Sprintf("React(%s, %s)", show.Text(state), show.Text(event)) }
	pending := func() string { return fmt.Sprintf("Pending(%s)", show.Text(state)) }
	p.Key = func(e E) (string, bool) {
		event = e
		w.enter(keying)
		defer w.leave()
		return inner.Key(e)
	}
	p.Evolve = func(s S, e E) S {
		state, event = s, e
		w.enter(evolving)
		defer w.leave()
		return inner.Evolve(s, e)
	}
	p.React = func(s S, e E) decider.Reaction[C, E] {
		state, event = s, e
		w.enter(reacting)
		defer w.leave()
		return inner.React(s, e)
	}
	if p.Pending != nil {
		p.Pending = func(s S) []C {
			state = s
			w.enter(pending)
			defer w.leave()
			return inner.Pending(s)
		}
	}
	return p
}
