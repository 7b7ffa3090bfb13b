// Package exact is JSON (encoding/json) that gives back what it was given, or says
// that it cannot: once for a type, and once for each value. It is what the events
// of codec.JSON, the snapshots of a runner and the states of a process have in
// common.
package exact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Type is a type whose values JSON can hold. The zero Type is of no use.
type Type struct {
	boxes  bool   // it has fields of type any
	opaque bool   // it has parts that marshal themselves: their text is not ours
	lossy  []byte // what is written for text that is not UTF-8; empty: it has no text
	folds  Folds
}

// Of returns the Type of typ. It is an error that names the part of typ that JSON
// loses, or cannot read back.
//
// Of fills a value of typ, with something in every field, writes it, reads it and
// compares. Parts that marshal themselves are filled through their own reading; what
// such a part cannot be made from cannot be tried.
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
// themselves: what their code does with other values than the one that Of tried is not
// known.
func (t *Type) Opaque() bool { return t.opaque }

// name returns what a path of fields is called in a message.
func name(path string) string {
	if path == "" {
		return "the value itself"
	}
	return "the field " + path
}

// Marshal returns value, which must have the type of t, as JSON. What would come
// back as something else is an error that says where it is: text that is not UTF-8,
// and what an any holds that is not of the types that JSON is read as.
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
	if len(t.lossy) > 0 && bytes.Contains(data, t.lossy) { // or somebody has written just that
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
