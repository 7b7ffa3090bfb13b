// Package show prints, compares and diffs Go values of any kind.
//
// A value has one text: unexported fields count, nil and empty slices and maps
// print the same, times print as instants, and maps print in the order of their
// keys. What has no exported fields, but a MarshalText, prints as that: a decimal,
// an address. Two values are the same if their texts are.
package show

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"
)

// maxDepth is the depth at which values that contain themselves are cut off.
const maxDepth = 24

// printer appends values to buf, and the same value always gives the same text. Traces,
// diffs, equality and fingerprints are all based on it. If code is set, it appends Go
// code.
type printer struct {
	buf  []byte
	code bool
}

// shape is what the printer needs to know about a struct type.
type shape struct {
	name   string   // without its package
	fields []string // "" if the field is not part of the value
	time   bool
	text   bool // it has MarshalText and no exported fields
}

var shapes sync.Map //nolint:gochecknoglobals // a cache of reflect.Type → *shape, which cannot go stale

var printers = sync.Pool{New: func() any { return new(printer) }} //nolint:gochecknoglobals // buffers for reuse

// Fields returns the names of the fields of t, a struct. The name of a field that is
// not part of the value, such as a cache in a protobuf message, is "".
func Fields(t reflect.Type) []string { return shapeOf(t).fields }

// IsTime reports whether t is [time.Time], which prints as an instant.
func IsTime(t reflect.Type) bool { return t == reflect.TypeFor[time.Time]() }

// IsText reports whether a struct of type t prints as one text, such as an instant or a
// decimal, and not as its fields.
func IsText(t reflect.Type) bool { return shapeOf(t).time || shapeOf(t).text }

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape) //nolint:errcheck // nothing else is stored
	}
	s := &shape{name: TypeName(t), time: t == reflect.TypeFor[time.Time]()}
	for f := range t.Fields() {
		s.fields = append(s.fields, f.Name)
	}
	if f, ok := t.FieldByName("state"); ok && f.Type.String() == "impl.MessageState" {
		for i, name := range s.fields { // a protobuf message: its caches are not part of the value
			if name == "state" || name == "sizeCache" {
				s.fields[i] = ""
			}
		}
	}
	s.text = t.NumField() > 0 && tellsText(t) && !slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.IsExported() })
	shapes.Store(t, s)
	return s
}

// tellsText reports whether values of type t, or pointers to them, have MarshalText.
func tellsText(t reflect.Type) bool {
	return t.Name() != "" && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// marshaled returns the text of v by MarshalText. It returns false if v has no such
// method, or if the method cannot be called.
func marshaled(v reflect.Value) (text string, ok bool) {
	if v.CanAddr() { // even if the field is not exported
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())) //nolint:gosec // it is only read
	} else {
		if !v.CanInterface() {
			return "", false
		}
		c := reflect.New(v.Type())
		c.Elem().Set(v)
		v = c
	}
	m, ok := reflect.TypeAssert[encoding.TextMarshaler](v)
	if !ok {
		return "", false
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	data, err := m.MarshalText()
	return string(data), err == nil
}

// TypeName returns the name of t without its package, type arguments included.
func TypeName(t reflect.Type) string {
	if t.Name() == "" {
		return t.String()
	}
	name, args, generic := strings.Cut(t.Name(), "[")
	if !generic {
		return name
	}
	return name + "[" + args[strings.LastIndexAny(args, "/.")+1:]
}

// Text returns v as one line, such as Deposit{Amount: 1}. Empty fields are left out.
// Two values are the same if and only if their texts are.
func Text[T any](v T) string {
	p := printers.Get().(*printer) //nolint:errcheck // nothing else is in the pool
	defer printers.Put(p)
	p.buf, p.code = p.buf[:0], false
	p.value(reflect.ValueOf(&v).Elem(), 0)
	return string(p.buf)
}

// Same reports whether a and b have the same text.
func Same[T any](a, b T) bool {
	return reflect.DeepEqual(&a, &b) || Text(a) == Text(b)
}

// Code returns v as Go code, with package names.
func Code[T any](v T) string {
	p := &printer{code: true}
	p.value(reflect.ValueOf(&v).Elem(), 0)
	return string(p.buf)
}

