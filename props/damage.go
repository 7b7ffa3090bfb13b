package props

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
	"github.com/evolvego/evolve/store"
)

// unstable reports how a second encoding of e differs from first. Hashes and idempotent
// appends need the same data each time.
func unstable[E any](c codec.Codec[E], e E, first store.Event, thorough bool) string {
	times := 1
	if thorough {
		times = atOnce
	}
	for range times {
		again, err := encode(c, e)
		switch {
		case err != nil:
			return fmt.Sprintf("%s encoded once, but not the second time: %v", show.Text(e), err)
		case again.Type != first.Type || again.Schema != first.Schema || again.ContentType != first.ContentType || !bytes.Equal(again.Data, first.Data):
			return fmt.Sprintf("%s was encoded twice:\n  first   %s\n  second  %s   ← does the order of a map show?", show.Text(e), storedText(first), storedText(again))
		}
	}
	return ""
}

// storedText returns what a store keeps of e.
func storedText(e store.Event) string {
	return fmt.Sprintf("%s, schema %d, %s, %s", e.Type, e.Schema, e.ContentType, show.Cut(string(e.Data), 2*maxColumn))
}

// apart returns the check that no two types of events share a name and that no type has
// two names, unless there is only one type.
func apart[C, S, E any](c codec.Codec[E]) func(*run[C, S, E], []C) *breach {
	one := reflect.TypeFor[E]().Kind() != reflect.Interface
	return func(r *run[C, S, E], cmds []C) *breach {
		types, names := map[string]reflect.Type{}, map[reflect.Type]string{}
		return eachEvent[C, S](func(e E) string {
			stored, err := encode(c, e)
			if err != nil || roundTrip(c, e, stored) != "" {
				return ""
			}
			is := reflect.TypeOf(e)
			if was, ok := types[stored.Type]; ok && was != is {
				return fmt.Sprintf("events of two types have the name %q: %v and %v", stored.Type, was, is)
			}
			if was, ok := names[is]; ok && was != stored.Type && !one {
				return fmt.Sprintf("events of the type %v have two names: %q and %q", is, was, stored.Type)
			}
			types[stored.Type], names[is] = is, stored.Type
			return ""
		})(r, cmds)
	}
}

// stored returns the check that all events of a history, encoded and then decoded
// together as a runner does it, lead to the original state.
func stored[C, S, E any](c codec.Codec[E]) func(*run[C, S, E], []C) *breach {
	return func(r *run[C, S, E], cmds []C) *breach {
		h, last := play(r.decider, cmds), len(cmds)-1
		all, ok := encodeAll(c, h.events())
		if !ok {
			return nil // a law of its own reports it
		}
		events, err := decode(c, all...)
		if err != nil {
			return breachf(last, "the %d events of this history do not decode together: %v", len(all), err)
		}
		if got := r.decider.Fold(r.decider.Start(), events...); !show.Same(got, h.end()) {
			return breachf(last, "the events, encoded and decoded together, lead to another state:\n  %s\n  were    %s\n  are now %s",
				show.Changes(h.end(), got), outcome(h.events(), nil), outcome(events, nil))
		}
		return nil
	}
}

// encodeAll encodes events, and reports whether each of them survives it.
func encodeAll[E any](c codec.Codec[E], events []E) (all []store.Event, ok bool) {
	for _, e := range events {
		s, err := encode(c, e)
		if err != nil || roundTrip(c, e, s) != "" {
			return nil, false
		}
		all = append(all, s)
	}
	return all, true
}

// decidesStored returns the check that commands are decided the same on a state built
// from stored events. It finds differences that do not print: the zone of a time, a nil
// list instead of an empty one.
func decidesStored[C, S, E any](c codec.Codec[E]) func(*run[C, S, E], []C) *breach {
	return func(r *run[C, S, E], cmds []C) *breach {
		again := r.decider.Start()
		return r.walk(cmds, func(i int, s Step[C, S, E]) *breach {
			if !show.Same(again, s.Before) {
				return nil // the law above reports it
			}
			want := decision[E]{s.Events, s.Err}
			events, err := r.decider.Decide(value.Clone(s.Command), again)
			if got := (decision[E]{events, err}); !want.same(got) {
				return breachf(i, "%s is decided differently on a state built from stored events, though the state prints the same:\n  live    %s\n  stored  %s   ← does the decider distinguish nil from empty, or compare times with ==?",
					show.Text(s.Command), want, got)
			}
			if s.Err != nil {
				return nil
			}
			all, ok := encodeAll(c, s.Events)
			if !ok {
				return nil
			}
			if events, err = decode(c, all...); err == nil {
				again = r.decider.Fold(again, events...)
			}
			return nil
		})
	}
}

