package props

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samber/lo"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/value"
)

// Suite holds what you know about a decider, to be checked. Its methods return copies
// with something added. [Suite.Check] checks everything.
type Suite[C, S, E any] struct {
	decider    decider.Decider[C, S, E]
	samples    []C
	values     []any // for fields that cannot be filled otherwise
	draw       func(t *rapid.T, state S) C
	valid      func(state S, cmd C) bool // nil: all commands are
	laws       []law[C, S, E]            // added by the user
	without    []string                  // laws
	reaches    []reach[C, S, E]
	rejections []error        // nil: any error is allowed
	codec      codec.Codec[E] // nil: no codec
	checks     int            // 0: the default
	score      float64        // the share that Mutants requires

	decides, evolves string           // names of the functions of the decider
	empty            string           // what to say if there are no commands
	watch            *watch           // nil: one of its own
	seconds          <-chan time.Time // for tests, see watch
	enough           int              // for tests, see coverage.limit
}

// reach is something that must happen.
type reach[C, S, E any] struct {
	name string
	hit  func(Step[C, S, E]) bool
}

// For returns a suite for d, which checks the laws that hold for every decider. The suite
// needs commands: add [Suite.Any] or [Suite.Commands].
func For[C, S, E any](d decider.Decider[C, S, E]) Suite[C, S, E] {
	return Suite[C, S, E]{decider: d, decides: "Decide", evolves: "Evolve", empty: noCommands}
}

// Any adds commands like samples. Their empty exported fields get random values. Fields
// that are set keep their values, as in Deposit{Currency: "EUR"}. Samples may repeat a
// type. Any panics if a sample is not a struct or a pointer to one.
//
// Some of the values come from the state and from earlier commands and events, so that an
// id that was assigned, a total or a PIN comes up again. The others are mostly small and
// ordinary. Some are values that programs tend to forget: the largest and smallest
// numbers, NaN, the infinities, -0 and sums that round; texts that are empty, long, in
// another case, with surrounding spaces, with combining marks, or not UTF-8; times in
// other zones, or with a monotonic reading.
//
// Any fills a type with unexported fields through its UnmarshalText, SetString, Set,
// UnmarshalJSON or Scan method, as for big.Int and netip.Addr. If the type has none of
// these, or is an interface, pass values to [Suite.Values]. Functions and channels stay
// as they are. With -v [Suite.Check] logs the fields that are never filled.
func (s Suite[C, S, E]) Any(samples ...C) Suite[C, S, E] {
	for _, c := range samples {
		checkSample("Any", c)
	}
	s.samples = slices.Concat(s.samples, samples)
	return s
}

// Values adds values for the fields of samples. A field whose type is the type of a
// value, or an interface that the value implements, gets one of the values that fit. Use
// it for types that [Suite.Any] cannot fill, or should not fill at random.
func (s Suite[C, S, E]) Values(values ...any) Suite[C, S, E] {
	s.values = slices.Concat(s.values, values)
	return s
}

// blanks returns the generators of commands like the samples, and the names of the fields
// that they leave empty.
func (s Suite[C, S, E]) blanks() (all []blank[C], missing []string) {
	f := value.NewFiller(s.values...)
	all = lo.Map(s.samples, func(c C, _ int) blank[C] { return blankOf(c, f) })
	return all, f.Missing()
}

// Commands draws commands that fit a state, such as a withdrawal of about the balance. It
// replaces an earlier draw function. Together with samples of [Suite.Any], most commands
// are drawn. The draw function must depend on t and state only, must not change state, and
// must not use t after it returns.
func (s Suite[C, S, E]) Commands(draw func(t *rapid.T, state S) C) Suite[C, S, E] {
	s.draw = draw
	return s
}

// Codec adds the laws of a codec:
//
//   - Every event encodes, to the same data each time and under a name that identifies
//     its type.
//   - Every event is the same after it is decoded, also with numbers that a float64
//     cannot hold (or it does not encode).
//   - The events of a history, decoded together, lead to the same state.
//   - Damaged data gives an error, never a panic or an empty event.
//   - A decoded event does not change when its data is overwritten.
//
// If c has a method Names() []string, an event of each name must be decided at least
// once.
func (s Suite[C, S, E]) Codec(c codec.Codec[E]) Suite[C, S, E] {
	s.codec = c
	return s.with(codecLaws[C, S](c)...)
}

