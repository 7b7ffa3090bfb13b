package runner_test

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// A queue delivers a message at least once. If the ID of the message is the ID of the
// command, the command takes effect once: a redelivered message finds its events in the
// stream.
func ExampleCommandID() {
	type message struct {
		ID      string
		Account string
		Command Command
	}
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec)

	// consume reports whether the queue can forget m.
	consume := func(ctx context.Context, m message) (ack bool) {
		out, err := accounts.Handle(ctx, m.Account, m.Command, runner.CommandID(m.ID))
		switch {
		case err == nil:
			fmt.Printf("%s: balance %d, version %d, replayed %v\n", m.ID, out.State.Cents, out.Version, out.Replayed)
		case errors.Is(err, runner.ErrRejected): // the rules say no: tell the sender
			fmt.Printf("%s: %v\n", m.ID, err)
		default: // deliver it again, also if the outcome is unknown
			return false
		}
		return true
	}

	for _, m := range []message{
		{"m-1", "ann", Deposit{500}},
		{"m-2", "ann", Pay{700}},
		{"m-1", "ann", Deposit{500}},
	} {
		fmt.Println(consume(context.Background(), m))
	}
	// Output:
	// m-1: balance 500, version 1, replayed false
	// true
	// m-2: bank: not enough money
	// true
	// m-1: balance 500, version 1, replayed true
	// true
}

// server has the methods of a service that protoc-gen-go-grpc generates.
type server struct {
	accounts *runner.Runner[Command, Account, Event]
}

func (s server) Pay(ctx context.Context, cents *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
	out, err := s.accounts.Handle(ctx, "ann", Pay{int(cents.GetValue())})
	if err != nil {
		return nil, toStatus(err)
	}
	return wrapperspb.Int64(int64(out.State.Cents)), nil
}

// toStatus returns err as a gRPC status.
func toStatus(err error) error {
	code := codes.Internal
	switch {
	case errors.Is(err, store.ErrInvalid):
		code = codes.InvalidArgument
	case errors.Is(err, runner.ErrRejected):
		code = codes.FailedPrecondition
	case errors.Is(err, runner.ErrUnknownOutcome): // the client sends it again, with the same command ID
		code = codes.Unavailable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	case errors.Is(err, store.ErrConflict):
		code = codes.Aborted
	}
	return status.Error(code, err.Error())
}

// A method of a gRPC service calls the runner, and returns the outcome as a status.
func Example_grpc() {
	s := server{runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec)}

	_, err := s.Pay(context.Background(), wrapperspb.Int64(700))
	fmt.Println(err)
	// Output: rpc error: code = FailedPrecondition desc = bank: not enough money
}
