package props

import (
	"reflect"
	"sync"
	"time"

	"github.com/evolvego/evolve/internal/show"
)

const (
	sharers     = 4  // goroutines that use one state
	sharedCalls = 12 // decisions and evolutions of each goroutine
	burst       = 64 // calls in a row whose results are not compared in between

	// sharedTime is how long the calls of a history are made, and sharedLong how long to
	// be sure. The calls must overlap, which is rare on a busy machine.
	sharedTime = 16 * time.Millisecond
	sharedLong = 200 * time.Millisecond
)

// sharedCall is a call that several goroutines make at once.
type sharedCall struct {
	step  int
	call  func() any
	what  string
	alone any    // result when it runs alone
	want  string // as text
}

// sharing makes the calls of a history in several goroutines at once, each call on one
// state that they share, and compares the results with those of single calls. With -race
// it finds more. On a machine with one processor the calls hardly ever overlap.
func sharing[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	calls := r.shared(play(r.decider, cmds))
	if len(calls) == 0 {
		return nil
	}
	until := now().Add(sharedTime)
	if r.thorough {
		until = now().Add(sharedLong)
	}
	for n := 0; n == 0 || now().Before(until); n++ {
		if i, got := together(calls, n); got != "" {
			return breachf(calls[i].step, "%s on one state, in several goroutines:\n  alone     %s\n  together  %s   ← does the decider use a shared buffer or cache?",
				calls[i].what, calls[i].want, got)
		}
	}
	return nil
}

// together makes a burst of calls in each of the goroutines at once. It returns the index
// and the result of a call whose result differs from that of a single call.
func together(calls []sharedCall, round int) (i int, wrong string) {
	var ready, done sync.WaitGroup
	ready.Add(sharers)
	var mu sync.Mutex // guards i and wrong
	for g := range sharers {
		done.Go(func() {
			var results [burst]any
			ready.Done()
			ready.Wait()
			at := func(n int) int { return (n + n/len(calls)*g + g + round) % len(calls) }
			for n := range burst {
				results[n] = calls[at(n)].call()
			}
			for n, got := range results[:] {
				c := calls[at(n)]
				if reflect.DeepEqual(got, c.alone) {
					continue
				}
				if text := sharedText(got); text != c.want {
					mu.Lock()
					i, wrong = at(n), text
					mu.Unlock()
				}
			}
		})
	}
	done.Wait()
	return i, wrong
}

// shared returns some of the decisions and evolutions of h.
func (r *run[C, S, E]) shared(h History[C, S, E]) []sharedCall {
	var all []sharedCall
	for i, s := range h.Steps {
		all = append(all, sharedCall{
			step: i,
			call: func() any {
				events, err := r.unwatched.Decide(s.Command, s.Before)
				return decision[E]{events, err}
			},
			what: show.Text(s.Command) + " decided",
		})
		if s.acted() {
			all = append(all, sharedCall{
				step: i,
				call: func() any { return r.unwatched.Evolve(s.Before, s.Events[0]) },
				what: show.Text(s.Events[0]) + " evolved",
			})
		}
	}
	some := all[:0:0]
	for i := 0; i < len(all); i += 1 + len(all)/sharedCalls {
		c := all[i]
		call := c.call
		c.call = func() any { return calmly(call) }
		c.alone = c.call()
		c.want = sharedText(c.alone)
		some = append(some, c)
	}
	return some
}

// sharedText returns a result as text.
func sharedText(result any) string {
	if d, ok := result.(interface{ decided() string }); ok {
		return d.decided()
	}
	return show.Text(result)
}

// calmly returns the result of call, or its panic.
func calmly(call func() any) (result any) {
	if err := catch(func() { result = call() }); err != nil {
		return err.Error()
	}
	return result
}
