package value

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"sync"
	"time"
)

// A parse sets the value that v points to from text, if it can.
type parse func(v reflect.Value, text string) bool

// parsers caches the results of parsedOf.
var parsers sync.Map //nolint:gochecknoglobals // a cache of reflect.Type → Fill, which cannot go stale

// parsedOf returns a Fill that sets a t by one of its own methods that read text:
// UnmarshalText, SetString, Set, UnmarshalJSON or Scan. It returns nil if t accepts
// none of the texts. This fills types without exported fields, such as big.Int and
// netip.Addr.
func parsedOf(t reflect.Type) Fill {
	if cached, ok := parsers.Load(t); ok {
		return cached.(Fill) //nolint:errcheck // nothing else is stored
	}
	fill := searchParsed(t)
	parsers.Store(t, fill)
	return fill
}

func searchParsed(t reflect.Type) Fill {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer || t.Name() == "" || t.PkgPath() == "" || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	for _, way := range waysOf(t) {
		texts := understood(t, way)
		if len(texts) == 0 {
			continue
		}
		return func(s *Source, v reflect.Value) {
			if known := s.known(); len(known.Texts) > 0 && s.Rand.IntN(4) == 0 && into(v, way, pick(s.Rand, known.Texts, known.own.texts)) {
				return
			}
			for range 4 {
				if into(v, way, texts[s.Rand.IntN(len(texts))](s.Rand)) {
					return
				}
			}
		}
	}
	return nil
}

// into sets v by way, and reports whether it could.
func into(v reflect.Value, way parse, text string) bool {
	made := reflect.New(v.Type())
	if !safely(way, made, text) {
		return false
	}
	v.Set(made.Elem())
	return true
}

func safely(way parse, v reflect.Value, text string) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return way(v, text)
}

// understood returns the texts that way accepts for a t.
func understood(t reflect.Type, way parse) (out []func(*rand.Rand) string) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable on purpose
	for _, text := range texts {
		good := 0
		for range 3 {
			if safely(way, reflect.New(t), text(r)) {
				good++
			}
		}
		if good == 3 {
			out = append(out, text)
		}
	}
	return out
}

// waysOf returns how a t can be made from text, the best way first. A method that is
// promoted from an embedded field sets only that field, so it does not count. JSON is
// for types that have nothing else.
func waysOf(t reflect.Type) (ways []parse) {
	p := reflect.PointerTo(t)
	closed := t.Kind() == reflect.Struct && opaque(t)
	has := func(i reflect.Type) bool { return p.Implements(i) && !promoted(t, i) }
	if has(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		ways = append(ways, func(v reflect.Value, s string) bool {
			u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v)
			return ok && u.UnmarshalText([]byte(s)) == nil
		})
	}
	if m, ok := p.MethodByName("SetString"); ok && closed {
		ways = append(ways, func(v reflect.Value, s string) bool { return setString(v.Method(m.Index), s) })
	}
	if closed && has(reflect.TypeFor[interface{ Set(s string) error }]()) {
		ways = append(ways, func(v reflect.Value, s string) bool {
			u, ok := reflect.TypeAssert[interface{ Set(s string) error }](v)
			return ok && u.Set(s) == nil
		})
	}
	if (closed || t == reflect.TypeFor[json.RawMessage]()) && has(reflect.TypeFor[json.Unmarshaler]()) {
		ways = append(ways, fromJSON)
	}
	if closed && has(reflect.TypeFor[interface{ Scan(src any) error }]()) {
		ways = append(ways, func(v reflect.Value, s string) bool {
			u, ok := reflect.TypeAssert[interface{ Scan(src any) error }](v)
			return ok && u.Scan(s) == nil
		})
	}
	if t == reflect.TypeFor[json.Number]() { // a text that must be a number
		ways = append(ways, func(v reflect.Value, s string) bool {
			_, err := strconv.ParseFloat(s, 64)
			v.Elem().SetString(s)
			return err == nil && json.Valid([]byte(s))
		})
	}
	return ways
}

// promoted reports whether t has i only through an embedded field.
func promoted(t, i reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for f := range t.Fields() {
		if f.Anonymous && (f.Type.Implements(i) || reflect.PointerTo(f.Type).Implements(i)) {
			return true
		}
	}
	return false
}