// undamaged reports how decode accepts damaged data of v: it panics, or returns an empty
// value for data that is cut off. Data that is cut where a whole value ends is another
// value, which no decoder can tell.
func undamaged[V any](v V, data []byte, thorough bool, decode func([]byte) ([]V, error)) string {
	for _, d := range damaged(data, thorough) {
		got, err := decode(d)
		if p := (*panicError)(nil); asPanic(err, &p) {
			return fmt.Sprintf("damaged data gives a %v\n  was     %s, the data of %s\n  damaged %s", p, dataText(data), show.Text(v), dataText(d))
		}
		if err != nil || len(d) >= len(data) || !bytes.HasPrefix(data, d) {
			continue
		}
		for _, g := range got {
			if blankValue(g) && !blankValue(v) {
				return fmt.Sprintf("data that is cut off gives %s instead of an error\n  was     %s, the data of %s\n  damaged %s", show.Text(g), dataText(data), show.Text(v), dataText(d))
			}
		}
	}
	return ""
}

func dataText(data []byte) string { return show.Cut(fmt.Sprintf("%q", data), 2*maxColumn) }

// blankValue reports whether v, or what it points to, is empty.
func blankValue[V any](v V) bool {
	r := value.Struct(reflect.ValueOf(&v).Elem())
	return !r.IsValid() || show.Empty(r)
}

// damaged returns data that is cut off, data with a changed byte, and data that was never
// valid. If thorough is false it returns a few of them, which differ from data to data.
func damaged(data []byte, thorough bool) (out [][]byte) {
	hash := uint64(len(data))
	for _, b := range data {
		hash = mix(hash ^ uint64(b))
	}
	every := 1 + len(data)/256
	if !thorough {
		every = len(data)/4 + 1
	}
	for k := int(hash % uint64(every)); k < len(data); k += every { //nolint:gosec // less than every
		if k > 0 {
			out = append(out, slices.Clone(data[:k]))
		}
		changed := slices.Clone(data)
		changed[k] ^= byte(1 + hash>>8%255)
		out = append(out, changed)
	}
	strange := []string{"", "null", "{}", "[]", "0", `"`, "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "{\"a\":"}
	if !thorough {
		strange = strange[hash%uint64(len(strange)):][:1]
	}
	for _, s := range strange {
		out = append(out, []byte(s))
	}
	return out
}

// borrowed reports how an event changes when the data that it was decoded from is
// overwritten. Stores reuse their buffers.
func borrowed[E any](c codec.Codec[E], stored store.Event) string {
	stored.Data = slices.Clone(stored.Data)
	events, err := decode(c, stored)
	if err != nil {
		return "" // a law of its own reports it
	}
	before := show.Text(events)
	for i := range stored.Data {
		stored.Data[i] = 'x'
	}
	if after := show.Text(events); after != before {
		return fmt.Sprintf("the decoded event was\n  %s\nand after the data was overwritten it is:\n  %s", before, after)
	}
	return ""
}

// rounded reports how e changes if it holds numbers that a float64 cannot hold. Refusing
// to encode them is fine.
func rounded[E any](c codec.Codec[E], e E) string {
	v := value.Struct(reflect.ValueOf(&e).Elem())
	if v.Kind() != reflect.Struct {
		return ""
	}
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		for _, set := range largeNumbers(v.Field(i).Type()) {
			large := value.Edit(e, func(v reflect.Value) { set(v.Field(i)) })
			stored, err := encode(c, large)
			if err != nil {
				continue
			}
			if wrong := roundTrip(c, large, stored); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// largeNumbers returns functions that set a field of type t to a number that a float64
// would round. Named types are left out because they may have a range of their own.
func largeNumbers(t reflect.Type) (out []func(reflect.Value)) {
	const beyond = 1<<53 + 1
	switch t {
	case reflect.TypeFor[int](), reflect.TypeFor[int64]():
		for _, n := range []int64{beyond, -beyond, math.MaxInt64} {
			out = append(out, func(v reflect.Value) { v.SetInt(n) })
		}
	case reflect.TypeFor[uint](), reflect.TypeFor[uint64]():
		for _, n := range []uint64{beyond, math.MaxUint64} {
			out = append(out, func(v reflect.Value) { v.SetUint(n) })
		}
	}
	return out
}
