package props

import (
	"math"
	"reflect"
	"slices"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
)

// mutant is a decider with one fault.
type mutant[C, S, E any] struct {
	name    string
	decider decider.Decider[C, S, E]
}

// mutants returns the mutants of d that its kinds of commands and events, as seen in
// these histories, and the parts of its states allow.
func mutants[C, S, E any](d decider.Decider[C, S, E], histories []History[C, S, E]) (out []mutant[C, S, E]) {
	d.EvolveInPlace = nil // its Evolve is changed
	commands, events := kinds(histories)
	for _, k := range commands {
		out = append(out, ofCommand(d, k)...)
	}
	for _, k := range events {
		out = append(out, ofEvent(d, k)...)
	}
	for _, p := range partsOf(reflect.TypeFor[S]()) {
		for _, w := range p.wrong() {
			m := d
			m.Decide = func(c C, s S) ([]E, error) { return d.Decide(c, edit(s, p, reflect.Value{}, w.set)) }
			out = append(out, mutant[C, S, E]{"Decide sees " + p.name + " as " + w.name, m})
		}
		for _, k := range events {
			m := d
			m.Evolve = func(s S, e E) S {
				next := d.Evolve(s, e)
				if show.Kind(e) != k {
					return next
				}
				return forget(next, s, p)
			}
			out = append(out, mutant[C, S, E]{"Evolve by " + k + " forgets " + p.name, m})
		}
	}
	return out
}

func ofCommand[C, S, E any](d decider.Decider[C, S, E], k string) []mutant[C, S, E] {
	ignores, accepts := d, d
	ignores.Decide = decides(d, func(c C, events []E, err error) ([]E, error) {
		if err == nil && show.Kind(c) == k {
			return nil, nil
		}
		return events, err
	})
	accepts.Decide = decides(d, func(c C, events []E, err error) ([]E, error) {
		if show.Kind(c) == k {
			return events, nil
		}
		return events, err
	})
	return []mutant[C, S, E]{{"Decide ignores " + k, ignores}, {"Decide never rejects " + k, accepts}}
}

func ofEvent[C, S, E any](d decider.Decider[C, S, E], k string) []mutant[C, S, E] {
	is := func(e E) bool { return show.Kind(e) == k }
	twice, forgets, ignores := d, d, d
	twice.Decide = decides(d, func(_ C, events []E, err error) ([]E, error) {
		var out []E
		for _, e := range events {
			if out = append(out, e); is(e) {
				out = append(out, e)
			}
		}
		return out, err
	})
	forgets.Decide = decides(d, func(_ C, events []E, err error) ([]E, error) {
		return slices.DeleteFunc(slices.Clone(events), is), err
	})
	ignores.Evolve = func(s S, e E) S {
		if is(e) {
			return s
		}
		return d.Evolve(s, e)
	}
	return []mutant[C, S, E]{{"Decide returns " + k + " twice", twice}, {"Decide forgets " + k, forgets}, {"Evolve ignores " + k, ignores}}
}

// decides returns the Decide function of d with change applied to its results.
func decides[C, S, E any](d decider.Decider[C, S, E], change func(C, []E, error) ([]E, error)) func(C, S) ([]E, error) {
	return func(c C, s S) ([]E, error) {
		events, err := d.Decide(c, s)
		return change(c, events, err)
	}
}

// kinds returns the kinds of the commands and of the events, each in order.
func kinds[C, S, E any](histories []History[C, S, E]) (commands, events []string) {
	for _, h := range histories {
		for _, s := range h.Steps {
			commands = append(commands, show.Kind(s.Command))
		}
		for _, e := range h.events() {
			events = append(events, show.Kind(e))
		}
	}
	slices.Sort(commands)
	slices.Sort(events)
	return slices.Compact(commands), slices.Compact(events)
}

// mistake is a wrong value for a part of a state.
type mistake struct {
	name string
	set  func(v, other reflect.Value)
}

// wrong returns wrong values for p.
func (p part) wrong() []mistake {
	zero := mistake{"zero", setZero}
	switch p.typ.Kind() { //nolint:exhaustive // other kinds can only become zero
	case reflect.Bool:
		return []mistake{{"false", setZero}, {"true", func(v, _ reflect.Value) { v.SetBool(true) }}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return []mistake{zero, {"huge", func(v, _ reflect.Value) { v.SetInt(math.MaxInt64 >> (64 - p.typ.Bits())) }}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return []mistake{zero, {"huge", func(v, _ reflect.Value) { v.SetUint(math.MaxUint64 >> (64 - p.typ.Bits())) }}}
	case reflect.Float32, reflect.Float64:
		return []mistake{zero, {"huge", func(v, _ reflect.Value) { v.SetFloat(math.MaxFloat32) }}}
	case reflect.String, reflect.Slice, reflect.Map:
		return []mistake{{"empty", setZero}}
	}
	return []mistake{zero}
}

func setZero(v, _ reflect.Value) { v.SetZero() }