func fromJSON(v reflect.Value, s string) bool {
	u, ok := reflect.TypeAssert[json.Unmarshaler](v)
	if !ok {
		return false
	}
	if json.Valid([]byte(s)) && u.UnmarshalJSON([]byte(s)) == nil {
		return true
	}
	quoted, err := json.Marshal(s)
	return err == nil && u.UnmarshalJSON(quoted) == nil
}

// setString calls SetString with the signature of big.Int, which takes a base, or of
// big.Rat.
func setString(method reflect.Value, s string) bool {
	args := []reflect.Value{reflect.ValueOf(s)}
	switch t := method.Type(); {
	case t.NumIn() == 1 && t.In(0).Kind() == reflect.String:
	case t.NumIn() == 2 && t.In(0).Kind() == reflect.String && t.In(1).Kind() == reflect.Int:
		args = append(args, reflect.ValueOf(10))
	default:
		return false
	}
	for _, out := range method.Call(args) {
		if out.Kind() == reflect.Bool && !out.Bool() {
			return false
		}
		if err, ok := reflect.TypeAssert[error](out); ok && err != nil {
			return false
		}
	}
	return true
}

// texts are texts that types are often made from: numbers, amounts, ids, addresses,
// times, codes.
var texts = []func(r *rand.Rand) string{ //nolint:gochecknoglobals // a table
	func(r *rand.Rand) string { return strconv.Itoa(r.IntN(6)) },
	func(r *rand.Rand) string { return strconv.Itoa(r.IntN(6)) },
	func(r *rand.Rand) string { return strconv.Itoa(r.IntN(101)) },
	func(r *rand.Rand) string { return strconv.Itoa(-1 - r.IntN(6)) },
	func(r *rand.Rand) string { return fmt.Sprintf("%d.%02d", r.IntN(10), r.IntN(100)) },
	func(r *rand.Rand) string { return fmt.Sprintf("-%d.%02d", r.IntN(10), r.IntN(100)) },
	func(r *rand.Rand) string { return []string{"9007199254740993", "9223372036854775808"}[r.IntN(2)] },
	func(r *rand.Rand) string { return "-123456789012345678901234567890" },
	func(r *rand.Rand) string { return fmt.Sprintf("%d/%d", r.IntN(6), 1+r.IntN(6)) },
	func(r *rand.Rand) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("%032x", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("%024x", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("01ARZ3NDEKTSV4RRFFQ69G5FA%d", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("10.0.0.%d", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("2001:db8::%d", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("10.0.%d.0/24", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("10.0.0.1:%d", 80+r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("02:00:00:00:00:%02x", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("2000-01-%02d", 1+r.IntN(28)) },
	func(r *rand.Rand) string { return fmt.Sprintf("2000-01-%02dT10:00:00Z", 1+r.IntN(28)) },
	func(r *rand.Rand) string { return fmt.Sprintf("%02d:30:00", r.IntN(24)) },
	func(r *rand.Rand) string { return fmt.Sprintf("%dh", r.IntN(6)) },
	func(r *rand.Rand) string { return []string{"EUR", "USD", "JPY"}[r.IntN(3)] },
	func(r *rand.Rand) string { return []string{"en", "de-AT", "ja"}[r.IntN(3)] },
	func(r *rand.Rand) string { return fmt.Sprintf("%d EUR", r.IntN(100)) },
	func(r *rand.Rand) string { return fmt.Sprintf("1.%d.0", r.IntN(4)) },
	func(r *rand.Rand) string { return []string{"true", "false"}[r.IntN(2)] },
	func(r *rand.Rand) string { return []string{"INFO", "WARN"}[r.IntN(2)] },
	func(r *rand.Rand) string { return fmt.Sprintf("https://example.org/%d", r.IntN(4)) },
	func(r *rand.Rand) string { return fmt.Sprintf("ann%d@example.org", r.IntN(4)) },
	func(r *rand.Rand) string { return []string{"#000000", "#ff8800"}[r.IntN(2)] },
	func(r *rand.Rand) string { return []string{"a", "b", "ann", "A b", "é"}[r.IntN(5)] },
	func(r *rand.Rand) string { return `{"a":1}` },
}