// Value is [Text] for the value in v.
func Value(v reflect.Value) string {
	p := &printer{}
	p.value(v, 0)
	return string(p.buf)
}

func (p *printer) add(s string) { p.buf = append(p.buf, s...) }

// quote adds s as strconv.Quote writes it. Most texts are plain, and copied at once.
func (p *printer) quote(s string) {
	for _, r := range s {
		plain := ' ' <= r && r <= '~' && r != '"' && r != '\\'
		if !plain && (r < utf8.RuneSelf || r == utf8.RuneError || !strconv.IsPrint(r)) {
			p.buf = strconv.AppendQuote(p.buf, s)
			return
		}
	}
	p.buf = append(append(append(p.buf, '"'), s...), '"')
}

func (p *printer) value(v reflect.Value, depth int) {
	if depth > maxDepth {
		p.add("…")
		return
	}
	switch v.Kind() { //nolint:exhaustive // scalar handles the rest
	case reflect.Interface:
		p.dynamic(v, depth)
	case reflect.Pointer:
		p.pointer(v, depth)
	case reflect.Struct:
		p.structure(v, depth)
	case reflect.Slice, reflect.Array:
		p.list(v, depth)
	case reflect.Map:
		p.mapping(v, depth)
	default:
		p.scalar(v)
	}
}

