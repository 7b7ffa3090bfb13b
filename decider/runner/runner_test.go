package runner_test

import (
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
