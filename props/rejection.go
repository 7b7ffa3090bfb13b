package props

import (
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/evolvego/evolve/internal/show"
)

// sameError reports whether err is the error that a test expects, which is not nil: by
// errors.Is, or because err, or an error that it wraps, has the type and the value of
// target.
func sameError(err, target error) bool {
	if errors.Is(err, target) {
		return true
	}
	if untyped(target) {
		return false // two errors with the same text are still two
	}
	for e := range chain(err) {
		if reflect.TypeOf(e) == reflect.TypeOf(target) && show.Same(e, target) {
			return true
		}
	}
	return false
}

// allowed reports whether Rejections(target) permits err.
func allowed(err, target error) bool {
	if sameError(err, target) {
		return true
	}
	return anyOf(target) && sameType(err, target) != nil
}

// anyOf reports whether target stands for all errors of its type: whether it is a struct,
// or a pointer to one, without a value.
func anyOf(target error) bool {
	v := reflect.ValueOf(target)
	return structured(target) && (v.IsZero() || v.Kind() == reflect.Pointer && v.Elem().IsZero())
}

// sameType returns err, or the error that it wraps, whose type is that of target. It
// returns nil if there is none.
func sameType(err, target error) error {
	for e := range chain(err) {
		if reflect.TypeOf(e) == reflect.TypeOf(target) && !untyped(e) {
			return e
		}
	}
	return nil
}

// chain yields err and all errors that it wraps.
func chain(err error) iter.Seq[error] {
	return func(yield func(error) bool) { unwrap(err, yield) }
}

func unwrap(err error, yield func(error) bool) bool {
	if err == nil {
		return true
	}
	if !yield(err) {
		return false
	}
	switch w := err.(type) { //nolint:errorlint // it is what errors.Is does
	case interface{ Unwrap() error }:
		return unwrap(w.Unwrap(), yield)
	case interface{ Unwrap() []error }:
		for _, e := range w.Unwrap() {
			if !unwrap(e, yield) {
				return false
			}
		}
	}
	return true
}

// untyped reports whether err was made by errors.New or fmt.Errorf, or by this package, so
// that its type says nothing.
func untyped(err error) bool {
	t := target(reflect.TypeOf(err))
	return t.PkgPath() == "errors" || t.PkgPath() == "fmt" || t == reflect.TypeFor[panicError]()
}

// structured reports whether err is a struct of the domain, or a pointer to one.
func structured(err error) bool {
	return target(reflect.TypeOf(err)).Kind() == reflect.Struct && !untyped(err)
}

// reason returns err as statistics count it: errors that are structs with fields by type,
// because their texts differ from one id to the next.
func reason(err error) string {
	if structured(err) && target(reflect.TypeOf(err)).NumField() > 0 {
		return show.Kind(err)
	}
	return show.Cut(digits.ReplaceAllString(err.Error(), "#"), maxColumn)
}

// unlike says why got is not the error want, if their texts are the same. Otherwise it
// returns "".
func unlike(want, got error) string {
	if want == nil || got == nil || want.Error() != got.Error() {
		return ""
	}
	line := fmt.Sprintf("the same text, but not the same error by errors.Is: want a %T, got a %T", want, got)
	switch {
	case reflect.TypeOf(want) != reflect.TypeOf(got):
	case untyped(want):
		line += ", made by two calls: compare with the variable that Decide returns"
	default:
		line += " with another value: " + show.Changes(want, got)
	}
	return line
}
