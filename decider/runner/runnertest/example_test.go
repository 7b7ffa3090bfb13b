package runnertest_test

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
)

// A runner passes the suite in one line; the System in front of it says how its
// calls are made.
func ExampleRun() {
	test := func(t *testing.T) {
		t.Helper()
		runnertest.Run(t, func(d account, st store.Store, c codecOfEvents) runnertest.System {
			h := &hooks{}
			r := claiming(runner.New(runnertest.StreamType, d, st, c), st, h)
			return system{r, r.Handle, h}
		})
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}

func ExampleAccount() {
	account := runnertest.Account()
	state, events, err := account.Step(runnertest.Command{Do: "credit", N: 5, Tag: "a"}, account.Start())
	fmt.Println(state, len(events), err)
	_, err = account.Decide(runnertest.Command{Do: "withdraw", N: 6, Tag: "b"}, state)
	fmt.Println(err)
	// Output:
	// {true 5 [a a]} 2 <nil>
	// runnertest: rejected: insufficient funds
}

// A system says what its user gives it beside the decider: functions that it calls, and
// the keys that events claim.
func ExampleClaiming() {
	var s runnertest.System = system{hooks: &hooks{}}
	_, hooked := s.(runnertest.Hooked)
	_, claiming := s.(runnertest.Claiming)
	fmt.Println(hooked, claiming)
	// Output: true true
}
