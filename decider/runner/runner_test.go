package runner_test

import (
	"sync"
	"testing"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func newAccounts(st store.Store) *runner.Runner[command, account, event] {
	return runner.New("Account", bank, st, textCodec{})
}

func TestHandle(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newAccounts(memory.New())
	out, err := r.Handle(ctx, "a", open{"ann"})
	if err != nil || out.Version != 1 || out.State.Owner != "ann" || out.Attempts != 1 || out.Replayed {
		t.Fatalf("Handle(open) = %+v, %v", out, err)
	}
	out, err = r.Handle(ctx, "a", deposit{5})
	if err != nil || out.Version != 2 || out.State.Balance != 5 || len(out.Events) != 1 {
		t.Fatalf("Handle(deposit) = %+v, %v", out, err)
	}
}

func TestGroupSmoke(t *testing.T) {
	t.Parallel()
	g := runner.NewGroup(newAccounts(memory.New()))
	defer g.Close()
	if _, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 10 {
				if _, err := g.Handle(t.Context(), "a", deposit{1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	out, err := g.Handle(t.Context(), "a", deposit{1})
	if err != nil || out.State.Balance != 641 || out.Version != 642 {
		t.Errorf("got %+v, %v", out, err)
	}
}
