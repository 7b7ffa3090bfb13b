// Package schedule runs a scenario with several clients under many schedules: under
// every order of their calls and every fault, or under random ones.
package schedule

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/store/storetest/faults"
)

// Limits limits a search. The zero Limits searches without faults.
type Limits struct {
	// Faults is the maximum number of faults in one schedule.
	Faults int
	// Kinds lists the faults to try: [faults.Down] for any call, [faults.Lost] for a call
	// that changes something, [faults.Late] for an append, and [faults.Undone] for a
	// transaction. Nil means all of them. Fewer kinds mean fewer schedules.
	Kinds []faults.Fault
	// Schedules is the maximum number of schedules to run. Zero means all of them for
	// [Explore], and 100 for [Simulate].
	Schedules int
	// Seed is the seed of the first schedule of Simulate. Each further schedule adds one.
	// Zero means the value of the flag -rapid.seed, or a random seed if the flag is not
	// set.
	Seed uint64

	every bool // also run schedules that no client can tell from an earlier one
}

func (l Limits) kinds() []faults.Fault {
	if l.Kinds == nil {
		return []faults.Fault{faults.Down, faults.Lost, faults.Late, faults.Undone}
	}
	return l.Kinds
}

// Explore runs a scenario under every schedule: every order of the calls that its
// clients make, and every fault at every call. It tries only one of several orders that
// no client can tell apart; see [Sim.Client] and [Sim.Alike]. It returns the number of
// schedules. If a schedule fails, it returns the first one that fails as an error, made
// as short as possible.
//
// Explore calls scene once for each schedule to set up the scenario. Scene must do the
// same each time, and take random numbers only from [Sim.Random]. The scenario runs in
// a bubble of testing/synctest, where time passes only while all goroutines wait. No
// client may hold a mutex during a call.
//
// A schedule fails if the scenario calls Errorf or Fatalf of the Sim, or if the history
// of a stream is not linearizable (see [history.Check]).
func Explore(t *testing.T, limits Limits, scene func(s *Sim)) (schedules int, err error) {
	t.Helper()
	for x := (&explorer{}); limits.Schedules == 0 || schedules < limits.Schedules; {
		s := simulate(t, limits, x.choose, 0, scene)
		if !x.repeats {
			schedules++
		}
		if s.failed() {
			s = shrink(t, limits, s, scene)
			return schedules, fmt.Errorf("schedule %d: %s", schedules, s.report())
		}
		if !x.next(s) {
			break
		}
	}
	return schedules, nil
}

// Simulate runs a scenario under random schedules. It returns the first one that fails
// as an error, which contains its seed. To see that schedule again, pass the seed as
// the flag -rapid.seed, as with pgregory.net/rapid, or as Limits.Seed.
func Simulate(t *testing.T, limits Limits, scene func(s *Sim)) error {
	t.Helper()
	seed, most := limits.Seed, uint64(100)
	if limits.Schedules > 0 {
		most = uint64(limits.Schedules)
	}
	if seed == 0 {
		seed = cmp.Or(flagSeed(), rand.Uint64())
	}
	for end := seed + most; seed != end; seed++ {
		random := rand.New(rand.NewPCG(seed, 1))
		s := simulate(t, limits, func(_ *Sim, options []option) int { return random.IntN(len(options)) }, seed, scene)
		if s.failed() {
			s = shrink(t, limits, s, scene)
			return fmt.Errorf("schedule of seed %d (to repeat: -rapid.seed=%[1]d): %s", seed, s.report())
		}
	}
	return nil
}

// flagSeed returns the value of the flag -rapid.seed, or zero if it is not set.
func flagSeed() (seed uint64) {
	if f := flag.Lookup("rapid.seed"); f != nil {
		seed, _ = strconv.ParseUint(f.Value.String(), 10, 64) // package flag has checked that it is a number
	}
	return seed
}

// replay follows choices, and then always takes the first option.
func replay(choices []int) chooser {
	return func(s *Sim, options []option) int {
		if step := len(s.taken); step < len(choices) {
			return min(choices[step], len(options)-1)
		}
		return 0
	}
}

func chosen(s *Sim) []int {
	choices := make([]int, len(s.taken))
	for i, t := range s.taken {
		choices[i] = t.choice
	}
	return choices
}

// shrink looks for simulations that fail like s with fewer steps and faults, and
// returns the simplest.
func shrink(t *testing.T, limits Limits, s *Sim, scene func(s *Sim)) *Sim {
	t.Helper()
	const tries = 500
	tried := 0
	better := func(choices []int) bool {
		tried++
		next := simulate(t, limits, replay(choices), s.seed, scene)
		if !next.failed() || !next.simpler(s) {
			return false
		}
		s = next
		return true
	}
	for again := true; again && tried < tries; {
		again = false
		for i := 0; i < len(s.taken) && tried < tries; i++ {
			choices := chosen(s)
			if choices[i] == 0 && i > 0 {
				continue
			}
			again = better(choices[:i]) || better(slices.Delete(slices.Clone(choices), i, i+1)) || again
			for smaller := 0; i < len(s.taken) && smaller < s.taken[i].choice && tried < tries; smaller++ {
				choices = chosen(s)
				choices[i] = smaller
				again = better(choices) || again
			}
		}
	}
	return s
}

// simpler reports whether s is easier to read than o: it has fewer faults, or fewer
// steps, or stays closer to the first options.
func (s *Sim) simpler(o *Sim) bool {
	key := func(s *Sim) []int {
		sum := 0
		for _, t := range s.taken {
			sum += t.choice
		}
		return []int{s.faulted, len(s.lines), sum}
	}
	return slices.Compare(key(s), key(o)) < 0
}

// simulate runs one schedule of a scenario.
func simulate(t *testing.T, limits Limits, choose chooser, seed uint64, scene func(s *Sim)) *Sim {
	t.Helper()
	s := &Sim{choose: choose, limits: limits, left: limits.Faults, seed: seed, random: rand.New(rand.NewPCG(seed, 2))}
	synctest.Test(t, func(*testing.T) {
		done := make(chan struct{})
		go func() { // Fatalf ends this goroutine
			defer close(done)
			s.play(scene)
		}()
		<-done
	})
	return s
}

func (s *Sim) failed() bool { return len(s.failures) > 0 }

// report says what is wrong and what happened.
func (s *Sim) report() string {
	return strings.Join(s.failures, "\n") + "\n" + s.Story()
}

// Helper does nothing. It lets you use a Sim in place of a testing.TB.
func (*Sim) Helper() {}

// Errorf reports that this schedule fails.
func (s *Sim) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
}

// Fatalf calls Errorf and ends the goroutine.
func (s *Sim) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}
