package props

import (
	"reflect"
	"slices"
	"unsafe"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// part is a part of a state: a field, the same field of all structs in a slice or a map,
// or the whole state if it is not a struct.
type part struct {
	name string // such as "Accounts[].Balance"
	path []int  // the indices of the fields that lead to it, with elements for those of a slice or a map
	typ  reflect.Type
}

const (
	elements = -1
	maxPath  = 3 // a field of the structs in a field
)

// partsOf returns the parts of a state of type t.
func partsOf(t reflect.Type) []part {
	switch s := target(t); {
	case s.Kind() == reflect.Interface:
		return nil
	case s.Kind() != reflect.Struct || show.IsText(s):
		whole := part{name: "the state", typ: s}
		return append([]part{whole}, whole.inner()...)
	default:
		return part{typ: s}.inner()
	}
}

// inner returns the parts of p: the fields of a struct, and those of the structs in
// a slice or a map.
func (p part) inner() (out []part) {
	t := target(p.typ)
	switch t.Kind() { //nolint:exhaustive // other kinds have no parts
	case reflect.Slice, reflect.Array, reflect.Map:
		if target(t.Elem()).Kind() == reflect.Struct {
			return p.step(p.name+"[]", elements, t.Elem()).inner()
		}
	case reflect.Struct:
		if len(p.path) >= maxPath || show.IsText(t) {
			return nil
		}
		for i, name := range show.Fields(t) {
			if name == "" || name == "_" {
				continue
			}
			if p.name != "" {
				name = p.name + "." + name
			}
			f := p.step(name, i, t.Field(i).Type)
			out = append(append(out, f), f.inner()...)
		}
	}
	return out
}

// step returns the part of p at index i.
func (p part) step(name string, i int, t reflect.Type) part {
	return part{name, append(slices.Clone(p.path), i), t}
}

// target returns what t points to, or t if it is not a pointer.
func target(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// forget returns a copy of state in which p is as it was in the state before, or zero if
// it was not there.
func forget[S any](state, before S, p part) S {
	was := value.Struct(reflect.ValueOf(&before).Elem())
	if was.Kind() == reflect.Pointer { // nil
		was = reflect.Value{}
	}
	return edit(state, p, was, func(v, was reflect.Value) {
		if was.IsValid() {
			v.Set(was)
		} else {
			v.SetZero()
		}
	})
}

// edit returns a copy of state in which set has changed each value of p. It passes the
// same value of another state to set too, or the zero Value if there is none.
func edit[S any](state S, p part, other reflect.Value, set func(v, other reflect.Value)) S {
	if value.IsNil(state) {
		return state
	}
	return value.Edit(state, func(v reflect.Value) { each(v, other, p.path, set) })
}

// each calls set with each value at path in v, which is settable, and with the same value
// of other. It copies what v shares with other values before it changes that.
func each(v, other reflect.Value, path []int, set func(v, other reflect.Value)) {
	switch {
	case len(path) == 0:
		set(v, other)
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(v.Elem())
			v.Set(own)
			if other.IsValid() {
				other = other.Elem()
			}
			each(own.Elem(), other, path, set)
		}
	case path[0] != elements:
		each(field(v, path[0]), field(other, path[0]), path[1:], set)
	case v.Len() == 0:
	case v.Kind() == reflect.Map:
		own := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			e := settable(it.Value())
			each(e, entry(other, it.Key()), path[1:], set)
			own.SetMapIndex(it.Key(), e)
		}
		v.Set(own)
	default:
		if v.Kind() == reflect.Slice {
			own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(own, v)
			v.Set(own)
		}
		for i := range v.Len() {
			each(v.Index(i), element(other, i), path[1:], set)
		}
	}
}

// field returns field i of a struct, which is addressable, for reading and setting. The
// field of the zero Value is the zero Value, as for element and entry.
func field(v reflect.Value, i int) reflect.Value {
	if !v.IsValid() {
		return v
	}
	f := v.Field(i)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem() //nolint:gosec // states have unexported fields, and this is a copy
}

// element returns element i of a slice or an array.
func element(v reflect.Value, i int) reflect.Value {
	if !v.IsValid() || i >= v.Len() {
		return reflect.Value{}
	}
	return v.Index(i)
}

// entry returns a copy of the value of a map for a key.
func entry(v, key reflect.Value) reflect.Value {
	if v.IsValid() {
		v = v.MapIndex(key)
	}
	if !v.IsValid() {
		return v
	}
	return settable(v)
}

// settable returns a copy of v that can be set.
func settable(v reflect.Value) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	return own
}
