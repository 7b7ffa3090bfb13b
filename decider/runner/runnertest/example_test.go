package runnertest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// A runner passes the suite in one line. The System in front of it says how to call it.
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
	// {true true 5 [a a]} 2 <nil>
	// runnertest: rejected: insufficient funds
}

// A system says which user functions it calls, and which keys its events claim.
func ExampleClaiming() {
	var s runnertest.System = system{hooks: &hooks{}}
	_, hooked := s.(runnertest.Hooked)
	_, claiming := s.(runnertest.Claiming)
	fmt.Println(hooked, claiming)
	// Output: true true
}

// A System handles a Call of the suite with the runner under test, and returns its
// Outcome.
func ExampleSystem() {
	open := runnertest.Open(func(d account, st store.Store, c codecOfEvents) runnertest.System {
		r := runner.New(runnertest.StreamType, d, st, c)
		return system{r, r.Handle, &hooks{}}
	})
	s := open(runnertest.Account(), memory.New(), codec.JSON(map[string]runnertest.Event{"Event": {}}))
	call := runnertest.Call{ID: "acc-1", Command: runnertest.Command{Do: "credit", N: 5, Tag: "a"}, CommandID: "c-1"}
	var out runnertest.Outcome
	var err error
	for range 2 {
		out, err = s.Handle(context.Background(), call)
		fmt.Println("version", out.Version, "replayed", out.Replayed, err)
	}
	// Output:
	// version 2 replayed false <nil>
	// version 2 replayed true <nil>
}
