package props

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/internal/show"
)

const (
	day  = 24 * time.Hour
	year = 365 * day

	// farthest is the year at which the clock of a bubble stops: after 2262 the runtime
	// cannot count its nanoseconds.
	farthest = 2200

	// atOnce is how often calls are repeated without delay to be sure: a map with two
	// entries has the same order seven times out of eight.
	atOnce = 32

	// minTimes is how often calls are repeated in a first check. AtOnceInAll is how often
	// they are repeated in all histories together, if there are few.
	minTimes, atOnceInAll = 2, 3000

	chance = "at once: does it use randomness, the order of a map, or hidden memory?"
)

// moments returns how long after the first call to repeat it, to find whatever depends on
// the clock: an instant, some hours, each day of the week, another month, year, age.
func moments() []time.Duration {
	return []time.Duration{time.Millisecond, 7 * time.Hour, day, 2 * day, 3 * day, 4 * day, 5 * day, 6 * day, 31 * day, 431 * day, 40 * year, 190 * year}
}

// again is a call that was made, with its result, for repetition.
type again[R any] struct {
	step int
	want R
	call func() R
	what func() string
}

// answer is what a call returned when it was repeated, or its panic.
type answer[R any] struct {
	value    R
	panicked error
}

func (c again[R]) answer() (a answer[R]) {
	a.panicked = catch(func() { a.value = c.call() })
	return a
}

// decision is what Decide returned.
type decision[E any] struct {
	events []E
	err    error
}

// String returns d with the type of its error.
func (d decision[E]) String() string {
	if d.err == nil {
		return show.Text(d.events)
	}
	return fmt.Sprintf("%s (error %v, a %T)", show.Text(d.events), d.err, d.err)
}

func (d decision[E]) decided() string { return d.String() }

// same reports whether d and o have the same events, and errors of the same type and
// text.
func (d decision[E]) same(o decision[E]) bool {
	if (d.err == nil) != (o.err == nil) || !show.Same(d.events, o.events) {
		return false
	}
	return d.err == nil || reflect.TypeOf(d.err) == reflect.TypeOf(o.err) && d.err.Error() == o.err.Error()
}

func decideDeterministic[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	return r.ifPure(cmds, inBubble(r.t, func() *breach {
		var calls []again[decision[E]]
		r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			calls = append(calls, again[decision[E]]{
				i,
				decision[E]{s.Events, s.Err},
				func() decision[E] {
					events, err := r.decider.Decide(s.Command, s.Before)
					return decision[E]{events, err}
				},
				func() string { return show.Text(s.Command) + " decided" },
			})
			return nil
		})
		return repeat(r.thorough, r.times, calls, decision[E].same, decision[E].String)
	}))
}

func evolveDeterministic[C, S, E any](r *run[C, S, E], cmds []C) *breach {
	return r.ifPure(cmds, inBubble(r.t, func() *breach {
		var calls []again[S]
		r.evolutions(cmds, func(i int, state S, e E) *breach {
			evolve := func() S { return r.decider.Evolve(state, e) }
			calls = append(calls, again[S]{i, evolve(), evolve, func() string { return show.Text(e) + " evolved" }})
			return nil
		})
		return repeat(r.thorough, r.times, calls, show.Same[S], show.Text[S])
	}))
}

// inBubble runs check in virtual time. It panics if check does.
func inBubble(t *testing.T, check func() *breach) (b *breach) {
	t.Helper()
	var err error
	synctest.Test(t, func(*testing.T) { err = catch(func() { b = check() }) })
	if err != nil {
		panic(err)
	}
	return b
}

// repeat makes calls again, at once and later, and compares the results. Unless it is
// thorough it makes some of them at some moments, which differ from history to history.
func repeat[R any](thorough bool, times int, calls []again[R], same func(a, b R) bool, text func(R) string) *breach {
	began, stride := now(), 4
	differs := func(c *again[R], got answer[R], hint string) *breach {
		second := text(got.value)
		if got.panicked != nil {
			second = got.panicked.Error()
		}
		return breachf(c.step, "%s twice on one state:\n  first   %s\n  second  %s   ← %s", c.what(), text(c.want), second, hint)
	}
	if thorough {
		times, stride = atOnce, 1
	}
	for range times {
		if c, got := differing(calls, 0, 1, same); c != nil {
			return differs(c, got, chance)
		}
	}
	all := moments()
	for n := len(calls) % stride; n < len(all); n += stride {
		at := began.Add(all[n])
		if at.Year() >= farthest {
			break
		}
		time.Sleep(time.Until(at)) //nolint:forbidigo // virtual time
		c, got := differing(calls, n%stride, stride, same)
		switch {
		case c == nil:
		case steady(*c, got, same):
			return differs(c, got, "on "+at.Format("2006-01-02, a Monday, 15:04:05.000")+": does it look at the clock?")
		default:
			return differs(c, got, chance)
		}
	}
	return nil
}

// differing repeats every stride-th call, and returns the first whose result differs.
func differing[R any](calls []again[R], first, stride int, same func(a, b R) bool) (c *again[R], got answer[R]) {
	for i := first; i < len(calls); i += stride {
		if got = calls[i].answer(); got.panicked != nil || !same(calls[i].want, got.value) {
			return &calls[i], got
		}
	}
	return nil, got
}

// steady reports whether c keeps returning got when it is repeated at once.
func steady[R any](c again[R], got answer[R], same func(a, b R) bool) bool {
	for range atOnce {
		again := c.answer()
		if (again.panicked == nil) != (got.panicked == nil) || got.panicked == nil && !same(got.value, again.value) {
			return false
		}
	}
	return true
}

func now() time.Time { return time.Now() } //nolint:forbidigo // also the clock of a bubble
