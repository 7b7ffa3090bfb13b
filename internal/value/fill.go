package value

import (
	"math"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/evolvego/evolve/internal/show"
)

// maxNesting is how deep random values go: a list of trees ends.
const maxNesting = 3

// Fill sets a settable value to a random one.
type Fill func(r *rand.Rand, v reflect.Value)

// FillStruct returns what fills the fields of t, a struct, that are exported, and
// empty in sample if that is valid.
func FillStruct(t reflect.Type, sample reflect.Value) Fill { return fillStruct(t, sample, 0) }

// FillOf returns what fills a value of type t, nil if it stays as it is.
func FillOf(t reflect.Type) Fill { return fillOf(t, 1) }

func fillStruct(t reflect.Type, sample reflect.Value, nesting int) Fill {
	type field struct {
		index int
		fill  Fill
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && (!f.Anonymous || f.Type.Kind() != reflect.Struct) {
			continue
		}
		var inner reflect.Value
		if sample.IsValid() {
			inner = sample.Field(i)
			if !show.Empty(inner) && (!f.Anonymous || inner.Kind() != reflect.Struct) {
				continue
			}
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]() {
			fields = append(fields, field{i, fillStruct(f.Type, inner, nesting)})
			continue
		}
		if of := fillOf(f.Type, nesting+1); of != nil {
			fields = append(fields, field{i, of})
		}
	}
	return func(r *rand.Rand, v reflect.Value) {
		for _, f := range fields {
			f.fill(r, v.Field(f.index))
		}
	}
}

// fillOf returns what fills a value of type t, nil if it stays as it is.
func fillOf(t reflect.Type, nesting int) Fill {
	switch t.Kind() { //nolint:exhaustive // the rest stays empty: interfaces, functions, channels
	case reflect.Bool:
		return func(r *rand.Rand, v reflect.Value) { v.SetBool(r.IntN(2) == 0) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(r *rand.Rand, v reflect.Value) { v.SetInt(integer(r, t.Bits())) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(r *rand.Rand, v reflect.Value) { v.SetUint(natural(r, t.Bits())) }
	case reflect.Float32, reflect.Float64:
		return func(r *rand.Rand, v reflect.Value) { v.SetFloat(float64(integer(r, 16)) / float64(int(1)<<r.IntN(3))) }
	case reflect.String:
		return func(r *rand.Rand, v reflect.Value) { v.SetString(word(r)) }
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return func(r *rand.Rand, v reflect.Value) { v.Set(reflect.ValueOf(instantOf(r))) }
		}
		if nesting > maxNesting {
			return nil
		}
		return fillStruct(t, reflect.Value{}, nesting)
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer:
		return fillMany(t, nesting)
	}
	return nil
}

// fillMany returns what fills a type that is made of others.
func fillMany(t reflect.Type, nesting int) Fill {
	if nesting > maxNesting {
		return nil
	}
	of := fillOf(t.Elem(), nesting+1)
	if of == nil {
		return nil
	}
	switch t.Kind() { //nolint:exhaustive // the four kinds of fillOf
	case reflect.Pointer:
		return func(r *rand.Rand, v reflect.Value) {
			if r.IntN(3) > 0 {
				v.Set(reflect.New(t.Elem()))
				of(r, v.Elem())
			}
		}
	case reflect.Map:
		return fillMap(t, of, nesting)
	case reflect.Slice:
		return func(r *rand.Rand, v reflect.Value) {
			n := r.IntN(4)
			v.Set(reflect.MakeSlice(t, n, n))
			fillElements(r, v, of)
		}
	}
	return func(r *rand.Rand, v reflect.Value) { fillElements(r, v, of) }
}

func fillElements(r *rand.Rand, v reflect.Value, of Fill) {
	for i := range v.Len() {
		of(r, v.Index(i))
	}
}

func fillMap(t reflect.Type, of Fill, nesting int) Fill {
	key := fillOf(t.Key(), nesting+1)
	if key == nil {
		return nil
	}
	return func(r *rand.Rand, v reflect.Value) {
		m := reflect.MakeMap(t)
		for range r.IntN(4) {
			k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			key(r, k)
			of(r, e)
			m.SetMapIndex(k, e)
		}
		v.Set(m)
	}
}

// integer returns a signed number of that many bits, most often a small one.
func integer(r *rand.Rand, bits int) int64 {
	largest := int64(math.MaxInt64) >> (64 - bits)
	switch n := r.IntN(32); {
	case n < 18:
		return r.Int64N(6)
	case n < 24:
		return r.Int64N(101)
	case n < 27:
		return -r.Int64N(6)
	case n < 29:
		return r.Int64N(largest>>(bits/2)) - r.Int64N(largest>>(bits/2))
	case n < 31:
		return largest - r.Int64N(2)
	}
	return -largest - 1
}

// natural returns an unsigned number of that many bits, most often a small one.
func natural(r *rand.Rand, bits int) uint64 {
	largest := uint64(math.MaxUint64) >> (64 - bits)
	switch n := r.IntN(32); {
	case n < 20:
		return r.Uint64N(6)
	case n < 28:
		return r.Uint64N(101)
	case n < 30:
		return r.Uint64N(largest >> (bits / 2))
	}
	return largest - r.Uint64N(2)
}

// word returns a text; there are few, so that two are often the same.
func word(r *rand.Rand) string {
	words := [...]string{"", "a", "a", "b", "b", "c", "ann", "bob", "a b", "é", "日本", "O'Neil \"x\"\n"}
	return words[r.IntN(len(words))]
}

// instantOf returns a time near the beginning of 2000, at times the zero one.
func instantOf(r *rand.Rand) time.Time {
	t := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	switch n := r.IntN(16); {
	case n == 0:
		return time.Time{}
	case n < 6:
		return t.AddDate(0, 0, r.IntN(40))
	case n < 12:
		return t.Add(time.Duration(r.IntN(48)) * time.Hour)
	}
	return t.Add(time.Duration(r.Int64N(int64(48 * time.Hour))))
}
