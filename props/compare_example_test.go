package props_test

import (
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// shown holds the tests that the examples show: see TestShown.
var shown []func(t *testing.T)

// show registers a test that an example shows.
func show(test func(t *testing.T)) { shown = append(shown, test) }

// TestShown runs the tests that the examples show.
func TestShown(t *testing.T) { //nolint:paralleltest // the examples are called in turn; the tests they show run in parallel
	for name, example := range map[string]func(){
		"Same":     ExampleSame,
		"Refines":  ExampleRefines,
		"Against":  ExampleAgainst,
		"Lens":     ExampleLens,
		"Embeds":   ExampleEmbeds,
		"Batches":  ExampleBatches,
		"Process":  ExampleProcess,
		"Projects": ExampleProjects,
		"Upcasts":  ExampleUpcasts,
		"Released": ExampleReleased,
		"Golden":   ExampleGolden,
		"Replay":   ExampleReplay,
	} {
		shown = nil
		example()
		for _, test := range shown {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	}
}

// seats is the suite of the seat.
func seats() props.Suite[any, string, any] {
	return props.For(decider.New(decideSeat, evolveSeat)).Any(Reserve{}, Release{}).Checks(100)
}

// A seat rewritten with another state behaves as before.
func ExampleSame() {
	type row struct{ By []string }
	rewritten := decider.New(
		func(cmd any, r row) ([]any, error) { return decideSeat(cmd, append(r.By, "")[0]) },
		func(_ row, event any) row {
			if by := evolveSeat("", event); by != "" {
				return row{[]string{by}}
			}
			return row{}
		},
	)
	show(func(t *testing.T) { //nolint:thelper // TestRewritten
		props.Same(t, seats(), rewritten)
	})
	// Output:
}

// If it does not matter who has the seat, the seat is a switch.
func ExampleRefines() {
	flip := decider.New(
		func(on, is bool) ([]bool, error) {
			if on == is {
				return nil, errTaken
			}
			return []bool{on}, nil
		},
		func(_, on bool) bool { return on },
	)
	show(func(t *testing.T) { //nolint:thelper // TestSeatIsSwitch
		props.Refines(t, seats(), flip, props.Mapping[any, string, any, bool, bool, bool]{
			Command: func(cmd any) (bool, bool) {
				_, on := cmd.(Reserve)
				return on, true
			},
			State: func(by string) bool { return by != "" },
			Event: func(event any) (bool, bool) {
				_, on := event.(Reserved)
				return on, true
			},
			Stricter: true, // another seat may reject an empty name
		})
	})
	// Output:
}

// A model says which commands are accepted and what the state is then. It has no events.
func ExampleAgainst() {
	show(func(t *testing.T) { //nolint:thelper // TestSeatModel
		props.Against(t, seats(), props.Model[string, any, string]{
			Next: func(by string, cmd any) (string, bool) {
				c, reserve := cmd.(Reserve)
				return c.By, reserve != (by != "") && reserve == (c.By != "")
			},
			Abs: func(by string) string { return by },
		})
	})
	// Output:
}

// Focus needs a lens. This one is the left half of a pair of seats.
func ExampleLens() {
	type pair = decider.Pair[string, string]
	get := func(p pair) string { return p.Left }
	set := func(p pair, by string) pair { return pair{Left: by, Right: p.Right} }
	whole := decider.Focus(decider.New(decideSeat, evolveSeat), get, set)
	show(func(t *testing.T) { //nolint:thelper // TestLeft
		props.Lens(t, props.For(whole).Any(Reserve{}, Release{}).Checks(100), get, set)
	})
	// Output:
}

// MapEvent needs functions that return what they were given.
func ExampleEmbeds() {
	type event struct{ Seat any }
	out := func(e any) event { return event{e} }
	in := func(e event) (any, bool) { return e.Seat, e.Seat != nil }
	show(func(t *testing.T) { //nolint:thelper // TestSeatEvents
		props.Embeds(t, seats(), in, out, event{})
	})
	// Output:
}

// A custom batch keeps the promises of decider.Batch.
func ExampleBatches() {
	mine := decider.Batch(decider.New(decideSeat, evolveSeat))
	show(func(t *testing.T) { //nolint:thelper // TestBatch
		props.Batches(t, seats(), mine)
	})
	// Output:
}
