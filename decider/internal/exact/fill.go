package exact

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// filler fills values with data that differs from the zero value, and mostly from its
// other data.
type filler struct {
	n       int64
	boxes   bool // there was an any
	texts   bool // there was a text
	opaque  bool // there was a type that marshals itself, and is not the time
	untried bool // no value was found for one of these
}

// fill sets value and all its parts. Within holds the types that enclose it. It returns
// an error if the value has a part that JSON can never hold.
func (f *filler) fill(value reflect.Value, path string, within []reflect.Type) error {
	t := value.Type()
	if marshals(t) {
		return f.fillOpaque(value, path, within)
	}
	switch t.Kind() { //nolint:exhaustive // fillBasic handles the others
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("JSON cannot write %s: it is a %v", name(path), t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("JSON cannot read back %s: it is a %v, an interface, and JSON does not say which type to create", name(path), t)
		}
		f.boxes = true
		value.Set(reflect.ValueOf(f.text()))
	case reflect.Struct:
		return f.fillStruct(value, path, append(within, t))
	case reflect.Array:
		for i := range value.Len() {
			if err := f.fill(value.Index(i), path, within); err != nil {
				return err
			}
		}
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if count(within, t) < 2 {
			return f.fillReference(value, path, append(within, t))
		}
	default:
		f.fillBasic(value)
	}
	return nil
}

func count(within []reflect.Type, t reflect.Type) int {
	n := 0
	for _, w := range within {
		if w == t {
			n++
		}
	}
	return n
}

func (f *filler) fillStruct(value reflect.Value, path string, within []reflect.Type) error {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		inside := join(path, field.Name)
		embedded := field.Anonymous && field.Type.Kind() == reflect.Struct
		switch {
		case field.Name == "_" || field.Type.Size() == 0 && !field.IsExported():
			continue
		case !field.IsExported() && field.Anonymous && field.Type.Kind() == reflect.Pointer:
			return fmt.Errorf("JSON cannot read back %s: it is an embedded pointer to an unexported type", name(inside))
		case !field.IsExported() && !embedded:
			return fmt.Errorf("JSON loses %s: it is unexported", name(inside))
		}
		if !field.IsExported() && marshals(field.Type) {
			return fmt.Errorf("JSON loses %s: it is unexported", name(inside))
		}
		if err := f.fill(value.Field(i), inside, within); err != nil {
			return err
		}
	}
	return nil
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// fillReference sets a pointer, a slice or a map to one that is not empty.
func (f *filler) fillReference(value reflect.Value, path string, within []reflect.Type) error {
	t := value.Type()
	elem := reflect.New(t.Elem()).Elem()
	if err := f.fill(elem, path, within); err != nil {
		return err
	}
	switch t.Kind() { //nolint:exhaustive // there are three
	case reflect.Pointer:
		value.Set(elem.Addr())
	case reflect.Slice:
		value.Set(reflect.Append(reflect.MakeSlice(t, 0, 1), elem))
	case reflect.Map:
		key := reflect.New(t.Key()).Elem()
		if err := f.fillKey(key, path); err != nil {
			return err
		}
		value.Set(reflect.MakeMap(t))
		value.SetMapIndex(key, elem)
	}
	return nil
}

// fillKey sets the key of a map.
func (f *filler) fillKey(key reflect.Value, path string) error {
	t := key.Type()
	switch t.Kind() { //nolint:exhaustive // the others cannot be keys of JSON
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
	default:
		if !marshalsText(t) {
			return fmt.Errorf("JSON cannot write %s: its keys are of type %v", name(path), t)
		}
	}
	return f.fill(key, path, nil)
}

