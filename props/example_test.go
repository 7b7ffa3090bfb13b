package props_test

import (
	"errors"
	"fmt"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// A seat can be reserved by one person, who can release it.
type (
	Reserve struct{ By string }
	Release struct{}

	Reserved struct{ By string }
	Released struct{}
)

var errTaken = errors.New("seat: not yours to change")

func decideSeat(cmd any, by string) ([]any, error) {
	switch c := cmd.(type) {
	case Reserve:
		if by == "" && c.By != "" {
			return []any{Reserved(c)}, nil
		}
	case Release:
		if by != "" {
			return []any{Released{}}, nil
		}
	}
	return nil, errTaken
}

func evolveSeat(by string, event any) string {
	if e, ok := event.(Reserved); ok {
		return e.By
	}
	return ""
}

// printing is a test that prints. In your tests it is t.
type printing struct{ rapid.TB }

func (printing) Helper()                      {}
func (printing) Errorf(f string, args ...any) { fmt.Printf(f+"\n", args...) }

// A test of the laws is one line: props.For(seat).Any(…).Check(t). Here is one of the
// many histories that such a suite tries.
func Example() {
	seat := decider.New(decideSeat, evolveSeat)
	suite := props.For(seat).Any(Reserve{}, Reserve{By: "ann"}, Release{})
	fmt.Println(suite.Example(8))
	// Output:
	// 1  Reserve{By: "ann"}    Reserved{By: "ann"}           "" → "ann"
	// 2  Reserve{By: "ann"}    ✗ seat: not yours to change
	// 3  Reserve{By: "ann"}    ✗ seat: not yours to change
	// 4  Reserve{By: "ann "}   ✗ seat: not yours to change
}

// A correct scenario prints nothing. This one is wrong.
func ExampleSpec() {
	t := printing{}
	seat := decider.New(decideSeat, evolveSeat)

	props.Spec(t, seat).When(Reserve{"ann"}).Then(Reserved{"ann"})
	props.Spec(t, seat).Given(Reserved{"ann"}).When(Reserve{"bob"}).ThenError(errTaken)

	props.Spec(t, seat).
		Given(Reserved{"ann"}, Released{}).
		When(Reserve{"bob"}).
		Then(Reserved{"ann"})
	// Output:
	// given Reserved{By: "ann"}   "" → "ann"
	//       Released{}            "ann" → ""
	// state ""
	// when  Reserve{By: "bob"}
	// then  (- want, + got, ≠ want → got)
	//     ≠ Reserved{By "ann" → "bob"}
}
