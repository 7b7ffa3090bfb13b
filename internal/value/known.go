package value

import (
	"encoding"
	"math"
	"math/rand/v2"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/internal/show"
)

// maxKnown is how many values of each kind are remembered.
const maxKnown = 64

// maxListed is how many elements of a list are examined: the first and the last ones.
const maxListed = 8

// Known holds values that were part of other values.
type Known struct {
	Ints   []int64
	Floats []float64
	Texts  []string
	Times  []time.Time
	whole  map[reflect.Type][]reflect.Value
	own    struct{ ints, floats, texts, times int } // where the values of the state begin
}

// Of returns the values of type t that have been seen.
func (k *Known) Of(t reflect.Type) []reflect.Value { return k.whole[t] }

// Forget empties k.
func (k *Known) Forget() {
	k.Ints, k.Floats, k.Texts, k.Times = k.Ints[:0], k.Floats[:0], k.Texts[:0], k.Times[:0]
	k.own.ints, k.own.floats, k.own.texts, k.own.times = 0, 0, 0, 0
	for t, all := range k.whole {
		k.whole[t] = all[:0]
	}
}

// SeeState adds the parts of v, the state. Half of the repeated values are from the state,
// no matter how many others there are.
func (k *Known) SeeState(v reflect.Value) {
	k.Ints, k.own.ints = newest(k.Ints)
	k.Floats, k.own.floats = newest(k.Floats)
	k.Texts, k.own.texts = newest(k.Texts)
	k.Times, k.own.times = newest(k.Times)
	k.See(v)
}

// newest drops the oldest values if there are many, to leave room for more, and returns
// how many are left.
func newest[T any](all []T) ([]T, int) {
	if n := len(all) - maxKnown/2; n > 0 {
		all = append(all[:0], all[n:]...)
	}
	return all, len(all)
}

// pick returns one of seen, which must not be empty. The values of the state begin at own.
func pick[T any](r *rand.Rand, seen []T, own int) T {
	if own < len(seen) && r.IntN(2) == 0 {
		seen = seen[own:]
	}
	return seen[r.IntN(len(seen))]
}

// See adds the parts of v: numbers, texts and times, even in unexported fields, the
// sums of lists, and whole structs, lists and the like.
func (k *Known) See(v reflect.Value) { k.see(v, 0) }

func (k *Known) see(v reflect.Value, depth int) {
	if depth > 8 || !v.IsValid() {
		return
	}
	k.text(v)
	switch v.Kind() { //nolint:exhaustive // other kinds have nothing to repeat
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		k.Ints = remember(k.Ints, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n := v.Uint(); n <= math.MaxInt64 {
			k.Ints = remember(k.Ints, int64(n))
		}
	case reflect.Float32, reflect.Float64:
		k.Floats = remember(k.Floats, v.Float())
	case reflect.String:
		if v.Len() > 0 { // the empty one comes anyway
			k.Texts = remember(k.Texts, v.String())
		}
	case reflect.Interface, reflect.Pointer:
		k.see(v.Elem(), depth+1)
	case reflect.Struct:
		if show.IsTime(v.Type()) {
			k.Times = remember(k.Times, show.Instant(v))
			return
		}
		k.remember(v)
		for i, name := range show.Fields(v.Type()) {
			if name != "" {
				k.see(v.Field(i), depth+1)
			}
		}
	case reflect.Slice, reflect.Array:
		k.remember(v)
		k.list(v, depth)
	case reflect.Map:
		k.remember(v)
		k.mapping(v, depth)
	}
}

// remember adds v as a whole.
func (k *Known) remember(v reflect.Value) {
	t := v.Type()
	if !v.CanInterface() || len(k.whole[t]) >= maxKnown || show.Empty(v) {
		return
	}
	if k.whole == nil {
		k.whole = map[reflect.Type][]reflect.Value{}
	}
	k.whole[t] = append(k.whole[t], v)
}

// text adds the text of v if v has a method for it, as an id made of bytes or a decimal
// has.
func (k *Known) text(v reflect.Value) {
	if kind := v.Kind(); kind != reflect.Struct && kind != reflect.Array || !v.CanInterface() || show.IsTime(v.Type()) {
		return
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		defer func() { _ = recover() }() // what the method does is checked elsewhere
		if text, err := m.MarshalText(); err == nil {
			k.Texts = remember(k.Texts, string(text))
		}
	}
}

func (k *Known) list(v reflect.Value, depth int) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return
	}
	for i := range v.Len() {
		if i < maxListed/2 || i >= v.Len()-maxListed/2 {
			k.see(v.Index(i), depth+1)
		}
	}
	k.sums(v)
}

func (k *Known) mapping(v reflect.Value, depth int) {
	if v.Len() > maxKnown {
		return
	}
	for _, e := range show.Entries(v) {
		k.see(e.Key, depth+1)
		k.see(e.Value, depth+1)
	}
}

// sums adds the sum of a list of numbers. For a list of structs, it adds the sum of
// each numeric field, and the sums of the products of two fields, such as price and
// quantity.
func (k *Known) sums(v reflect.Value) {
	switch e := v.Type().Elem(); {
	case e.Kind() >= reflect.Int && e.Kind() <= reflect.Int64:
		var sum int64
		for i := range v.Len() {
			sum += v.Index(i).Int()
		}
		k.Ints = remember(k.Ints, sum)
	case e.Kind() == reflect.Struct:
		for a := range e.NumField() {
			for b := a; b < e.NumField(); b++ {
				if e.Field(a).Type.Kind() >= reflect.Int && e.Field(a).Type.Kind() <= reflect.Int64 &&
					e.Field(b).Type.Kind() >= reflect.Int && e.Field(b).Type.Kind() <= reflect.Int64 {
					k.Ints = remember(k.Ints, sumOf(v, a, b))
				}
			}
		}
	}
}

// sumOf returns the sum of field a over the elements of v, or of its products with
// field b if b is another field.
func sumOf(v reflect.Value, a, b int) (sum int64) {
	for i := range v.Len() {
		n := v.Index(i).Field(a).Int()
		if a != b {
			n *= v.Index(i).Field(b).Int()
		}
		sum += n
	}
	return sum
}

// remember appends x to all, and drops the oldest value when there are too many.
func remember[T any](all []T, x T) []T {
	if len(all) >= maxKnown {
		all = append(all[:0], all[1:]...)
	}
	return append(all, x)
}

// UTF8 reports whether all text in v is UTF-8, including text in unexported fields.
func UTF8[T any](v T) bool { return utf8In(reflect.ValueOf(&v).Elem(), 0) }

func utf8In(v reflect.Value, depth int) bool {
	if depth > maxDepth {
		return true
	}
	switch v.Kind() { //nolint:exhaustive // other kinds have no text
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Interface, reflect.Pointer:
		return v.IsNil() || utf8In(v.Elem(), depth+1)
	case reflect.Struct:
		for _, f := range v.Fields() {
			if !utf8In(f, depth+1) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		if e := v.Type().Elem().Kind(); e < reflect.Array { // numbers
			return true
		}
		for i := range v.Len() {
			if !utf8In(v.Index(i), depth+1) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !utf8In(it.Key(), depth+1) || !utf8In(it.Value(), depth+1) {
				return false
			}
		}
	}
	return true
}
