package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// A decision with a result: how much could be paid.
func ExampleTransact() {
	ctx := context.Background()
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec)
	if _, err := accounts.Handle(ctx, "ann", Deposit{500}); err != nil {
		fmt.Println(err)
	}

	payAtMost := func(cents int) func(Account) (int, []Event, error) {
		return func(a Account) (int, []Event, error) {
			paid := min(cents, a.Cents)
			return paid, []Event{Paid{paid}}, nil
		}
	}
	paid, out, err := runner.Transact(ctx, accounts, "ann", payAtMost(800))
	fmt.Println(paid, out.State, out.Version, err)
	// Output: 500 {0} 2 <nil>
}

// Many callers pay into one account at once. They share loads and appends, and each gets
// its own answer.
func ExampleNewGroup() {
	ctx := context.Background()
	group := runner.NewGroup(runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec))
	defer group.Close()

	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := group.Handle(ctx, "charity", Deposit{5}); err != nil {
				fmt.Println(err)
			}
		})
	}
	all.Wait()
	out, err := group.Handle(ctx, "charity", Pay{500})
	fmt.Println(out.State, out.Version, err)
	// Output: {0} 101 <nil>
}

// A caller that has read a version decides on that version only.
func ExampleExpectVersion() {
	ctx := context.Background()
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec)
	out, err := accounts.Handle(ctx, "ann", Deposit{500}, runner.ExpectVersion(0))
	fmt.Println(out.Version, err)
	_, err = accounts.Handle(ctx, "ann", Deposit{500}, runner.ExpectVersion(0))
	fmt.Println(err, errors.Is(err, store.ErrConflict))
	// Output:
	// 1 <nil>
	// store: conflict: Account/ann exists, at version 1 true
}

// With a cache, the runner reads only the events after the cached state. Snapshots do the
// same across restarts.
func ExampleRunner_WithCache() {
	ctx := context.Background()
	st := memory.New()
	accounts := runner.New("Account", decider.New(Decide, Evolve), st, Codec).
		WithCache(runner.Cache[Account]{Size: 50_000}).
		WithSnapshots(runner.Snapshots[Account, Event]{Store: st, Schema: "account-1", Every: 100})
	for range 250 {
		if _, err := accounts.Handle(ctx, "ann", Deposit{2}); err != nil {
			fmt.Println(err)
		}
	}
	at, err := accounts.Load(ctx, "ann")
	fmt.Println(at, err)
	// Output: {{500} 250} <nil>
}

// Log prints what a runner does.
func ExampleLog() {
	quiet := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: quiet}))
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec).WithObserver(runner.Log(log))
	if _, err := accounts.Handle(context.Background(), "ann", Deposit{500}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// level=INFO msg="command handled" stream=Account/ann command=runner_test.Deposit version=1 events=1 attempt=1
}

// An account claims the name of its owner when it is opened, so that each owner has one
// account. An event that ends the account would release it: that is why Claiming gets the
// state before the event too.
func ExampleRunner_WithClaims() {
	ctx := context.Background()
	accounts := runner.New("Account", bank, memory.New(), codec.Values[event]()).
		WithClaims(func(_ string, _ account, e event, _ account) []store.Claim {
			if e, ok := e.(opened); ok {
				return []store.Claim{{Key: "owner:" + e.Owner}}
			}
			return nil
		})
	_, err := accounts.Handle(ctx, "acc-1", open{"ann"})
	fmt.Println(err)
	_, err = accounts.Handle(ctx, "acc-2", open{"ann"})
	fmt.Println(errors.Is(err, store.ErrClaimed), err)
	// Output:
	// <nil>
	// true store: key is held by another stream: append to Account/acc-2: key "owner:ann" is held by Account/acc-1
}

func ExampleOrigin() {
	n := runner.Notice{Kind: runner.StreamLoaded, Events: 2, Origin: runner.FromCache}
	fmt.Println(n.Kind, "from the", n.Origin)
	// Output: stream loaded from the cache
}
