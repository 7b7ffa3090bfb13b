//go:build first

package cinema_test

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/examples/cinema"
)

// first is the first version: it checks each requested seat, but not the other seats of
// the same request.
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

// TestFirst fails. Run it with
//
//	go test -tags first -run TestFirst ./examples/cinema
func TestFirst(t *testing.T) {
	t.Parallel()
	suite(first()).Check(t)
}
