package exact

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// differ returns the first part of want that differs in got, and how, or "" if there is
// none. In a value that marshals itself, only parts that were set and are zero now count,
// because its form is its own matter.
func differ(path string, want, got reflect.Value) (where, why string) {
	if marshals(want.Type()) {
		return differOpaque(path, want, got)
	}
	switch want.Kind() { //nolint:exhaustive // the others are compared as they are
	case reflect.Struct:
		for i := range want.NumField() {
			if want.Type().Field(i).Name == "_" {
				continue
			}
			if where, why = differ(join(path, want.Type().Field(i).Name), want.Field(i), got.Field(i)); why != "" {
				return where, why
			}
		}
		return "", ""
	case reflect.Pointer:
		if want.IsNil() || got.IsNil() {
			return nils(path, want, got)
		}
		return differ(path, want.Elem(), got.Elem())
	case reflect.Slice, reflect.Array:
		if want.Len() != got.Len() {
			return path, fmt.Sprintf("of %d elements only %d survive", want.Len(), got.Len())
		}
		for i := range want.Len() {
			if where, why = differ(path, want.Index(i), got.Index(i)); why != "" {
				return where, why
			}
		}
		return "", ""
	case reflect.Map:
		for _, key := range want.MapKeys() {
			back := got.MapIndex(key)
			if !back.IsValid() {
				return path, "a key does not survive"
			}
			if where, why = differ(path, want.MapIndex(key), back); why != "" {
				return where, why
			}
		}
		return "", ""
	case reflect.Interface:
		if reflect.DeepEqual(want.Interface(), got.Interface()) {
			return "", ""
		}
		return path, "it changes"
	}
	switch {
	case want.Equal(got):
		return "", ""
	case got.IsZero():
		return path, "it is empty afterwards (does its tag leave it out, or does another field hide it?)"
	}
	return path, "it changes"
}

func nils(path string, want, got reflect.Value) (where, why string) {
	if want.IsNil() == got.IsNil() {
		return "", ""
	}
	return path, "it is empty afterwards (does its tag leave it out, or does another field hide it?)"
}

func differOpaque(path string, want, got reflect.Value) (where, why string) {
	if !want.IsZero() && got.IsZero() {
		return path, "it is empty afterwards"
	}
	if want.Kind() != reflect.Struct {
		return "", ""
	}
	for i := range want.NumField() {
		if field := want.Type().Field(i); field.IsExported() && !want.Field(i).IsZero() && got.Field(i).IsZero() {
			return join(path, field.Name), fmt.Sprintf("it is empty afterwards (does the MarshalJSON or MarshalText of %v write it?)", want.Type())
		}
	}
	return "", ""
}

// texts returns an error that names a text in value that is not UTF-8.
func texts(path string, value reflect.Value) error {
	if !value.IsValid() {
		return nil
	}
	if value.CanInterface() && (value.Kind() != reflect.Pointer || !value.IsNil()) {
		if value.Type().Implements(reflect.TypeFor[json.Marshaler]()) {
			return nil // it writes JSON, which Text checks
		}
		if m, ok := reflect.TypeAssert[encoding.TextMarshaler](value); ok {
			if text, err := m.MarshalText(); err == nil && !utf8.Valid(text) {
				return notUTF8(path)
			}
			return nil
		}
	}
	switch value.Kind() { //nolint:exhaustive // the others hold no text
	case reflect.String:
		if !utf8.ValidString(value.String()) {
			return notUTF8(path)
		}
	case reflect.Pointer, reflect.Interface:
		return texts(path, value.Elem())
	case reflect.Struct:
		for i := range value.NumField() {
			if err := texts(join(path, value.Type().Field(i).Name), value.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range value.Len() {
			if err := texts(path, value.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for entry := value.MapRange(); entry.Next(); {
			if err := texts(path, entry.Key()); err != nil {
				return err
			}
			if err := texts(path, entry.Value()); err != nil {
				return err
			}
		}
	}
	return nil
}

func notUTF8(path string) error {
	return fmt.Errorf("%s has text that is not UTF-8, which JSON cannot hold", name(path))
}

// boxed returns an error that names an any in value that holds something JSON does not
// read into an any.
func boxed(path string, value reflect.Value) error {
	if !value.IsValid() || marshals(value.Type()) {
		return nil
	}
	switch value.Kind() { //nolint:exhaustive // the others hold no any
	case reflect.Interface:
		if value.IsNil() {
			return nil
		}
		return plain(path, value.Elem())
	case reflect.Pointer:
		return boxed(path, value.Elem())
	case reflect.Struct:
		for i := range value.NumField() {
			if err := boxed(join(path, value.Type().Field(i).Name), value.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range value.Len() {
			if err := boxed(path, value.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for entry := value.MapRange(); entry.Next(); {
			if err := boxed(path, entry.Value()); err != nil {
				return err
			}
		}
	}
	return nil
}

// plain returns an error if value, which is in an any, is not of a type that JSON reads
// into an any.
func plain(path string, value reflect.Value) error {
	switch t := value.Type(); {
	case t == reflect.TypeFor[bool](), t == reflect.TypeFor[float64](), t == reflect.TypeFor[string]():
		return nil
	case (t == reflect.TypeFor[[]any]() || t == reflect.TypeFor[map[string]any]()) && !value.IsNil():
		return boxed(path, value)
	}
	return fmt.Errorf("%s is an any that holds a %v, which would not survive: "+
		"JSON is read as bool, float64, string, []any and map[string]any", name(path), value.Type())
}
