package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"reflect"
	"slices"
)

// shapeOf returns a fingerprint of the structure of type t: the names, tags and types of
// its fields, at any depth. It does not depend on the name of a type, unless that is an
// interface.
func shapeOf(t reflect.Type) string {
	h := sha256.New()
	writeShape(h, t, nil)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// writeShape writes the shape of t to h. Within holds the types that enclose t.
func writeShape(h hash.Hash, t reflect.Type, within []reflect.Type) {
	if i := slices.Index(within, t); i >= 0 {
		fmt.Fprintf(h, "up %d;", len(within)-i)
		return
	}
	within = append(slices.Clip(within), t)
	_, _ = io.WriteString(h, t.Kind().String()+" ")
	switch t.Kind() { //nolint:exhaustive // the others are their kind
	case reflect.Interface:
		_, _ = io.WriteString(h, t.String())
	case reflect.Pointer, reflect.Slice:
		writeShape(h, t.Elem(), within)
	case reflect.Array:
		fmt.Fprintf(h, "%d ", t.Len())
		writeShape(h, t.Elem(), within)
	case reflect.Map:
		writeShape(h, t.Key(), within)
		writeShape(h, t.Elem(), within)
	case reflect.Struct:
		for field := range t.Fields() {
			fmt.Fprintf(h, "%q %q %t ", field.Name, field.Tag, field.Anonymous)
			writeShape(h, field.Type, within)
		}
	}
	_, _ = io.WriteString(h, ";")
}
