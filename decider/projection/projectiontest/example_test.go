package projectiontest_test

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store/memory"
)

// A target for another database passes the suite. World says what it is tested with.
func ExampleRun() {
	test := func(t *testing.T) {
		t.Helper()
		projectiontest.Run(t, func(*testing.T) projectiontest.World[*memory.Tx] {
			st := memory.New() // here: your target, and any store for the log
			return projectiontest.World[*memory.Tx]{Store: st, Target: st, Virtual: true}
		})
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}