// Snapshot adds the laws of a snapshot encoding: a state that goes through encode and
// decode at any point of a history, with the later events evolved on top, is the same as
// without; commands are decided the same on it; and damaged data gives an error, never a
// panic or an empty state.
func (s Suite[C, S, E]) Snapshot(encode func(S) ([]byte, error), decode func([]byte) (S, error)) Suite[C, S, E] {
	return s.with(snapshotLaws[C, S, E](encode, decode)...)
}

// Invariant adds a law with the given name: holds returns nil for the initial state and
// the state after each command, or an error that says what is wrong.
func (s Suite[C, S, E]) Invariant(name string, holds func(state S) error) Suite[C, S, E] {
	return s.with(law[C, S, E]{name: name, spec: true, domain: true, check: func(r *run[C, S, E], cmds []C) *breach {
		if b := complaint(-1, func() error { return holds(r.decider.Start()) }); b != nil {
			return b
		}
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			return complaint(i, func() error { return holds(s.After) })
		})
	}})
}

// Rule adds a law with the given name: holds returns nil for each step, or an error that
// says what is wrong with it.
func (s Suite[C, S, E]) Rule(name string, holds func(step Step[C, S, E]) error) Suite[C, S, E] {
	return s.with(law[C, S, E]{name: name, spec: true, domain: true, check: func(r *run[C, S, E], cmds []C) *breach {
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			return complaint(i, func() error { return holds(s) })
		})
	}})
}

// Reaches requires that hit is true for at least one step of all histories, so that a
// rule about a case is not empty because the case never occurs.
func (s Suite[C, S, E]) Reaches(name string, hit func(step Step[C, S, E]) bool) Suite[C, S, E] {
	s.reaches = append(slices.Clip(s.reaches), reach[C, S, E]{name, hit})
	return s
}

// Checks sets the number of histories. The default is ten times -rapid.checks, or a fifth
// of that with -short. It panics if n < 1.
func (s Suite[C, S, E]) Checks(n int) Suite[C, S, E] {
	if n < 1 {
		panic(fmt.Sprintf("props: Checks(%d)", n))
	}
	s.checks = n
	return s
}

// Check checks all laws on the same histories, each law in a subtest with its name. It
// also fails if a kind of command is never accepted, an event of the codec is never
// decided, or something that must be reached is not. With -v it logs what the histories
// were made of, and the events that changed nothing.
//
// A failure ends with the path of an HTML page that shows every state. The page is in the
// folder that the variable EVOLVE_ARTIFACTS names, or in a new temporary one.
//
// Check must not be called in a bubble of testing/synctest, and the functions of the
// decider must not wait for anything outside.
func (s Suite[C, S, E]) Check(t *testing.T) {
	t.Helper()
	r := s.run(t)
	if problem := r.search(); problem != "" {
		t.Fatal(problem)
	}
	if len(s.without) > 0 {
		t.Logf("not checked: %s", strings.Join(s.without, ", "))
	}
	if testing.Verbose() {
		t.Log(r.coverage)
	}
	for _, l := range r.laws {
		t.Run(l.name, func(t *testing.T) {
			t.Helper()
			if p := r.verdict(t, l); p != nil {
				t.Error(p.text + p.publish(t))
			}
		})
	}
	for _, v := range r.verdicts() {
		t.Run(v.name, func(t *testing.T) {
			t.Helper()
			switch {
			case v.missed:
				t.Error(v.text)
			case v.unsure:
				t.Logf("there was no time to be sure: %s", v.text)
			}
		})
	}
}

// complaint returns a breach if holds returns an error or panics.
func complaint(i int, holds func() error) *breach {
	var err error
	if p := catch(func() { err = holds() }); p != nil {
		err = p
	}
	if err == nil {
		return nil
	}
	return &breach{i, err.Error()}
}

func (s Suite[C, S, E]) with(laws ...law[C, S, E]) Suite[C, S, E] {
	s.laws = append(slices.Clip(s.laws), laws...)
	return s
}

// setting returns the value of a flag, or zero if no flag has that name and type.
func setting[T any](name string) T {
	var zero T
	f := flag.Lookup(name)
	if f == nil {
		return zero
	}
	g, ok := f.Value.(flag.Getter)
	if !ok {
		return zero
	}
	v, _ := g.Get().(T)
	return v
}
