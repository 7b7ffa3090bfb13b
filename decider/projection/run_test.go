package projection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type deposited struct{ Cents int64 }

type move struct {
	Account string
	Cents   int64
}

func moves() codec.Source[move] {
	accounts := codec.JSON(map[string]deposited{"Deposited": {}})
	return codec.Events(codec.From("Account", accounts, func(r *store.Recorded, e deposited) move {
		return move{r.Stream.ID, e.Cents}
	}))
}

var sum = decider.View[int64, move]{Evolve: func(s int64, m move) int64 { return s + m.Cents }}

func byAccount(m move) (string, bool) { return m.Account, true }

func deposit(tb testing.TB, st store.Store, account string, cents ...int64) store.Appended {
	tb.Helper()
	events := make([]store.Event, len(cents))
	for i, c := range cents {
		events[i] = store.Event{
			ID: store.NewID(), Type: "Deposited", Schema: 1, ContentType: "application/json",
			Data: fmt.Appendf(nil, `{"Cents":%d}`, c),
		}
	}
	a, err := st.Append(context.Background(), store.Stream{Type: "Account", ID: account}, store.Any, events)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func start(tb testing.TB, p interface{ Run(context.Context) error }) (stop func() error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func TestDocumentsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		for i := range 1000 {
			deposit(t, st, fmt.Sprint("a", i%7), int64(i))
		}
		p := projection.Documents(st, st, "balance", moves(), sum, byAccount)
		stop := start(t, p)
		at := deposit(t, st, "a0", 5)
		if err := p.WaitFor(t.Context(), at.Position); err != nil {
			t.Fatal(err)
		}
		var want int64 = 5
		for i := 0; i < 1000; i += 7 {
			want += int64(i)
		}
		got, ok, err := projection.Load[int64](t.Context(), p, "a0")
		if err != nil || !ok || got != want {
			t.Errorf("a0 = %d, %t, %v; want %d", got, ok, err, want)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
}

// TestFillsTransactions checks that a projection which catches up waits for the next page
// instead of committing a part of a transaction.
func TestFillsTransactions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		var last store.Appended
		for range 40 {
			last = deposit(t, st, "a", make([]int64, 256)...)
		}
		commits := 0
		p := projection.Documents(st, st, "sums", moves(), sum, byAccount).WithObserver(observing(func(n projection.Notice) {
			if n.Kind == projection.BatchApplied {
				commits++
			}
		}))
		stop := start(t, p)
		if err := p.WaitFor(t.Context(), last.Position); err != nil {
			t.Fatal(err)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
		// Without waits, each page of 256 events is a transaction. With them, there are 64, 128,
		// 64, 256, 256, 512, 1024, and then 2,048 events in one, or a few more transactions if the
		// reader had no processor when the first ones were committed.
		if commits > 20 {
			t.Errorf("%d events were %d transactions", last.Position, commits)
		}
	})
}

type observing func(n projection.Notice)

func (o observing) Observe(_ context.Context, n projection.Notice) { o(n) }
