package cqrs_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/cqrs"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type (
	// Add is the message that arrives by name: the command and the id of its aggregate.
	Add struct {
		Counter string
		N       int
	}
	// Total asks for the sum of all counters.
	Total struct{}
	// Added is the event.
	Added struct{ N int }
)

var counter = decider.New(
	func(n, _ int) ([]Added, error) { return []Added{{n}}, nil },
	func(sum int, e Added) int { return sum + e.N },
)

// Commands and queries arrive by name, and a query reads what was written right before
// it.
func Example() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	st := memory.New()
	events := codec.JSON(map[string]Added{"Added": {}})
	counters := runner.New("Counter", counter, st, events)
	total := projection.NewImage(st,
		codec.Events(codec.From("Counter", events, func(_ *store.Recorded, e Added) Added { return e })),
		decider.View[int, Added]{Evolve: func(sum int, e Added) int { return sum + e.N }})
	done := make(chan error)
	run, end := context.WithCancel(ctx)
	go func() { done <- total.Run(run) }()

	bus := cqrs.NewBus()
	cqrs.Handle(bus, "add", func(ctx context.Context, c Add) (uint64, error) {
		out, err := counters.Handle(ctx, c.Counter, c.N)
		return out.Position, err
	})
	query := cqrs.Handler[Total, int](func(context.Context, Total) (int, error) {
		sum, _ := total.State()
		return sum, nil
	})
	cqrs.Handle(bus, "total", query.With("total", cqrs.ReadYourWrites(cqrs.WaiterFunc(total.WaitFor))))

	position, err := bus.DoJSON(ctx, "add", []byte(`{"Counter":"a","N":5}`))
	fmt.Println(string(position), err)
	last, err := cqrs.Do[uint64](ctx, bus, Add{"b", 2})
	fmt.Println(last, err)
	sum, err := bus.DoJSON(cqrs.AtLeast(ctx, last), "total", []byte(`{}`))
	fmt.Println(string(sum), err)
	_, err = bus.DoJSON(ctx, "add", []byte(`{"Counter":"a","Amount":5}`))
	fmt.Println(err)
	end()
	fmt.Println(errors.Is(<-done, context.Canceled))
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 7 <nil>
	// cqrs: bad message "add": json: unknown field "Amount"
	// true
}

// A middleware is a function around a handler.
func ExampleMiddleware() {
	logged := func(ctx context.Context, c cqrs.Call, next func(context.Context) error) error {
		err := next(ctx)
		fmt.Println(c.Name, c.Message, err)
		return err
	}
	double := cqrs.Handler[int, int](func(_ context.Context, n int) (int, error) { return 2 * n, nil }).With("double", logged)
	fmt.Println(double(context.Background(), 21))
	// Output:
	// double 21 <nil>
	// 42 <nil>
}
