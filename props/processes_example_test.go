package props_test

import (
	"errors"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// A process greets whoever reserves a seat, and waits until the seat is free.
func ExampleProcess() {
	type greet struct{ Name string }
	greeter := decider.Process[any, string, greet]{
		Key:    func(any) (string, bool) { return "seat 1", true },
		Evolve: evolveSeat,
		React: func(by string, event any) (r decider.Reaction[greet, any]) {
			if _, ok := event.(Reserved); ok {
				r.Send = []greet{{by}}
			}
			return r
		},
	}
	show(func(t *testing.T) { //nolint:thelper // TestGreeter
		props.Process(greeter).
			Any(Reserved{}, Released{}).
			Rule("only the one who reserves is greeted", func(r props.Reacted[any, string, greet]) error {
				if _, ok := r.Event.(Reserved); !ok && len(r.Reaction.Send) > 0 {
					return errors.New("greeted")
				}
				return nil
			}).
			Idempotent().
			Checks(100).
			Check(t)
	})
	// Output:
}

// A view counts how often a seat was reserved.
func ExampleProjects() {
	view := decider.View[int, any]{Evolve: func(n int, event any) int {
		if _, ok := event.(Reserved); ok {
			return n + 1
		}
		return n
	}}
	show(func(t *testing.T) { //nolint:thelper // TestReservations
		props.Projects(seats(), view).
			Equals("half of the events, rounded up", func(events []any) int { return (len(events) + 1) / 2 }).
			AnyOrder(nil).
			Check(t)
	})
	// Output:
}
