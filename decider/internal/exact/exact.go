// Package exact encodes values as JSON (encoding/json) so that they decode unchanged, or
// reports that it cannot: once for a type, and once for each value. The events of
// codec.JSON, the snapshots of a runner and the states of a process use it.
package exact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Type is a type whose values JSON can hold. The zero Type is not usable.
type Type struct {
	boxes  bool   // it has fields of type any
	opaque bool   // it has parts that marshal themselves, whose text is not checked
	lossy  []byte // what JSON writes for text that is not UTF-8; empty: there is no text
	folds  Folds
}

// Of returns the Type of typ. It returns an error that names the part of typ that JSON
// loses, or cannot read back.
//
// Of sets every field of a value of typ, writes the value, reads it and compares the two.
// It sets parts that marshal themselves through their own reading. If such a part cannot
// be made in this way, it is not checked.
func Of(typ reflect.Type) (*Type, error) {
	f := &filler{}
	value := reflect.New(typ).Elem()
	if err := f.fill(value, "", nil); err != nil {
		return nil, err
	}
	t := &Type{boxes: f.boxes, opaque: f.opaque, folds: FoldsOf(typ)}
	if f.texts {
		data, err := json.Marshal("\xff")
		if err != nil {
			return nil, err
		}
		t.lossy = bytes.Trim(data, `"`)
	}
	data, err := t.Marshal(value.Interface())
	if err != nil {
		if f.untried {
			return t, nil
		}
		return nil, fmt.Errorf("JSON cannot write it: %w", err)
	}
	back := reflect.New(typ)
	err = json.Unmarshal(data, back.Interface())
	if err == nil {
		err = Check(data, t.folds)
	}
	if err != nil {
		if f.untried {
			return t, nil
		}
		return nil, fmt.Errorf("JSON cannot read back what it writes: %w", err)
	}
	if path, why := differ("", value, back.Elem()); why != "" {
		return nil, fmt.Errorf("JSON loses %s: %s", name(path), why)
	}
	return t, nil
}

// Opaque reports whether a value of t has parts, other than times, that marshal
// themselves. Their code may fail for values other than the one that Of tried.
func (t *Type) Opaque() bool { return t.opaque }

// name returns the name of a path of fields in a message.
func name(path string) string {
	if path == "" {
		return "the value itself"
	}
	return "the field " + path
}

// Marshal returns value, which must have the type of t, as JSON. If a part would change,
// it returns an error that names it: text that is not UTF-8, or a value in an any that
// has a type which JSON does not read into an any.
func (t *Type) Marshal(value any) ([]byte, error) {
	if t.boxes {
		if err := boxed("", reflect.ValueOf(value)); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(t.lossy) > 0 && bytes.Contains(data, t.lossy) { // or the text itself contains it
		if err := texts("", reflect.ValueOf(value)); err != nil {
			return nil, err
		}
	}
	if t.opaque {
		if err := Check(data, t.folds); err != nil {
			return nil, err
		}
	}
	return data, nil
}