func (f *filler) fillBasic(value reflect.Value) {
	f.n = f.n%100 + 1
	switch value.Kind() { //nolint:exhaustive // fill handles the others
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		value.SetInt(f.n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		value.SetUint(uint64(f.n)) //nolint:gosec // positive
	case reflect.Float32, reflect.Float64:
		value.SetFloat(float64(f.n) + 0.5)
	case reflect.String:
		value.SetString(f.text())
	}
}

func (f *filler) text() string {
	f.texts = true
	f.n = f.n%100 + 1
	return fmt.Sprintf("a%d", f.n)
}

// fillOpaque sets a value that marshals itself: field by field if the result can be read,
// and otherwise by letting it read one of samples.
func (f *filler) fillOpaque(value reflect.Value, path string, within []reflect.Type) error {
	t := value.Type()
	if t == reflect.TypeFor[time.Time]() {
		value.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)))
		return nil
	}
	f.opaque, f.texts = true, true
	value.Set(f.byFields(t, within))
	if lost := promoted(value); lost != "" {
		return fmt.Errorf("JSON loses %s: the methods that write %v are those of a type that it embeds", name(join(path, lost)), t)
	}
	if !value.IsZero() && reads(value) {
		return nil
	}
	if sample, ok := bySample(t); ok {
		value.Set(sample)
		return nil
	}
	value.SetZero()
	f.untried = true
	return nil
}

// byFields returns a t that is filled as if it did not marshal itself: the exported
// fields of a struct, or the value of another kind.
func (f *filler) byFields(t reflect.Type, within []reflect.Type) reflect.Value {
	value := reflect.New(t).Elem()
	inner := &filler{}
	switch t.Kind() { //nolint:exhaustive // no other kinds can be filled like this
	case reflect.Struct:
		for i := range t.NumField() {
			if field := value.Field(i); t.Field(i).IsExported() && count(within, t) < 2 {
				if err := inner.fill(field, "", append(within, t)); err != nil {
					field.SetZero()
				}
			}
		}
	case reflect.Slice, reflect.Map, reflect.Array, reflect.Interface, reflect.Pointer:
	default:
		inner.fillBasic(value)
	}
	return value
}

// promoted returns the name of a field of value that is not written because the methods
// that write value belong to an embedded field, or "" if there is none.
func promoted(value reflect.Value) string {
	t := value.Type()
	if t.Kind() != reflect.Struct {
		return ""
	}
	whole, ok := try(value)
	if !ok {
		return ""
	}
	for i := range t.NumField() {
		if field := t.Field(i); !field.Anonymous || !field.IsExported() || !marshals(field.Type) {
			continue
		}
		if part, ok := try(value.Field(i)); !ok || !bytes.Equal(part, whole) {
			continue
		}
		for j := range t.NumField() {
			if other := t.Field(j); j != i && other.Name != "_" && other.Type.Size() > 0 {
				return other.Name
			}
		}
	}
	return ""
}

// samples returns texts that types which marshal themselves can often read.
func samples() []string {
	return []string{
		"1", "1.5", "a", "A", "2026-01-02T03:04:05Z", "2026-01-02", "03:04:05", "1h", "127.0.0.1", "10.0.0.0/8",
		"127.0.0.1:80", "01234567-89ab-4def-8123-456789abcdef", "true", "EUR", "1 EUR", "1.50 EUR", "EUR 1.50", "en",
		"https://example.org/", "a@example.org", "0a", "01ARZ3NDEKTSV4RRFFQ69G5FAV",
	}
}

// bySample returns a t that has read one of samples and can be written.
func bySample(t reflect.Type) (reflect.Value, bool) {
	var texts []string
	for _, sample := range samples() {
		texts = append(texts, `"`+sample+`"`, sample)
	}
	for _, text := range append(texts, `{"a":1}`, `["a"]`, `[1]`) {
		into := reflect.New(t)
		if guard(func() error { return json.Unmarshal([]byte(text), into.Interface()) }) == nil &&
			!into.Elem().IsZero() && reads(into.Elem()) {
			return into.Elem(), true
		}
	}
	return reflect.Value{}, false
}

// try returns the encoding of value.
func try(value reflect.Value) (data []byte, ok bool) {
	err := guard(func() (err error) {
		data, err = json.Marshal(value.Interface())
		return err
	})
	return data, err == nil
}

// reads reports whether the encoding of value can be read.
func reads(value reflect.Value) bool {
	data, ok := try(value)
	return ok && string(data) != "null" && guard(func() error { return json.Unmarshal(data, reflect.New(value.Type()).Interface()) }) == nil
}

// guard calls do and returns a panic as an error, because a type from another package may
// not accept the values it was filled with.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}

// marshals reports whether t has its own form in JSON, in both directions.
func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Marshaler]()) && p.Implements(reflect.TypeFor[json.Unmarshaler]()) || marshalsText(t)
}

// marshalsText reports whether t has its own form as text, in both directions.
func marshalsText(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
