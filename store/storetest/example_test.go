package storetest_test

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
)

// One call runs the whole suite.
func ExampleRun() {
	test := func(t *testing.T) {
		t.Helper()
		storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}
