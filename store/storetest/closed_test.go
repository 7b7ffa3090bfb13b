package storetest_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
)

// methods returns the names of the methods of all interfaces that a store can have.
func methods() []string {
	names := []string{"Update", "Append of recorded events", "Read of a tenant"}
	for _, capability := range []reflect.Type{
		reflect.TypeFor[store.Store](), reflect.TypeFor[store.Log](), reflect.TypeFor[store.Snapshots](), reflect.TypeFor[store.Checkpoints](),
		reflect.TypeFor[store.Claims](), reflect.TypeFor[store.Leases](), reflect.TypeFor[store.Documents](), reflect.TypeFor[store.ValueReader](),
		reflect.TypeFor[store.Finder](),
	} {
		for method := range capability.Methods() {
			names = append(names, method.Name)
		}
	}
	return names
}

// TestEveryCallAfterClose checks that the clause about closed stores calls every method,
// by planting a bug that all of them have.
func TestEveryCallAfterClose(t *testing.T) {
	t.Parallel()
	got := record("Close/every later call returns ErrClosed", func() store.Store { return newPlain("closed untyped") }, time.Minute)
	for _, name := range methods() {
		if !slices.ContainsFunc(got.messages, func(said string) bool { return strings.HasPrefix(said, name+" after Close ended with") }) {
			t.Errorf("the clause does not call %s; it said:\n%s", name, got.said())
		}
	}
}
