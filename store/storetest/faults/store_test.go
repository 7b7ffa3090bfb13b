package faults_test

import (
	"io"
	"reflect"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// everything is a store that has every capability. A test sets only those that it
// calls.
type everything struct {
	store.Store
	store.Log
	store.Tenants
	store.Snapshots
	store.Checkpoints
	store.Claims
	store.Leases
	store.Documents
	store.Finder
	io.Closer
}

// TestStoreHasTheCapabilities checks that the Faulty has the capabilities of the
// wrapped store and no others.
func TestStoreHasTheCapabilities(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[capability.Set]().NumField()
	all := reflect.ValueOf(capability.Of(everything{}))
	for has := range 1 << (fields - 1) {
		var set capability.Set
		want := reflect.ValueOf(&set).Elem()
		for i := range fields {
			if i == 0 || has&(1<<(i-1)) != 0 {
				want.Field(i).Set(all.Field(i))
			}
		}
		got := reflect.ValueOf(capability.Of(faults.Wrap(set.Compose(), 1, faults.Rate{}).Store()))
		for i := range fields {
			if got.Field(i).IsNil() != want.Field(i).IsNil() {
				t.Errorf("set %#x: Store has %s: %t, want %t",
					has, got.Type().Field(i).Name, !got.Field(i).IsNil(), !want.Field(i).IsNil())
			}
		}
	}
}
