package cinema_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/examples/cinema"
	"github.com/evolvego/evolve/props"
)

type (
	screening = decider.Decider[cinema.Command, cinema.State, cinema.Event]
	step      = props.Step[cinema.Command, cinema.State, cinema.Event]
)

// suite holds what is true of any version of a screening: the commands that people send,
// and that every seat is either free or taken.
func suite(d screening) props.Suite[cinema.Command, cinema.State, cinema.Event] {
	return props.For(d).Commands(command).Invariant("every seat is free or taken", func(s cinema.State) error {
		if s.Free+len(s.Taken) != s.Rows*s.Seats {
			return fmt.Errorf("%d free and %d taken of %d", s.Free, len(s.Taken), s.Rows*s.Seats)
		}
		return nil
	})
}

// command draws a command that a customer might send. Most are for seats of a small hall,
// so that customers compete.
func command(t *rapid.T, s cinema.State) cinema.Command {
	number := rapid.IntRange(0, 3)
	if s.Rows == 0 {
		return cinema.Schedule{Film: "Alien", Rows: number.Draw(t, "rows"), Seats: number.Draw(t, "seats")}
	}
	customer := rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "customer")
	seats := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) cinema.Seat {
		return cinema.Seat{Row: number.Draw(t, "row"), Number: number.Draw(t, "number")}
	}), 0, 3).Draw(t, "seats")
	switch rapid.IntRange(0, 12).Draw(t, "command") {
	case 0:
		return cinema.Start{}
	case 1:
		return cinema.Schedule{Film: "Alien", Rows: 1, Seats: 1}
	case 2, 3, 4, 5:
		return cinema.Cancel{Customer: customer, Seats: seats}
	}
	return cinema.Reserve{Customer: customer, Seats: seats}
}

func TestScreening(t *testing.T) {
	t.Parallel()
	suite(cinema.Decider()).
		Rule("no customer loses a seat to another", func(s step) error {
			for seat, owner := range s.Before.Taken {
				if now, taken := s.After.Taken[seat]; taken && now != owner {
					return fmt.Errorf("%s went from %s to %s", seat, owner, now)
				}
			}
			return nil
		}).
		Reaches("a taken seat is refused", refused(cinema.ErrTaken)).
		Reaches("a seat of another customer stays", refused(cinema.ErrNotYours)).
		Check(t)
}

func refused(reason error) func(step) bool {
	return func(s step) bool { return errors.Is(s.Err, reason) }
}

// TestSameSeatTwice is the history that showed the bug in the first version.
func TestSameSeatTwice(t *testing.T) {
	t.Parallel()
	seat := cinema.Seat{Row: 1, Number: 1}
	props.Spec(t, cinema.Decider()).
		Given(cinema.Scheduled{Film: "Alien", Rows: 1, Seats: 1}).
		When(cinema.Reserve{Customer: "ann", Seats: []cinema.Seat{seat, seat}}).
		ThenError(cinema.ErrSameSeat)
}

// TestFirstVersionIsFoundOut runs the same suite on the first version, and checks that
// the shortest history is a hall and one reservation.
func TestFirstVersionIsFoundOut(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-tags", "first", "-run", "^TestFirst$", "-rapid.nofailfile", ".")
	cmd.Env = append(os.Environ(), "EVOLVE_ARTIFACTS="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the first version passes:\n%s", out)
	}
	for _, want := range []string{"every seat is free or taken: broken by step 2 of the shortest history found", "1  Schedule{", "2  Reserve{Seats: [Seat{"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the report does not contain %q:\n%s", want, out)
		}
	}
}
