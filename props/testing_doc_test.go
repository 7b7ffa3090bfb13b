package props_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/history"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// The code in docs/testing.md is copied word for word from here.

func TestDocOneLine(t *testing.T) {
	t.Parallel()
	Decider := account()

	props.For(Decider).Any(Open{}, Deposit{}, Withdraw{}, Close{}).Check(t)
}

func TestDocScenario(t *testing.T) {
	t.Parallel()
	Decider := account()

	props.Spec(t, Decider).
		Given(Opened{"ann"}, Deposited{Amount: 5}).
		When(Withdraw{3}).
		Then(Withdrawn{3})

	props.Spec(t, Decider).
		Given(Opened{"ann"}).
		When(Withdraw{3}).
		ThenError(errFunds)
}

// docSuite holds what is known about the account.
func docSuite() props.Suite[Command, State, Event] {
	return props.For(account()).
		Any(Open{}, Deposit{}, Withdraw{}, Close{}).
		Invariant("balance is never negative", solvent).
		Rule("a closed account decides nothing", func(s Step) error {
			if s.Before.Closed && len(s.Events) > 0 {
				return errors.New("it decided something")
			}
			return nil
		}).
		Possible("an open account can be closed", isOpen, emptyAndClose, isClosed).
		Idempotent(Open{}, Close{}).
		Rejections(errOpen, errNotOpen, errAmount, errFunds, errBalance).
		Reaches("an overdraft is refused", func(s Step) bool { return errors.Is(s.Err, errFunds) })
}

func TestDocRules(t *testing.T) {
	t.Parallel()
	docSuite().Checks(2 * few()).Check(t)
}

func TestDocCommands(t *testing.T) {
	t.Parallel()
	suite := docSuite().Commands(func(t *rapid.T, s State) Command {
		switch {
		case !s.Open:
			return Open{"ann"}
		case s.Balance > 0 && props.Pick(t, 2) == 0:
			return Withdraw{rapid.IntRange(1, s.Balance+1).Draw(t, "amount")}
		}
		return Deposit{Amount: rapid.IntRange(1, 100).Draw(t, "amount")}
	})
	suite.Checks(2 * few()).Check(t)
}

func TestDocWeighted(t *testing.T) {
	t.Parallel()
	amount := rapid.IntRange(1, 100)
	commands := props.Weighted(
		props.Weight[Command]{Weight: 6, Of: props.As[Command](rapid.Map(amount, func(n int) Deposit { return Deposit{Amount: n} }))},
		props.Weight[Command]{Weight: 3, Of: props.As[Command](rapid.Map(amount, func(n int) Withdraw { return Withdraw{n} }))},
		props.Weight[Command]{Weight: 1, Of: rapid.Just[Command](Close{})},
	)
	suite := docSuite().Commands(func(t *rapid.T, s State) Command {
		if !s.Open {
			return Open{"ann"}
		}
		return commands.Draw(t, "command")
	})
	suite.Checks(2 * few()).Check(t)
}

func TestDocCodec(t *testing.T) {
	t.Parallel()
	names := map[string]Event{"Opened": Opened{}, "Deposited": Deposited{}, "Withdrawn": Withdrawn{}, "Closed": Closed{}}

	suite := docSuite().
		Codec(codec.JSON(names)).
		Snapshot(encodeState, decodeState)
	suite.Checks(2 * few()).Check(t)
}

func TestDocWithout(t *testing.T) {
	t.Parallel()
	suite := docSuite().Without("sharing is safe")
	suite.Checks(2 * few()).Check(t)
}

func TestDocMutants(t *testing.T) {
	t.Parallel()
	docSuite().MutantScore(0.5).Mutants(t)
}

func FuzzDoc(f *testing.F) {
	docSuite().Fuzz(f)
}

func TestDocHistories(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := docSuite().Histories().Draw(t, "history")
		if n := len(h.Steps); n > 0 && h.Steps[n-1].After.Balance < 0 {
			t.Fatalf("it ends in debt:\n%s", h)
		}
	})
}

func TestDocStore(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Log("the store has its own conformance suite")
		return
	}
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return memory.New()
	})
}

func TestDocRecord(t *testing.T) {
	t.Parallel()
	st := memory.New()
	faulty := faults.Wrap(st, 1, faults.Rate{Down: 0.1, Lost: 0.1, Late: 0.1})
	record := history.Record(faulty)
	stream := store.Stream{Type: "Account", ID: "ann"}
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			ctx := history.WithClient(context.Background(), n)
			for range 20 { // what fails is in the record too
				page, _ := record.Read(ctx, stream, store.ReadOptions{})
				_, _ = record.Append(ctx, stream, store.Exactly(page.Head), []store.Event{{ID: store.NewID(), Type: "Opened"}})
			}
		})
	}
	clients.Wait()
	faulty.Land() // the calls that are delayed
	calls, err := record.History(context.Background(), st, stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Check(calls); err != nil {
		t.Error(err)
	}
	if len(calls.Final) == 0 {
		t.Error("nothing was written")
	}
}

func TestDocSchedules(t *testing.T) {
	t.Parallel()
	_, err := schedule.Explore(t, schedule.Limits{}, func(s *schedule.Sim) {
		st := memory.New()
		accounts := runner.New("Account", account(), s.Store(st), codec.JSON(allNames()))
		s.Alike(2, func(ctx context.Context) {
			if _, err := accounts.Handle(ctx, "ann", Open{"ann"}); err != nil && !errors.Is(err, errOpen) {
				s.Errorf("open = %v", err)
			}
		})
		s.Then(func() {
			page, err := st.Read(context.Background(), store.Stream{Type: "Account", ID: "ann"}, store.ReadOptions{})
			if err != nil || page.Head != 1 {
				s.Errorf("opened %d times, %v", page.Head, err)
			}
		})
	})
	if err != nil {
		t.Error(err)
	}
}
