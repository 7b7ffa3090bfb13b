package projectiontest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type deposited struct{ Cents int64 }

type move struct {
	Account string
	Cents   int64
}

func accounts() codec.Codec[deposited] { return codec.JSON(map[string]deposited{"Deposited": {}}) }

func moves() codec.Source[move] {
	return codec.Events(codec.From("Account", accounts(), func(r *store.Recorded, e deposited) move {
		return move{r.Stream.ID, e.Cents}
	}))
}

func history(t *testing.T) []projectiontest.Append {
	t.Helper()
	var all []projectiontest.Append
	for i := range 40 {
		stream := store.Stream{Type: "Account", ID: fmt.Sprint("acc-", i%3)}
		all = append(all, projectiontest.Given(t, accounts(), stream, deposited{int64(i)}, deposited{1}))
	}
	return all
}

func add(s int64, m move) int64 { return s + m.Cents }

func balances(w projectiontest.World[*memory.Tx]) *projection.Projection[*memory.Tx, move] {
	return projection.Documents(w.Store, w.Target, "balance", moves(), decider.View[int64, move]{Evolve: add},
		func(m move) (string, bool) { return m.Account, true })
}

func TestFold(t *testing.T) {
	t.Parallel()
	projectiontest.Fold(t, open, projectiontest.Subject[*memory.Tx, move]{
		New:  balances,
		Read: projectiontest.Documents[int64](balances),
	}, history(t))
}

func TestFoldOfExample(t *testing.T) {
	t.Parallel()
	testLastDeposit(t)
}

// forgetful adds up in memory, which a rollback does not undo.
func forgetful() projectiontest.Subject[*memory.Tx, move] {
	sums := map[string]int64{}
	return projectiontest.Subject[*memory.Tx, move]{
		New: func(w projectiontest.World[*memory.Tx]) *projection.Projection[*memory.Tx, move] {
			clear(sums)
			return projection.New(w.Store, w.Target, "sums", moves(), func(_ context.Context, tx *memory.Tx, e projection.Event[move]) error {
				sums[e.Event.Account] += e.Event.Cents
				return tx.SaveDocuments([]store.Document{{Kind: "sums", ID: e.Event.Account, Data: fmt.Append(nil, sums[e.Event.Account])}})
			})
		},
		Read: func(ctx context.Context, w projectiontest.World[*memory.Tx]) (any, error) {
			st, _ := w.Store.(*memory.Store)
			docs, err := st.ScanDocuments(ctx, "sums", "", "", 0)
			return fmt.Sprintf("%s", docs), err
		},
	}
}

// TestFoldFinds runs Fold on a wrong handler, in a process of its own.
func TestFoldFinds(t *testing.T) {
	t.Parallel()
	if os.Getenv("EVOLVE_FORGETFUL") != "" {
		projectiontest.Fold(t, open, forgetful(), history(t))
		return
	}
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFoldFinds$")
	run.Env = append(os.Environ(), "EVOLVE_FORGETFUL=yes")
	out, err := run.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the read model differs from what the history leads to") {
		t.Errorf("Fold does not find a handler that keeps sums in memory: %v\n%s", err, out)
	}
}
