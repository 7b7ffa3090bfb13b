package value

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/evolvego/evolve/internal/show"
)

// maxNesting limits the depth of random values, such as a tree made of lists.
const maxNesting = 3

// Source is where random values come from.
type Source struct {
	Rand *rand.Rand
	// Known returns values that have been seen, some of which come again. Nil means
	// none.
	Known func() *Known
	Odd   bool // more of the values that programs forget
}

// known returns the values that have been seen, if any.
func (s *Source) known() *Known {
	if s.Known == nil {
		return &Known{}
	}
	return s.Known()
}

// Fill sets a settable value to a random one.
type Fill func(s *Source, v reflect.Value)

// Filler makes Fill functions. It records which fields it cannot fill.
type Filler struct {
	told    []reflect.Value
	missing []string
}

// NewFiller returns a filler. It uses values for types that it cannot fill: each for
// its own type, and for the interfaces that the type implements.
func NewFiller(values ...any) *Filler {
	f := &Filler{}
	for _, v := range values {
		if v != nil {
			f.told = append(f.told, reflect.ValueOf(v))
		}
	}
	return f
}

// Missing returns the fields that are never filled, such as "Deposit.Fee (Money)".
func (f *Filler) Missing() []string { return slices.Clone(f.missing) }

// Struct returns a Fill for the fields of t, a struct. It fills the fields that are
// exported, and that are empty in sample if sample is valid.
func (f *Filler) Struct(t reflect.Type, sample reflect.Value) Fill {
	return f.fields(show.TypeName(t), t, sample, 0)
}

// Of returns a Fill for type t, or nil if values of t stay as they are. Name is the
// name that Missing uses for it.
func (f *Filler) Of(name string, t reflect.Type) Fill { return f.of(name, t, 1) }

func (f *Filler) fields(path string, t reflect.Type, sample reflect.Value, nesting int) Fill {
	type field struct {
		index int
		fill  Fill
	}
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		embedded := sf.Anonymous && sf.Type.Kind() == reflect.Struct && sf.Type != reflect.TypeFor[time.Time]()
		if !sf.IsExported() && !embedded || show.Fields(t)[i] == "" {
			continue
		}
		var inner reflect.Value
		if sample.IsValid() {
			inner = sample.Field(i)
			if !show.Empty(inner) && !embedded {
				continue
			}
		}
		name := path + "." + sf.Name
		if embedded {
			if fill := f.fields(name, sf.Type, inner, nesting); fill != nil {
				fields = append(fields, field{i, fill})
			}
			continue
		}
		if fill := f.of(name, sf.Type, nesting+1); fill != nil {
			fields = append(fields, field{i, fill})
		}
	}
	return func(s *Source, v reflect.Value) {
		for _, sf := range fields {
			sf.fill(s, v.Field(sf.index))
		}
	}
}

// of returns a Fill for type t, or nil if values of t stay as they are.
func (f *Filler) of(path string, t reflect.Type, nesting int) Fill {
	if told := f.toldOf(t); told != nil {
		return repeating(t, told)
	}
	if parsed := parsedOf(t); parsed != nil {
		return repeating(t, parsed)
	}
	switch t.Kind() { //nolint:exhaustive // default handles the rest
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return func(s *Source, v reflect.Value) { v.Set(reflect.ValueOf(instant(s))) }
		}
		if nesting > maxNesting {
			return nil
		}
		if opaque(t) {
			break
		}
		return repeating(t, f.fields(path, t, reflect.Value{}, nesting))
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer:
		return repeating(t, f.many(path, t, nesting))
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
	default:
		return scalar(t)
	}
	if name := fmt.Sprintf("%s (%v)", path, t); !slices.Contains(f.missing, name) {
		f.missing = append(f.missing, name)
	}
	return nil
}

// scalar returns a Fill for a kind without parts.
func scalar(t reflect.Type) Fill {
	switch t.Kind() { //nolint:exhaustive // of handles the others
	case reflect.Bool:
		return func(s *Source, v reflect.Value) { v.SetBool(s.Rand.IntN(2) == 0) }
	case reflect.Float32, reflect.Float64:
		return func(s *Source, v reflect.Value) { v.SetFloat(float(s, t.Bits())) }
	case reflect.String:
		return func(s *Source, v reflect.Value) { v.SetString(word(s)) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(s *Source, v reflect.Value) { v.SetUint(natural(s, t.Bits())) }
	}
	return func(s *Source, v reflect.Value) { v.SetInt(integer(s, t.Bits())) }
}

// opaque reports whether t, a struct, has fields of which none can be set from outside.
func opaque(t reflect.Type) bool {
	for f := range t.Fields() {
		if f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct && !opaque(f.Type) {
			return false
		}
	}
	return t.NumField() > 0
}

// toldOf returns a Fill that sets a t to one of the values given to NewFiller, or nil
// if none fits.
func (f *Filler) toldOf(t reflect.Type) Fill {
	var fit []reflect.Value
	for _, v := range f.told {
		if v.Type() == t || t.Kind() == reflect.Interface && v.Type().Implements(t) {
			fit = append(fit, v)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return func(s *Source, v reflect.Value) { assign(v, fit[s.Rand.IntN(len(fit))]) }
}

// assign sets v, which may be an interface, to a copy of the value in x.
func assign(v, x reflect.Value) {
	c := reflect.New(x.Type()).Elem()
	copyInto(c, x, 0)
	v.Set(c)
}

// repeating returns a Fill that sometimes repeats a whole value of t that has been
// seen, and otherwise calls fill. If fill is nil, it returns nil.
func repeating(t reflect.Type, fill Fill) Fill {
	if fill == nil {
		return nil
	}
	return func(s *Source, v reflect.Value) {
		if s.Rand.IntN(4) == 0 {
			if seen := s.known().Of(t); len(seen) > 0 {
				assign(v, seen[s.Rand.IntN(len(seen))])
				return
			}
		}
		fill(s, v)
	}
}

// many returns a Fill for a type that is made of other types.
func (f *Filler) many(path string, t reflect.Type, nesting int) Fill {
	if nesting > maxNesting {
		return nil
	}
	of := f.of(path, t.Elem(), nesting+1)
	if of == nil {
		return nil
	}
	switch t.Kind() { //nolint:exhaustive // the four kinds of Of
	case reflect.Pointer:
		return func(s *Source, v reflect.Value) {
			v.SetZero()
			if s.Rand.IntN(3) > 0 {
				v.Set(reflect.New(t.Elem()))
				of(s, v.Elem())
			}
		}
	case reflect.Map:
		return f.mapping(path, t, of, nesting)
	case reflect.Slice:
		return func(s *Source, v reflect.Value) {
			n := s.Rand.IntN(4)
			v.Set(reflect.MakeSlice(t, n, n))
			fillElements(s, v, of)
		}
	}
	return func(s *Source, v reflect.Value) { fillElements(s, v, of) }
}

func fillElements(s *Source, v reflect.Value, of Fill) {
	for i := range v.Len() {
		of(s, v.Index(i))
	}
}

func (f *Filler) mapping(path string, t reflect.Type, of Fill, nesting int) Fill {
	key := f.of(path, t.Key(), nesting+1)
	if key == nil {
		return nil
	}
	return func(s *Source, v reflect.Value) {
		m := reflect.MakeMap(t)
		for range s.Rand.IntN(4) {
			k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			key(s, k)
			of(s, e)
			if k.Comparable() && show.Value(k) != "NaN" { // a key that can never be found again
				m.SetMapIndex(k, e)
			}
		}
		v.Set(m)
	}
}
