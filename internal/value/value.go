// Package value copies, changes, fills and shrinks Go values of any type.
package value

import "reflect"

// maxDepth is the depth at which values that contain themselves are cut off.
const maxDepth = 24

// Clones returns a copy of each element of all; see [Clone].
func Clones[C any](cmds []C) []C {
	out := make([]C, len(cmds))
	for i := range cmds {
		out[i] = Clone(cmds[i])
	}
	return out
}

// Clone returns a copy of v. The exported fields of the copy share no memory with v.
func Clone[C any](cmd C) C {
	v := reflect.ValueOf(&cmd).Elem()
	if plain(v) {
		return cmd
	}
	c := reflect.New(v.Type()).Elem()
	copyInto(c, v, 0)
	return c.Interface().(C) //nolint:errcheck // its own type
}

// plain reports whether v holds no reference that a copy would share.
func plain(v reflect.Value) bool {
	switch v.Kind() { //nolint:exhaustive // default handles the rest
	case reflect.Interface:
		return v.IsNil() || plain(v.Elem())
	case reflect.Struct:
		for _, f := range v.Fields() {
			if !plain(f) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return v.IsNil()
	case reflect.Array:
		if v.Type().Elem().Kind() <= reflect.Complex128 {
			return true // numbers, however many
		}
		for i := range v.Len() {
			if !plain(v.Index(i)) {
				return false
			}
		}
		return true
	default:
		return true
	}
}

// copyInto makes dst, which is settable, a deep copy of src.
func copyInto(dst, src reflect.Value, depth int) {
	dst.Set(src)
	if depth > maxDepth {
		return
	}
	switch src.Kind() { //nolint:exhaustive // other kinds are copied
	case reflect.Interface:
		if !src.IsNil() {
			v := reflect.New(src.Elem().Type()).Elem()
			copyInto(v, src.Elem(), depth+1)
			dst.Set(v)
		}
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyInto(dst.Elem(), src.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range src.NumField() {
			if dst.Field(i).CanSet() {
				copyInto(dst.Field(i), src.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			copyElements(dst, src, depth)
		}
	case reflect.Array:
		copyElements(dst, src, depth)
	case reflect.Map:
		copyMap(dst, src, depth)
	}
}

func copyElements(dst, src reflect.Value, depth int) {
	for i := range src.Len() {
		copyInto(dst.Index(i), src.Index(i), depth+1)
	}
}

func copyMap(dst, src reflect.Value, depth int) {
	if src.IsNil() {
		return
	}
	dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
	for it := src.MapRange(); it.Next(); {
		v := reflect.New(src.Type().Elem()).Elem()
		copyInto(v, it.Value(), depth+1)
		dst.SetMapIndex(it.Key(), v)
	}
}

// Struct returns the struct that the variable of a command holds.
func Struct(v reflect.Value) reflect.Value {
	for (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) && !v.IsNil() {
		v = v.Elem()
	}
	return v
}

// Edit returns a copy of cmd whose struct f has changed.
func Edit[C any](cmd C, f func(v reflect.Value)) C {
	v := reflect.New(reflect.TypeFor[C]()).Elem()
	copyInto(v, reflect.ValueOf(&cmd).Elem(), 0)
	inner := v
	for inner.Kind() == reflect.Interface {
		inner = inner.Elem()
	}
	if inner.Kind() == reflect.Pointer {
		f(Struct(inner))
		return v.Interface().(C) //nolint:errcheck // its own type
	}
	s := reflect.New(inner.Type()).Elem()
	s.Set(inner)
	f(s)
	return s.Interface().(C) //nolint:errcheck // its own type
}

// IsNil reports whether v is a nil interface or pointer.
func IsNil[T any](v T) bool {
	r := reflect.ValueOf(&v).Elem()
	for r.Kind() == reflect.Interface || r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return true
		}
		r = r.Elem()
	}
	return false
}
