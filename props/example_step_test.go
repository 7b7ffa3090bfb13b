package props_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/props"
)

// A rule looks at a step: the command and its outcome.
func ExampleStep() {
	rule := func(s props.Step[string, int, int]) error {
		if s.Err != nil && s.After != s.Before {
			return fmt.Errorf("%s was rejected and changed something", s.Command)
		}
		return nil
	}
	fmt.Println(rule(props.Step[string, int, int]{Before: 5, Command: "pay", Events: []int{-3}, After: 2}))
	// Output: <nil>
}

// Most amounts are small, and some are at the limit.
func ExampleWeighted() {
	amounts := props.Weighted(
		props.Weight[int]{Weight: 9, Of: rapid.IntRange(1, 100)},
		props.Weight[int]{Weight: 1, Of: rapid.Just(1_000_000)},
	)
	n := amounts.Example(1)
	fmt.Println(n >= 1 && n <= 100 || n == 1_000_000)
	// Output: true
}
