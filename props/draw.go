package props

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

// Example returns the history of seed, always the same one, for documentation, benchmarks
// and test data. It panics if the suite has no commands, or cannot draw them.
func (s Suite[C, S, E]) Example(seed uint64) History[C, S, E] {
	if lacks := s.missing(); lacks != "" {
		panic(lacks)
	}
	cmds, err := s.generator().commands(seed)
	if err != nil {
		panic(err)
	}
	return play(s.decider, cmds)
}

// Histories returns a generator of the histories that [Suite.Example] returns, for
// properties that are not laws of a suite. It panics when Example does.
func (s Suite[C, S, E]) Histories() *rapid.Generator[History[C, S, E]] {
	return rapid.Custom(func(t *rapid.T) History[C, S, E] { return s.Example(drawSeed(t)) })
}

// Pick returns a number from 0 to n-1, all equally likely. The numbers of rapid.IntRange
// are mostly small. It panics if n < 1.
func Pick(t *rapid.T, n int) int {
	if n < 1 {
		panic(fmt.Sprintf("props: Pick of %d", n))
	}
	return int(drawSeed(t) % uint64(n)) //nolint:gosec // less than n
}

// Weight is a generator and its relative frequency.
type Weight[V any] struct {
	Weight int
	Of     *rapid.Generator[V]
}

// Weighted returns a generator that uses each choice in proportion to its weight. It
// panics if a weight is negative, or all are zero.
func Weighted[V any](choices ...Weight[V]) *rapid.Generator[V] {
	total := 0
	for _, c := range choices {
		if c.Weight < 0 {
			panic(fmt.Sprintf("props: Weighted with a weight of %d", c.Weight))
		}
		total += c.Weight
	}
	if total == 0 {
		panic("props: Weighted without weights")
	}
	return rapid.Custom(func(t *rapid.T) V {
		n := Pick(t, total)
		for _, c := range choices {
			if n < c.Weight {
				return c.Of.Draw(t, "value")
			}
			n -= c.Weight
		}
		panic("unreachable: a number beyond the sum of the weights")
	})
}

// As converts the values of g to V, an interface that they implement, so that generators
// of different commands fit into one rapid.OneOf or [Weighted]. It panics when it draws a
// value that is not a V.
func As[V, U any](g *rapid.Generator[U]) *rapid.Generator[V] {
	return rapid.Map(g, func(u U) V {
		v, ok := any(u).(V)
		if !ok {
			panic(fmt.Sprintf("props: As: %T is not a %v", u, reflect.TypeFor[V]()))
		}
		return v
	})
}

const (
	tableStates   = 4 // states of a Table, and also the number of its commands
	tableEvents   = 3
	tableDecided  = 2 // events of a decision, at most
	tableRejected = 4 // rejections in ten decisions
)

var errTable = errors.New("props: the table rejects")

// Table returns a random decider with a few states, commands and events, all numbers from
// 0 on, whose functions are tables. Use it for properties of code that works with any
// decider, such as a combinator or a runner. It rejects commands that it does not know.
// Events that it does not know change nothing.
func Table(t *rapid.T) decider.Decider[int, int, int] {
	type cell struct {
		events []int
		err    error
	}
	var decide [tableStates][tableStates]cell // by command and state
	var evolve [tableStates][tableEvents]int  // by state and event
	for c := range decide {
		for s := range decide[c] {
			if Pick(t, 10) < tableRejected {
				decide[c][s].err = fmt.Errorf("%w: %d in %d", errTable, c, s)
				continue
			}
			for range Pick(t, tableDecided+1) {
				decide[c][s].events = append(decide[c][s].events, Pick(t, tableEvents))
			}
		}
	}
	for s := range evolve {
		for e := range evolve[s] {
			evolve[s][e] = Pick(t, tableStates)
		}
	}
	start := Pick(t, tableStates)
	return decider.Decider[int, int, int]{
		Decide: func(c, s int) ([]int, error) {
			if c < 0 || c >= tableStates || s < 0 || s >= tableStates {
				return nil, decider.ErrUnhandled
			}
			return slices.Clone(decide[c][s].events), decide[c][s].err
		},
		Evolve: func(s, e int) int {
			if s < 0 || s >= tableStates || e < 0 || e >= tableEvents {
				return s
			}
			return evolve[s][e]
		},
		Initial: func() int { return start },
	}
}
