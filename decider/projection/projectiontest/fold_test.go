package projectiontest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
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

// wrongs returns subjects and histories that Fold must find, and what it must say.
func wrongs(t *testing.T) map[string]struct {
	subject projectiontest.Subject[*memory.Tx, move]
	history []projectiontest.Append
	says    string
} {
	t.Helper()
	unreadable := forgetful()
	unreadable.Read = func(context.Context, projectiontest.World[*memory.Tx]) (any, error) { return nil, errWrong }
	failing := forgetful()
	failing.New = func(w projectiontest.World[*memory.Tx]) *projection.Projection[*memory.Tx, move] {
		return projection.New(w.Store, w.Target, "fails", moves(), func(context.Context, *memory.Tx, projection.Event[move]) error { return errWrong })
	}
	unnamed := history(t)
	unnamed[3].Events[0].ID = ""
	return map[string]struct {
		subject projectiontest.Subject[*memory.Tx, move]
		history []projectiontest.Append
		says    string
	}{
		"keeps sums in memory":            {forgetful(), history(t), "the read model differs from what the history leads to"},
		"cannot be read":                  {unreadable, history(t), "read the read model: wrong"},
		"fails":                           {failing, history(t), "wait for position 2: "},
		"has a history that is not valid": {forgetful(), unnamed, "append to Account/acc-0: "},
	}
}

var errWrong = errors.New("wrong")

// wrongEnv names the wrong subject with which TestFoldFinds runs itself.
const wrongEnv = "EVOLVE_WRONG"

// TestFoldFinds runs Fold on wrong subjects, in processes of its own.
func TestFoldFinds(t *testing.T) {
	t.Parallel()
	if w, ok := wrongs(t)[os.Getenv(wrongEnv)]; ok {
		projectiontest.Fold(t, open, w.subject, w.history)
		return
	}
	for name, w := range wrongs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFoldFinds$", "-test.timeout", "1m")
			run.Env = append(os.Environ(), wrongEnv+"="+name)
			out, err := run.CombinedOutput()
			if err == nil || !strings.Contains(string(out), w.says) {
				t.Errorf("Fold does not say %q: %v\n%s", w.says, err, out)
			}
		})
	}
}

// recorder is a test that records what it says when it fails.
type recorder struct {
	testing.TB
	said string
}

func (*recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestGivenFinds(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		projectiontest.Given(r, codec.JSON(map[string]any{"Deposited": deposited{}}), store.Stream{Type: "Account", ID: "a"}, any("a text"))
	}()
	<-done
	if !strings.Contains(r.said, "encode a text: ") {
		t.Errorf("Given says %q of an event that cannot be encoded", r.said)
	}
}