func (p *printer) scalar(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // default handles the rest
	case reflect.Bool:
		p.buf = strconv.AppendBool(p.buf, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.buf = strconv.AppendInt(p.buf, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		p.buf = strconv.AppendUint(p.buf, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		p.buf = strconv.AppendFloat(p.buf, v.Float(), 'g', -1, v.Type().Bits())
	case reflect.Complex64, reflect.Complex128:
		p.add(strconv.FormatComplex(v.Complex(), 'g', -1, v.Type().Bits()))
	case reflect.String:
		p.quote(v.String())
	default: // functions, channels and unsafe pointers: nil or not
		if v.IsNil() {
			p.add("nil")
			return
		}
		p.add(v.Type().String())
	}
}

// dynamic appends the value in an interface. It adds the type if the text of the value
// does not show it.
func (p *printer) dynamic(v reflect.Value, depth int) {
	if v.IsNil() {
		p.add("nil")
		return
	}
	v = v.Elem()
	switch v.Type() {
	case reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[bool](), reflect.TypeFor[float64]():
		p.value(v, depth+1)
		return
	}
	if k := v.Kind(); k == reflect.Struct || k == reflect.Pointer {
		p.value(v, depth+1)
		return
	}
	if !p.code || !slices.Contains([]reflect.Kind{reflect.Slice, reflect.Array, reflect.Map}, v.Kind()) {
		p.typeName(v.Type())
		p.add("(")
		defer p.add(")")
	}
	p.value(v, depth+1)
}

func (p *printer) pointer(v reflect.Value, depth int) {
	switch {
	case v.IsNil():
		p.add("nil")
	case p.code && v.Elem().Kind() != reflect.Struct:
		p.add("ptr(")
		p.value(v.Elem(), depth+1)
		p.add(")")
	default:
		p.add("&")
		p.value(v.Elem(), depth+1)
	}
}

func (p *printer) typeName(t reflect.Type) {
	if p.code {
		p.add(t.String())
		return
	}
	p.add(TypeName(t))
}

func (p *printer) structure(v reflect.Value, depth int) {
	s := shapeOf(v.Type())
	if s.time {
		p.time(v)
		return
	}
	if s.text && !p.code {
		if t, ok := marshaled(v); ok {
			p.add(s.name + "(" + t + ")")
			return
		}
	}
	if p.code {
		p.add(v.Type().String())
	} else {
		p.add(s.name)
	}
	p.add("{")
	first := true
	for i, name := range s.fields {
		f := v.Field(i)
		if name == "" || Empty(f) {
			continue
		}
		if !first {
			p.add(", ")
		}
		first = false
		p.add(name)
		p.add(": ")
		p.value(f, depth+1)
	}
	p.add("}")
}

// Empty reports whether v is zero, or a list or map without elements.
func Empty(v reflect.Value) bool {
	switch v.Kind() { //nolint:exhaustive // default handles the rest
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		s := shapeOf(v.Type())
		switch {
		case s.time:
			return Instant(v).IsZero()
		case v.IsZero():
			return true
		case s.text: // there may be several zeros: 0 and 0.00
			if text, ok := marshaled(v); ok {
				zero, ok := marshaled(reflect.Zero(v.Type()))
				return ok && text == zero
			}
		}
		for i, name := range s.fields {
			if name != "" && !Empty(v.Field(i)) {
				return false
			}
		}
		return true
	default:
		return v.IsZero()
	}
}

// Instant returns the time in v, in UTC. Reflection gives access only to the numbers of
// an unexported field, not to its value. A test compares the result with package time.
func Instant(v reflect.Value) time.Time {
	const (
		monotonic  = 1 << 63
		nanoBits   = 30
		nanoMask   = 1<<nanoBits - 1
		since1885  = 59453308800  // seconds from year 1 to 1885
		sinceEpoch = -62135596800 // the Unix time of year 1
	)
	wall, ext := v.Field(0).Uint(), v.Field(1).Int()
	if wall&monotonic != 0 {
		ext = since1885 + int64(wall<<1>>(nanoBits+1))
	}
	return time.Unix(ext+sinceEpoch, int64(wall&nanoMask)).UTC()
}

func (p *printer) time(v reflect.Value) {
	t := Instant(v)
	if !p.code {
		p.buf = t.AppendFormat(p.buf, time.RFC3339Nano)
		return
	}
	if t.IsZero() {
		p.add("time.Time{}")
		return
	}
	p.add("time.Unix(" + strconv.FormatInt(t.Unix(), 10) + ", " + strconv.Itoa(t.Nanosecond()) + ").UTC()")
}

func (p *printer) list(v reflect.Value, depth int) {
	if v.Kind() == reflect.Array && !p.code && tellsText(v.Type()) {
		if t, ok := marshaled(v); ok {
			p.add(TypeName(v.Type()) + "(" + t + ")")
			return
		}
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 && v.Len() > 0 && utf8.Valid(v.Bytes()) {
		p.typeName(v.Type())
		p.add("(")
		p.quote(string(v.Bytes()))
		p.add(")")
		return
	}
	open, sep, end := "[", " ", "]"
	if p.code {
		open, sep, end = v.Type().String()+"{", ", ", "}"
	}
	p.add(open)
	for i := range v.Len() {
		if i > 0 {
			p.add(sep)
		}
		p.value(v.Index(i), depth+1)
	}
	p.add(end)
}

func (p *printer) mapping(v reflect.Value, depth int) {
	if p.code {
		p.add(v.Type().String())
	}
	p.add("{")
	for i, e := range p.entries(v, depth+1) {
		if i > 0 {
			p.add(", ")
		}
		p.add(e.text)
		p.add(": ")
		p.value(e.Value, depth+1)
	}
	p.add("}")
}

// Entry is a key of a map and its value.
type Entry struct {
	Key, Value reflect.Value
	text       string // of the key
}

// Entries returns the entries of v, a map, in an order that depends on nothing else.
func Entries(v reflect.Value) []Entry {
	if v.Type().Key().Kind() != reflect.String {
		return (&printer{}).entries(v, 0)
	}
	all := make([]Entry, 0, v.Len()) // without the quotes, which take most of the time
	for it := v.MapRange(); it.Next(); {
		k := it.Key()
		all = append(all, Entry{k, it.Value(), k.String()})
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.text, b.text) })
	return all
}

// entries returns the entries of map v in the order of the texts of their keys.
func (p *printer) entries(v reflect.Value, depth int) []Entry {
	all := make([]Entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		k := &printer{code: p.code}
		k.value(it.Key(), depth)
		all = append(all, Entry{it.Key(), it.Value(), string(k.buf)})
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.text, b.text) })
	return all
}

// Kind returns the name of the type of a command or event.
func Kind[T any](v T) string {
	t := reflect.TypeOf(v)
	switch {
	case t == nil:
		return "nil"
	case t.Kind() == reflect.Pointer:
		return TypeName(t.Elem())
	}
	return TypeName(t)
}
