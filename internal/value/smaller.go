package value

import (
	"math"
	"reflect"

	"github.com/evolvego/evolve/internal/show"
)

// Smaller returns values that are simpler than v, the simplest first.
func Smaller(v reflect.Value) []reflect.Value { return smaller(v, 0) }

func smaller(v reflect.Value, depth int) []reflect.Value {
	if show.Empty(v) || depth > maxNesting {
		return nil
	}
	out := []reflect.Value{reflect.Zero(v.Type())}
	number := func(set func(reflect.Value)) {
		c := reflect.New(v.Type()).Elem()
		set(c)
		out = append(out, c)
	}
	switch v.Kind() { //nolint:exhaustive // other kinds can only be zero
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		for less := v.Int() / 2; less != 0; less /= 2 { // so that each value is near, however large it is
			number(func(c reflect.Value) { c.SetInt(v.Int() - less) })
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		for less := v.Uint() / 2; less != 0; less /= 2 {
			number(func(c reflect.Value) { c.SetUint(v.Uint() - less) })
		}
	case reflect.Float32, reflect.Float64:
		whole := math.Trunc(v.Float())
		if math.IsNaN(whole) || math.IsInf(whole, 0) {
			break
		}
		if whole != v.Float() {
			number(func(c reflect.Value) { c.SetFloat(whole) })
		}
		for less := math.Trunc(whole / 2); less != 0 && whole-less != whole; less = math.Trunc(less / 2) {
			number(func(c reflect.Value) { c.SetFloat(whole - less) })
		}
	case reflect.String:
		if r := []rune(v.String()); len(r) > 1 {
			number(func(c reflect.Value) { c.SetString(string(r[:len(r)/2])) })
			number(func(c reflect.Value) { c.SetString(string(r[:len(r)-1])) })
		}
		if v.String() != "a" {
			number(func(c reflect.Value) { c.SetString("a") })
		}
	case reflect.Slice:
		out = append(out, shorter(v, depth)...)
	case reflect.Struct:
		out = append(out, smallerFields(v, depth)...)
	case reflect.Pointer:
		for _, e := range smaller(v.Elem(), depth+1) {
			c := reflect.New(v.Type().Elem())
			c.Elem().Set(e)
			out = append(out, c.Convert(v.Type()))
		}
	}
	return out
}

// shorter returns copies of v: without each of its elements, and with each element made
// smaller.
func shorter(v reflect.Value, depth int) (out []reflect.Value) {
	for i := range v.Len() {
		c := reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()-1), v.Slice(0, i))
		out = append(out, reflect.AppendSlice(c, v.Slice(i+1, v.Len())))
	}
	for i := range v.Len() {
		for _, e := range smaller(v.Index(i), depth+1) {
			c := reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v)
			c.Index(i).Set(e)
			out = append(out, c)
		}
	}
	return out
}

func smallerFields(v reflect.Value, depth int) (out []reflect.Value) {
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		for _, f := range smaller(v.Field(i), depth+1) {
			c := reflect.New(v.Type()).Elem()
			c.Set(v)
			c.Field(i).Set(f)
			out = append(out, c)
		}
	}
	return out
}
