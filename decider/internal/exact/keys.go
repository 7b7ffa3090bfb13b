package exact

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Folds says in which objects two keys that differ only in case are one field, because
// the decoder accepts either.
type Folds uint8

// Values of Folds.
const (
	NoObject   Folds = iota // keys are distinct, as in a map
	TopObject               // in the outermost object
	AllObjects              // in every object
)

// FoldsOf returns the Folds of JSON that is read into a typ.
func FoldsOf(typ reflect.Type) Folds {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ.Kind() != reflect.Struct || marshals(typ):
		return NoObject
	case keyed(typ, nil):
		return TopObject
	}
	return AllObjects
}

// keyed reports whether a t may contain objects that are not structs.
func keyed(t reflect.Type, within []reflect.Type) bool {
	if count(within, t) > 0 || t == reflect.TypeFor[time.Time]() {
		return false
	}
	if marshals(t) && !marshalsText(t) {
		return true
	}
	within = append(within, t)
	switch t.Kind() { //nolint:exhaustive // the others have no objects
	case reflect.Map, reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return keyed(t.Elem(), within)
	case reflect.Struct:
		for field := range t.Fields() {
			if keyed(field.Type, within) {
				return true
			}
		}
	}
	return false
}

// Checker finds data that JSON readers understand in different ways: text that is not
// UTF-8, which decoders replace, and a repeated key, of which readers use one or the
// other. The zero Checker is ready to use. It reuses memory between calls, so only one
// goroutine may use it at a time.
type Checker struct {
	keys []key // of the objects that are open, innermost last
}

const (
	maxSiblings = 64  // keys of an object that are compared one by one
	maxKept     = 256 // keys that a Checker keeps room for
)

// Check calls [Checker.Check] of a new Checker.
func Check(data []byte, folds Folds) error {
	var c Checker
	return c.Check(data, folds)
}

// Check returns an error if data, which must be valid JSON, is not UTF-8 or has an object
// with a repeated key. Where folds says so, keys are equal if they differ only in case.
func (c *Checker) Check(data []byte, folds Folds) error {
	ascii := isASCII(data)
	if !ascii && !utf8.Valid(data) {
		return errors.New("the data is not UTF-8")
	}
	if colon := bytes.IndexByte(data, ':'); bytes.IndexByte(data[colon+1:], ':') < 0 {
		return nil // there is at most one key
	}
	keys, depth, plain := c.keys[:0], 0, bytes.IndexByte(data, '\\') < 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			depth++
		case '}', ']':
			for len(keys) > 0 && keys[len(keys)-1].depth == depth {
				keys = keys[:len(keys)-1]
			}
			depth--
		case '"':
			k := quoted(data, i, plain)
			i = k.end
			if !isKey(data, k.end+1) {
				continue // a value
			}
			k.depth = depth
			fold := folds == AllObjects || folds == TopObject && depth == 1
			for j := len(keys) - 1; j >= 0 && keys[j].depth == depth; j-- {
				if len(keys)-j > maxSiblings {
					return checkMany(data, folds)
				}
				if k.same(data, &keys[j], fold, ascii) {
					return k.twice(data)
				}
			}
			keys = append(keys, k)
		}
	}
	if cap(keys) <= maxKept {
		c.keys = keys
	}
	return nil
}

// isASCII reports whether data is only ASCII. For a small event it takes a fifth of the
// time of utf8.Valid, which ends with a loop over single bytes.
func isASCII(data []byte) bool {
	var all uint64
	if n := len(data); n >= 8 {
		all = binary.LittleEndian.Uint64(data[n-8:]) // the rest after the loop, and more
	} else {
		for i := range data {
			all |= uint64(data[i])
		}
	}
	for ; len(data) >= 8; data = data[8:] {
		all |= binary.LittleEndian.Uint64(data)
	}
	return all&0x8080808080808080 == 0
}

// key is a key of an object: a text in quotes.
type key struct {
	start, end int  // of the text between the quotes
	depth      int  // of the object
	escaped    bool // it has a backslash
}

// quoted returns the text between the quote at data[start] and the next unescaped quote,
// which is at end. Plain says that data has no escapes.
func quoted(data []byte, start int, plain bool) key {
	if n := bytes.IndexByte(data[start+1:], '"'); plain && n >= 0 {
		return key{start: start + 1, end: start + 1 + n}
	}
	escaped, i := false, start+1
	for ; i < len(data); i++ {
		b := data[i]
		if b == '"' {
			break
		}
		if b == '\\' {
			escaped = true
			i++
		}
	}
	return key{start: start + 1, end: min(i, len(data)), escaped: escaped}
}

// same reports whether k and o, which are in data, are the same key. If data is ASCII,
// the upper and lower case of a letter have the same length.
func (k *key) same(data []byte, o *key, fold, ascii bool) bool {
	a, b := data[k.start:k.end], data[o.start:o.end]
	switch {
	case k.escaped || o.escaped:
		a, b = []byte(k.name(data, false)), []byte(o.name(data, false))
	case ascii && len(a) != len(b):
		return false
	}
	return bytes.Equal(a, b) || fold && bytes.EqualFold(a, b)
}

// name returns k, which is in data, as text. If fold is set, the text is the same for
// keys that differ only in case.
func (k *key) name(data []byte, fold bool) string {
	name := string(data[k.start:k.end])
	if k.escaped {
		_ = json.Unmarshal([]byte(`"`+name+`"`), &name) // if this fails, use the text itself
	}
	if !fold {
		return name
	}
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

func (k *key) twice(data []byte) error {
	return fmt.Errorf("the key %q occurs twice (or in two spellings), so its value is ambiguous", k.name(data, false))
}

// checkMany is Check for large objects.
func checkMany(data []byte, folds Folds) error {
	var open []map[string]bool // open objects and arrays, outermost first
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			open = append(open, map[string]bool{})
		case '}', ']':
			open = open[:max(len(open)-1, 0)]
		case '"':
			k := quoted(data, i, false)
			i = k.end
			if !isKey(data, k.end+1) || len(open) == 0 {
				continue
			}
			name := k.name(data, folds == AllObjects || folds == TopObject && len(open) == 1)
			if open[len(open)-1][name] {
				return k.twice(data)
			}
			open[len(open)-1][name] = true
		}
	}
	return nil
}

// isKey reports whether a text that ends before data[at] is a key, given what follows it.
func isKey(data []byte, at int) bool {
	for ; at < len(data); at++ {
		switch data[at] {
		case ' ', '\t', '\n', '\r':
		default:
			return data[at] == ':'
		}
	}
	return false
}
