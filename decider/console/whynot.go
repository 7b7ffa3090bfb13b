package console

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unsafe"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
)

// maxAsked limits how often a decision is repeated to find out why it is a rejection.
const maxAsked = 4000

// why lists changes that would turn a rejection into an acceptance, each a change of a
// single field.
type why struct {
	Flips  []flip   `json:"flips"`
	Others []string `json:"others"` // fields for which no tried value matters
	Asked  int      `json:"asked"`
}

// flip is a change of one field with which the command is accepted.
type flip struct {
	Of    string `json:"of"` // "state" or "command"
	Path  string `json:"path"`
	Is    string `json:"is"`
	Needs string `json:"needs"` // such as "≥ 50", or "true"
}

// whyNot repeats the decision with one field of state or command changed at a time:
// numbers by bisection, and others to values that are near, empty, or occur elsewhere in
// the two.
func whyNot[C, S, E any](ctx context.Context, d decider.Decider[C, S, E], cmd C, state S, rejection error) *why {
	in := &inquiry{ctx: ctx, why: &why{}, rejection: rejection.Error()}
	in.collect(reflect.ValueOf(&cmd).Elem(), 0)
	in.collect(reflect.ValueOf(&state).Elem(), 0)
	in.part("state", reflect.ValueOf(&state).Elem(), func(v reflect.Value) error {
		return answer(d, cmd, v.Interface().(S)) //nolint:errcheck // it is a changed copy of state
	})
	in.part("command", reflect.ValueOf(&cmd).Elem(), func(v reflect.Value) error {
		return answer(d, v.Interface().(C), state) //nolint:errcheck // it is a changed copy of cmd
	})
	return in.why
}

// answer returns why cmd is rejected. A panic counts as an answer.
func answer[C, S, E any](d decider.Decider[C, S, E], cmd C, state S) error {
	_, rejection, err := decide(d, cmd, state)
	if err != nil {
		return err
	}
	return rejection
}

// inquiry repeats a decision many times.
type inquiry struct {
	ctx       context.Context //nolint:containedctx // of one call of whyNot
	why       *why
	rejection string
	ints      []int64 // found in state and command
	texts     []string

	root reflect.Value // the part to change
	ask  func(changed reflect.Value) error
	path []int
	of   string
	told bool // a value of this field led to another rejection, or to none
}

