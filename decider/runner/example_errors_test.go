package runner_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// The error that Decide returned reaches the caller, together with the stream.
func ExampleRejectedError() {
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec)
	_, err := accounts.Handle(context.Background(), "acc-1", Pay{Cents: 700})
	rejected, _ := errors.AsType[*runner.RejectedError](err)
	fmt.Println(errors.Is(err, runner.ErrRejected), errors.Is(err, ErrNoMoney), rejected.Stream)
	// Output: true true Account/acc-1
}

// An ID identifies one command. Another command with the same ID does not run.
func ExampleReusedError() {
	ctx := context.Background()
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec)
	_, err := accounts.Handle(ctx, "acc-1", Deposit{Cents: 500}, runner.CommandID("key-1"), runner.Fingerprint("deposit 500"))
	fmt.Println(err)
	_, err = accounts.Handle(ctx, "acc-1", Deposit{Cents: 900}, runner.CommandID("key-1"), runner.Fingerprint("deposit 900"))
	reused, _ := errors.AsType[*runner.ReusedError](err)
	fmt.Println(errors.Is(err, runner.ErrReused), reused.CommandID, reused.Version)
	// Output:
	// <nil>
	// true key-1 1
}

// busy is a store in which another writer always gets there first.
type busy struct{ store.Store }

func (busy) Append(_ context.Context, s store.Stream, expected store.Expected, _ []store.Event) (store.Appended, error) {
	return store.Appended{}, &store.ConflictError{Stream: s, Expected: expected, Actual: 7}
}

func ExampleRetry() {
	accounts := runner.New("Account", decider.New(Decide, Evolve), busy{memory.New()}, Codec).
		WithRetry(runner.Retry{Attempts: 3, Base: time.Microsecond, Cap: time.Microsecond})
	_, err := accounts.Handle(context.Background(), "acc-1", Deposit{Cents: 500})
	exhausted, _ := errors.AsType[*runner.ExhaustedError](err)
	fmt.Println(errors.Is(err, runner.ErrExhausted), exhausted.Attempts, errors.Is(err, store.ErrConflict))
	// Output: true 3 true
}

// lossy is a store that loses every answer, and cannot be queried afterwards.
type lossy struct{ store.Store }

var errLine = errors.New("the line is dead")

func (lossy) Append(context.Context, store.Stream, store.Expected, []store.Event) (store.Appended, error) {
	return store.Appended{}, errLine
}

// The outcome is unknown. The same command with the same ID settles it.
func ExampleUnknownOutcomeError() {
	accounts := runner.New("Account", decider.New(Decide, Evolve), lossy{memory.New()}, Codec).
		WithRetry(runner.Retry{Attempts: 2, Base: time.Microsecond, Cap: time.Microsecond})
	_, err := accounts.Handle(context.Background(), "acc-1", Deposit{Cents: 500}, runner.CommandID("key-1"))
	unknown, _ := errors.AsType[*runner.UnknownOutcomeError](err)
	fmt.Println(errors.Is(err, runner.ErrUnknownOutcome), unknown.CommandID, errors.Is(err, errLine))
	// Output: true key-1 true
}

// traced begins a span for each command.
type traced struct{}

type tracedKey struct{}

func (traced) Begin(ctx context.Context, n runner.Notice) context.Context {
	fmt.Println("begin:", n.Kind)
	return context.WithValue(ctx, tracedKey{}, n.Kind)
}

func (traced) Observe(ctx context.Context, n runner.Notice) {
	if n.Kind == runner.CommandHandled {
		fmt.Println("end:", ctx.Value(tracedKey{}))
	}
}

func ExampleBeginner() {
	var o runner.Observer = traced{}
	_, ok := o.(runner.Beginner)
	fmt.Println(ok)
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec).WithObserver(o)
	_, err := accounts.Handle(context.Background(), "acc-1", Deposit{Cents: 500})
	fmt.Println(err)
	// Output:
	// true
	// begin: command handled
	// begin: stream loaded
	// end: command handled
	// <nil>
}

// Claiming returns the keys that an event claims and releases.
func ExampleClaiming() {
	var claims runner.Claiming[Account, Event] = func(id string, before Account, _ Event, after Account) []store.Claim {
		return []store.Claim{{Key: "rich:" + id, Release: after.Cents < before.Cents}}
	}
	fmt.Println(claims("acc-1", Account{Cents: 900}, Paid{Cents: 500}, Account{Cents: 400}))
	// Output: [{rich:acc-1 true}]
}

// A panic after the events are recorded becomes an error in a notice.
func ExamplePanicError() {
	var err error = &runner.PanicError{In: "Observer.Observe", Value: errLine}
	fmt.Println(errors.Is(err, errLine))
	// Output: true
}
