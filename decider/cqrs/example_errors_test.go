package cqrs_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/decider/cqrs"
)

// A message that arrives by name may have an unknown name or invalid data.
func ExampleUnknownError() {
	type greet struct{ Name string }
	bus := cqrs.NewBus()
	cqrs.Handle(bus, "greet", func(_ context.Context, g greet) (string, error) { return "hello " + g.Name, nil })

	_, err := bus.DoJSON(context.Background(), "great", []byte(`{}`))
	unknown, _ := errors.AsType[*cqrs.UnknownError](err)
	fmt.Println(errors.Is(err, cqrs.ErrUnknown), unknown.Name, unknown.HTTPStatus())

	_, err = bus.DoJSON(context.Background(), "greet", []byte(`{"Nome":"ann"}`))
	message, _ := errors.AsType[*cqrs.MessageError](err)
	fmt.Println(errors.Is(err, cqrs.ErrMessage), message.Name, message.HTTPStatus())
	// Output:
	// true great 404
	// true greet 400
}

// A query waits for what its client wrote. Anything that knows its position can be a
// Waiter.
func ExampleWaiter() {
	var table cqrs.Waiter = cqrs.WaiterFunc(func(_ context.Context, position uint64) error {
		fmt.Println("waited for", position)
		return nil
	})
	query := cqrs.Handler[string, int](func(context.Context, string) (int, error) { return 500, nil }).
		With("balance", cqrs.ReadYourWrites(table))
	fmt.Println(query(cqrs.AtLeast(context.Background(), 7), "acc-1"))
	// Output:
	// waited for 7
	// 500 <nil>
}