// collect records numbers and texts, because rules may compare them with other fields.
func (in *inquiry) collect(v reflect.Value, depth int) {
	if depth > 6 || len(in.ints)+len(in.texts) > 40 {
		return
	}
	switch v.Kind() { //nolint:exhaustive // nothing else is collected
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			in.collect(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for _, f := range v.Fields() {
			in.collect(f, depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range min(v.Len(), 8) {
			in.collect(v.Index(i), depth+1)
		}
	case reflect.Map:
		for _, e := range show.Entries(v)[:min(v.Len(), 8)] {
			in.collect(e.Key, depth+1)
			in.collect(e.Value, depth+1)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		in.ints = append(in.ints, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		in.ints = append(in.ints, int64(min(v.Uint(), math.MaxInt64)))
	case reflect.String:
		in.texts = append(in.texts, v.String())
	}
}

// part changes each field of root. ask gets changed copies of root.
func (in *inquiry) part(of string, root reflect.Value, ask func(reflect.Value) error) {
	in.of, in.root, in.ask = of, root, ask
	v := root
	for (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		in.leaf(v, of)
		return
	}
	in.fields(v, "")
}

func (in *inquiry) fields(v reflect.Value, prefix string) {
	for i, name := range show.Fields(v.Type()) {
		if name == "" || len(in.path) > 6 {
			continue
		}
		in.path = append(in.path, i)
		f := v.Field(i)
		for f.Kind() == reflect.Pointer && !f.IsNil() {
			f = f.Elem()
		}
		if f.Kind() == reflect.Struct && !show.IsTime(f.Type()) {
			in.fields(f, prefix+name+".")
		} else {
			in.leaf(f, prefix+name)
		}
		in.path = in.path[:len(in.path)-1]
	}
}

// leaf changes one field. It leaves out fields that reflection cannot change.
func (in *inquiry) leaf(v reflect.Value, name string) {
	var err error
	defer recovered("changing a field", &err)
	in.told = false
	var needs string
	switch v.Kind() { //nolint:exhaustive // others are not moved
	case reflect.Bool:
		needs = in.values(v, []reflect.Value{reflect.ValueOf(!v.Bool()).Convert(v.Type())})
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		needs = in.number(v.Int(), func(to reflect.Value, n int64) bool {
			to.SetInt(n)
			return !to.OverflowInt(n)
		})
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		needs = in.number(int64(min(v.Uint(), math.MaxInt64)), func(to reflect.Value, n int64) bool {
			if n < 0 || to.OverflowUint(uint64(n)) {
				return false
			}
			to.SetUint(uint64(n))
			return true
		})
	case reflect.Float32, reflect.Float64:
		needs = in.number(int64(v.Float()), func(to reflect.Value, n int64) bool { to.SetFloat(float64(n)); return true })
	case reflect.String:
		needs = in.values(v, in.strings(v))
	case reflect.Slice, reflect.Map, reflect.Pointer:
		needs = in.values(v, in.collections(v))
	default:
		return
	}
	switch {
	case needs != "":
		in.why.Flips = append(in.why.Flips, flip{in.of, name, show.Cut(show.Value(v), 80), needs})
	case !in.told:
		in.why.Others = append(in.why.Others, in.of+" "+name)
	}
}

// strings returns texts to try for a field.
func (in *inquiry) strings(v reflect.Value) (all []reflect.Value) {
	for _, text := range append([]string{"", "x"}, in.texts...) {
		if text != v.String() {
			all = append(all, reflect.ValueOf(text).Convert(v.Type()))
		}
	}
	return all
}

// collections returns lists and maps to try for a field: empty, one element or entry
// fewer, and one more.
func (in *inquiry) collections(v reflect.Value) (all []reflect.Value) {
	if !v.IsNil() {
		all = append(all, reflect.Zero(v.Type()))
	}
	switch v.Kind() { //nolint:exhaustive // leaf has no others
	case reflect.Pointer:
		if v.IsNil() {
			all = append(all, reflect.New(v.Type().Elem()))
		}
	case reflect.Slice:
		more := reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()+1), v)
		all = append(all, reflect.Append(more, reflect.Zero(v.Type().Elem())))
	case reflect.Map:
		for _, e := range show.Entries(v)[:min(v.Len(), 16)] {
			less := copyMap(v)
			less.SetMapIndex(e.Key, reflect.Value{})
			all = append(all, less)
		}
		if v.Type().Key().Kind() == reflect.String {
			for _, text := range in.texts {
				more := copyMap(v)
				more.SetMapIndex(reflect.ValueOf(text).Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
				all = append(all, more)
			}
		}
	}
	return all
}

func copyMap(v reflect.Value) reflect.Value {
	m := reflect.MakeMap(v.Type())
	for it := v.MapRange(); it.Next(); {
		m.SetMapIndex(it.Key(), it.Value())
	}
	return m
}

// values tries values for a field, and returns the first with which the command is
// accepted.
func (in *inquiry) values(v reflect.Value, all []reflect.Value) string {
	for _, to := range all {
		if in.accepted(func(f reflect.Value) bool { f.Set(to); return true }) {
			text := show.Value(to)
			if v.Kind() == reflect.Map && v.Len() > 0 && to.Len() < v.Len() && to.Len() > 0 {
				text = "without an entry of it: " + text
			}
			return show.Cut(text, 80)
		}
	}
	return ""
}

// number changes a number: away from its value in both directions, in steps that double,
// and then back to the nearest number with which the command is accepted. It also tries
// numbers that occur elsewhere.
func (in *inquiry) number(is int64, set func(reflect.Value, int64) bool) string {
	at := func(n int64) bool { return in.accepted(func(f reflect.Value) bool { return set(f, n) }) }
	for _, sign := range []int64{1, -1} {
		low, high := int64(0), int64(0) // distances: low does not flip the decision, high does
		for d := int64(1); d < 1<<46; d *= 2 {
			if at(is + sign*d) {
				high = d
				break
			}
			low = d
		}
		if high == 0 {
			continue
		}
		for high-low > 1 {
			if middle := low + (high-low)/2; at(is + sign*middle) {
				high = middle
			} else {
				low = middle
			}
		}
		n := is + sign*high
		if !at(n+sign) && !at(n+8*sign) {
			return strconv.FormatInt(n, 10)
		}
		if sign > 0 {
			return "≥ " + strconv.FormatInt(n, 10)
		}
		return "≤ " + strconv.FormatInt(n, 10)
	}
	for _, n := range in.ints {
		if n != is && at(n) {
			return strconv.FormatInt(n, 10)
		}
	}
	return ""
}

// accepted reports whether the command is accepted with the field changed by set, which
// returns false if the field cannot have that value.
func (in *inquiry) accepted(set func(field reflect.Value) bool) bool {
	if in.why.Asked >= maxAsked || in.ctx.Err() != nil {
		return false
	}
	changed := reflect.New(in.root.Type()).Elem()
	changed.Set(in.root)
	possible := false
	if err := change(changed, in.path, func(f reflect.Value) { possible = set(f) }); err != nil || !possible {
		return false
	}
	in.why.Asked++
	err := in.ask(changed)
	in.told = in.told || err == nil || err.Error() != in.rejection
	return err == nil
}

// change calls set with a field of v, in memory that nothing else refers to. It copies
// what lies between.
func change(v reflect.Value, path []int, set func(reflect.Value)) (err error) {
	defer recovered("changing a field", &err)
	switch {
	case v.Kind() == reflect.Interface && !v.IsNil():
		inner := reflect.New(v.Elem().Type()).Elem()
		inner.Set(v.Elem())
		if err := change(inner, path, set); err != nil {
			return err
		}
		v.Set(inner)
		return nil
	case v.Kind() == reflect.Pointer && !v.IsNil():
		inner := reflect.New(v.Type().Elem())
		inner.Elem().Set(v.Elem())
		if err := change(inner.Elem(), path, set); err != nil {
			return err
		}
		v.Set(inner)
		return nil
	case len(path) == 0:
		set(v)
		return nil
	case v.Kind() != reflect.Struct:
		return fmt.Errorf("a %s has no fields", v.Kind())
	}
	f := v.Field(path[0])
	if !f.CanSet() {
		f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem() //nolint:gosec // of a copy
	}
	return change(f, path[1:], set)
}
