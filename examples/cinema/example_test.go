package cinema_test

import (
	"fmt"

	"github.com/evolvego/evolve/examples/cinema"
)

// A decider is a value, so you can ask it what a customer would be told.
func Example() {
	screening := cinema.Decider()
	state := screening.Fold(cinema.State{},
		cinema.Scheduled{Film: "Alien", Rows: 2, Seats: 2},
		cinema.Reserved{Customer: "ann", Seat: cinema.Seat{Row: 1, Number: 1}},
	)
	fmt.Println(state.Free)
	_, err := screening.Decide(cinema.Reserve{Customer: "bob", Seats: []cinema.Seat{{1, 2}, {1, 1}}}, state)
	fmt.Println(err)
	// Output:
	// 3
	// cinema: the seat is taken: row 1 seat 1
}
