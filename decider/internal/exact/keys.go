package exact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Folds says in which objects keys that differ only in case are one field, because
// the decoder takes either for it.
type Folds uint8

// What Folds can be.
const (
	NoObject   Folds = iota // keys are what they are, as in a map
	TopObject               // in the outermost one
	AllObjects              // in each
)

// FoldsOf returns the Folds of JSON that is read as a typ.
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

// keyed reports whether a t may have objects that are not structs.
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

// Keys returns an error if an object in data, which must be valid JSON, has a key
// twice: readers take one or the other. Where folds says so, keys are the same if
// they differ only in case.
func Keys(data []byte, folds Folds) error {
	var room [16]key
	keys := room[:0] // of the objects that are open, the innermost last
	depth := 0
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
			text, escaped, end := quoted(data, i)
			i = end
			if !isKey(data[min(end+1, len(data)):]) {
				continue // it is a value
			}
			k := key{text: text, depth: depth, escaped: escaped}
			fold := folds == AllObjects || folds == TopObject && depth == 1
			siblings := 0
			for j := len(keys) - 1; j >= 0 && keys[j].depth == depth; j-- {
				if k.same(&keys[j], fold) {
					return k.twice()
				}
				if siblings++; siblings == len(room)*4 {
					return manyKeys(data, folds)
				}
			}
			keys = append(keys, k)
		}
	}
	return nil
}

// key is a key of an object.
type key struct {
	text    []byte // between the quotes
	depth   int    // of the object
	escaped bool   // text has a backslash
}

// quoted returns the text between the quote at data[start] and the next that is not
// escaped, which is at end.
func quoted(data []byte, start int) (text []byte, escaped bool, end int) {
	for i := start + 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			return data[start+1 : i], escaped, i
		}
	}
	return data[start+1:], escaped, len(data)
}

// same reports whether k and o are one key.
func (k *key) same(o *key, fold bool) bool {
	a, b := k.text, o.text
	if k.escaped || o.escaped {
		a, b = []byte(k.name(false)), []byte(o.name(false))
	}
	return len(a) == len(b) && bytes.Equal(a, b) || fold && bytes.EqualFold(a, b)
}

// name returns the key as text; folded, it is the same for all that differ only in
// case.
func (k *key) name(fold bool) string {
	name := string(k.text)
	if k.escaped {
		_ = json.Unmarshal([]byte(`"`+name+`"`), &name) // if it is no text, it is itself
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

func (k *key) twice() error {
	return fmt.Errorf("the key %q is there twice (or in two spellings), so its value is not known", k.name(false))
}

// manyKeys is Keys for objects that are large.
func manyKeys(data []byte, folds Folds) error {
	var open []map[string]bool // what is open, from the outermost on
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			open = append(open, map[string]bool{})
		case '}', ']':
			open = open[:max(len(open)-1, 0)]
		case '"':
			text, escaped, end := quoted(data, i)
			i = end
			if !isKey(data[min(end+1, len(data)):]) || len(open) == 0 {
				continue
			}
			k := key{text: text, escaped: escaped}
			name := k.name(folds == AllObjects || folds == TopObject && len(open) == 1)
			if open[len(open)-1][name] {
				return k.twice()
			}
			open[len(open)-1][name] = true
		}
	}
	return nil
}

// isKey reports whether a text was a key, by what follows it.
func isKey(rest []byte) bool {
	for i := range rest {
		switch rest[i] {
		case ' ', '\t', '\n', '\r':
		default:
			return rest[i] == ':'
		}
	}
	return false
}
