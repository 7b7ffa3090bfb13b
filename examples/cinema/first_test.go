//go:build first

package cinema_test

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/examples/cinema"
)

// first is the first version: it looks at each seat that is asked for, but not at
// the others that are asked for with it.
func first() screening {
	d := cinema.Decider()
	now := d.Decide
	d.Decide = func(cmd cinema.Command, s cinema.State) ([]cinema.Event, error) {
		reserve, ok := cmd.(cinema.Reserve)
		if !ok || s.Rows == 0 || s.Started {
			return now(cmd, s)
		}
		var events []cinema.Event
		for _, seat := range reserve.Seats {
			if seat.Row < 1 || seat.Row > s.Rows || seat.Number < 1 || seat.Number > s.Seats {
				return nil, fmt.Errorf("%w: %s", cinema.ErrNoSuchSeat, seat)
			}
			if _, taken := s.Taken[seat]; taken {
				return nil, fmt.Errorf("%w: %s", cinema.ErrTaken, seat)
			}
			events = append(events, cinema.Reserved{Customer: reserve.Customer, Seat: seat})
		}
		return events, nil
	}
	return d
}

// TestFirst does not pass. See it with
//
//	go test -tags first -run TestFirst ./examples/cinema
func TestFirst(t *testing.T) {
	t.Parallel()
	suite(first()).Check(t)
}
