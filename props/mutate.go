package props

import (
	"math"
	"reflect"
	"slices"
	"unsafe"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// mutant is a decider with one fault.
type mutant[C, S, E any] struct {
	name    string
	decider decider.Decider[C, S, E]
}

// mutants returns the mutants of d that its kinds of commands and events, as seen in
// these histories, and the fields of its states allow.
func mutants[C, S, E any](d decider.Decider[C, S, E], histories []History[C, S, E]) (out []mutant[C, S, E]) {
	d.EvolveInPlace = nil // its Evolve is changed
	commands, events := kinds(histories)
	for _, k := range commands {
		out = append(out, ofCommand(d, k)...)
	}
	for _, k := range events {
		out = append(out, ofEvent(d, k)...)
	}
	for _, f := range fieldsOf(reflect.TypeFor[S]()) {
		for _, w := range f.wrong() {
			m := d
			m.Decide = func(c C, s S) ([]E, error) { return d.Decide(c, withField(s, f, w.set)) }
			out = append(out, mutant[C, S, E]{"Decide sees " + f.name + " as " + w.name, m})
		}
		for _, k := range events {
			m := d
			m.Evolve = func(s S, e E) S {
				next := d.Evolve(s, e)
				if show.Kind(e) != k {
					return next
				}
				was := value.Struct(reflect.ValueOf(&s).Elem())
				if was.Kind() == reflect.Pointer { // nil at the start
					return withField(next, f, reflect.Value.SetZero)
				}
				return withField(next, f, func(v reflect.Value) { v.Set(f.in(was)) })
			}
			out = append(out, mutant[C, S, E]{"Evolve by " + k + " forgets " + f.name, m})
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

// kinds returns the kinds of the commands that were accepted or rejected, and the kinds
// of the events, each in order.
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

// field is a part of a state: the field with that index, or the whole state if it is no
// struct.
type field struct {
	name  string
	index int // -1 means the whole state
	typ   reflect.Type
}

// fieldsOf returns the fields of a state of type t, which is a struct or a pointer to
// one.
func fieldsOf(t reflect.Type) (out []field) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Interface:
		return nil
	case t.Kind() != reflect.Struct || show.IsTime(t):
		return []field{{"the state", -1, t}}
	}
	for i, name := range show.Fields(t) {
		if name != "" && name != "_" {
			out = append(out, field{name, i, t.Field(i).Type})
		}
	}
	return out
}

// in returns the field of state, which is addressable, for reading and setting.
func (f field) in(state reflect.Value) reflect.Value {
	if f.index < 0 {
		return state
	}
	v := state.Field(f.index)
	if v.CanSet() {
		return v
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() //nolint:gosec // states have unexported fields, and this is a copy
}

// mistake is a wrong value for a field.
type mistake struct {
	name string
	set  func(reflect.Value)
}

// wrong returns wrong values for f.
func (f field) wrong() []mistake {
	zero := mistake{"zero", reflect.Value.SetZero}
	switch f.typ.Kind() { //nolint:exhaustive // other kinds can only become zero
	case reflect.Bool:
		return []mistake{{"false", reflect.Value.SetZero}, {"true", func(v reflect.Value) { v.SetBool(true) }}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return []mistake{zero, {"huge", func(v reflect.Value) { v.SetInt(math.MaxInt64 >> (64 - f.typ.Bits())) }}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return []mistake{zero, {"huge", func(v reflect.Value) { v.SetUint(math.MaxUint64 >> (64 - f.typ.Bits())) }}}
	case reflect.Float32, reflect.Float64:
		return []mistake{zero, {"huge", func(v reflect.Value) { v.SetFloat(math.MaxFloat32) }}}
	case reflect.String, reflect.Slice, reflect.Map:
		return []mistake{{"empty", reflect.Value.SetZero}}
	}
	return []mistake{zero}
}

// withField returns a copy of state in which set has changed f.
func withField[S any](state S, f field, set func(reflect.Value)) S {
	if !value.Struct(reflect.ValueOf(&state).Elem()).IsValid() {
		return state
	}
	return value.Edit(state, func(v reflect.Value) { set(f.in(v)) })
}
