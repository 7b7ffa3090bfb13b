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

// Suite is what is known of a decider, to be checked. Its methods return copies
// with something added; [Suite.Check] checks it all.
type Suite[C, S, E any] struct {
	decider    decider.Decider[C, S, E]
	samples    []C
	values     []any // for fields that cannot be filled otherwise
	draw       func(t *rapid.T, state S) C
	valid      func(state S, cmd C) bool // nil: all are
	laws       []law[C, S, E]            // those that the user has added
	without    []string                  // laws
	reaches    []reach[C, S, E]
	rejections []error        // nil: any error may be one
	codec      codec.Codec[E] // nil: none
	checks     int            // 0: the default
	score      float64        // what Mutants wants

	decides, evolves string           // what the functions of the decider are called
	empty            string           // what to say if there are no commands
	watch            *watch           // nil: one of its own
	seconds          <-chan time.Time // for tests, see watch
}

// reach is something that has to happen.
type reach[C, S, E any] struct {
	name string
	hit  func(Step[C, S, E]) bool
}

// For returns the suite of d, which checks the laws that hold for every decider.
// It needs commands: add [Suite.Any] or [Suite.Commands].
func For[C, S, E any](d decider.Decider[C, S, E]) Suite[C, S, E] {
	return Suite[C, S, E]{decider: d, decides: "Decide", evolves: "Evolve", empty: noCommands}
}

// Any adds commands like samples. Their exported fields that are empty get random
// values; those that are not empty are kept, as in Deposit{Currency: "EUR"}. A type
// may be there several times. Any panics if a sample is not a struct or a pointer to
// one.
//
// Part of the values are those of the state and of earlier commands and events, so
// that an id that was handed out, a total or a PIN comes again. The others are
// mostly small and ordinary; some are such as programs forget: the largest and
// smallest numbers, NaN, the infinities, -0 and sums that round; texts that are
// empty, long, in another case, with spaces around, with combining marks, or not
// UTF-8; times in other zones, or with a monotonic reading.
//
// A type whose fields are not exported is filled by its UnmarshalText, SetString,
// Set, UnmarshalJSON or Scan, as big.Int and netip.Addr are. Where there is none of
// these, or the type is an interface, [Suite.Values] tells what to take; functions
// and channels stay as they are. With -v [Suite.Check] names the fields that are
// never filled.
func (s Suite[C, S, E]) Any(samples ...C) Suite[C, S, E] {
	for _, c := range samples {
		checkSample("Any", c)
	}
	s.samples = slices.Concat(s.samples, samples)
	return s
}

// Values adds values for the fields of samples: a field of the type of one of them,
// or of an interface that it has, gets one of those that fit. It is for types that
// [Suite.Any] cannot fill, or should not fill with just anything.
func (s Suite[C, S, E]) Values(values ...any) Suite[C, S, E] {
	s.values = slices.Concat(s.values, values)
	return s
}

// blanks returns what makes commands like the samples, and the fields that it
// leaves empty.
func (s Suite[C, S, E]) blanks() (all []blank[C], missing []string) {
	f := value.NewFiller(s.values...)
	all = lo.Map(s.samples, func(c C, _ int) blank[C] { return blankOf(c, f) })
	return all, f.Missing()
}

// Commands draws commands that fit a state, such as a withdrawal of about as
// much as there is. It replaces an earlier draw; beside samples of [Suite.Any]
// three of four commands are drawn. The draw must depend on t and state only,
// must not change state, and must not use t after it returned.
func (s Suite[C, S, E]) Commands(draw func(t *rapid.T, state S) C) Suite[C, S, E] {
	s.draw = draw
	return s
}

// Codec adds the laws of a codec: every event encodes, to the same data each time
// and under a name that tells its type, and is the same when it is decoded, also
// with numbers that a float64 cannot hold (or does not encode); all of a history,
// decoded together, lead to the same state; damaged data is an error, never a
// panic or an empty event; and what was decoded does not change with the data. If c
// has a method Names() []string, an event of each name must be decided at times.
func (s Suite[C, S, E]) Codec(c codec.Codec[E]) Suite[C, S, E] {
	s.codec = c
	return s.with(codecLaws[C, S](c)...)
}

// Snapshot adds the laws that a state which goes through encode and decode at any
// point of a history, with the later events evolved on top, is the same as if it
// had not; that commands are decided the same on it; and that damaged data is an
// error, never a panic or an empty state.
func (s Suite[C, S, E]) Snapshot(encode func(S) ([]byte, error), decode func([]byte) (S, error)) Suite[C, S, E] {
	return s.with(snapshotLaws[C, S, E](encode, decode)...)
}

// Invariant adds a law of its own name: holds returns nil for the state at the
// start and after each command, or says what is wrong.
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

// Rule adds a law of its own name: holds returns nil for each step, or says what
// is wrong with it.
func (s Suite[C, S, E]) Rule(name string, holds func(step Step[C, S, E]) error) Suite[C, S, E] {
	return s.with(law[C, S, E]{name: name, spec: true, domain: true, check: func(r *run[C, S, E], cmds []C) *breach {
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			return complaint(i, func() error { return holds(s) })
		})
	}})
}

// Reaches adds that hit must be true of at least one step of all histories, so
// that a rule about a case is not empty because the case never comes.
func (s Suite[C, S, E]) Reaches(name string, hit func(step Step[C, S, E]) bool) Suite[C, S, E] {
	s.reaches = append(slices.Clip(s.reaches), reach[C, S, E]{name, hit})
	return s
}

// Checks sets the number of histories. The default is ten times -rapid.checks, and a
// fifth of that with -short. It panics if n < 1.
func (s Suite[C, S, E]) Checks(n int) Suite[C, S, E] {
	if n < 1 {
		panic(fmt.Sprintf("props: Checks(%d)", n))
	}
	s.checks = n
	return s
}

// Check checks all laws, each as a subtest of its own name, on the same
// histories. It also fails if a kind of command is never accepted, an event of
// the codec never decided, or something that must be reached is not. With -v it
// logs what the histories were made of, and the events that changed nothing.
//
// A failure ends with the path of an HTML page that shows it, with every state:
// in the folder that the variable EVOLVE_ARTIFACTS names, or in a new temporary one.
//
// Check must not be called in a bubble of testing/synctest, nor the functions of
// the decider wait for anything outside.
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

// complaint returns the breach that is the error or the panic of holds.
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

// setting returns the value of a flag, or zero if there is none of that name and
// type.
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
	v, ok := g.Get().(T)
	if !ok {
		return zero
	}
	return v
}
