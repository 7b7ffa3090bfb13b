package props_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

// entries calls each exported check with something wrong, which it must report.
func entries() map[string]func(t *testing.T) {
	empty := props.For(account()) // has no commands
	return map[string]func(t *testing.T){
		"Suite.Mutants": func(t *testing.T) { t.Helper(); empty.Mutants(t) },
		"Suite.MutantScore": func(t *testing.T) {
			t.Helper()
			plain := decider.New(func(_ count, _ bool) ([]bool, error) { return []bool{true}, nil }, func(_, e bool) bool { return e })
			props.For(plain).Any(count{}).MutantScore(1).Mutants(t)
		},
		"Suite.Check": func(t *testing.T) { t.Helper(); empty.Check(t) },
		"Suite.Check/missed": func(t *testing.T) {
			t.Helper()
			props.Hasty(samples(account()).Checks(10)).Reaches("a miracle", func(Step) bool { return false }).Without("sharing is safe").Check(t)
		},
		"Same": func(t *testing.T) {
			t.Helper()
			props.Same(t, fewer(account()), changed(func(d *Account) {
				d.Decide = func(Command, State) ([]Event, error) { return nil, nil }
			}))
		},
		"Refines": func(t *testing.T) { t.Helper(); props.Refines(t, empty, purse(), asMoney(func(*money) {})) },
		"Against": func(t *testing.T) {
			t.Helper()
			props.Against(t, empty, props.Model[int, Command, State]{
				Next: func(n int, _ Command) (int, bool) { return n, true }, Abs: func(State) int { return 0 },
			})
		},
		"Lens": func(t *testing.T) {
			t.Helper()
			props.Lens(t, empty, func(s State) int { return s.Balance }, func(s State, _ int) State { return s })
		},
		"Embeds": func(t *testing.T) {
			t.Helper()
			props.Embeds(t, empty, func(e Event) (Event, bool) { return e, true }, func(e Event) Event { return e })
		},
		"Batches":         func(t *testing.T) { t.Helper(); props.Batches(t, empty, decider.Batch(account())) },
		"Upcasts":         func(t *testing.T) { t.Helper(); props.Upcasts(t, today()) },
		"Golden":          func(t *testing.T) { t.Helper(); props.Golden(t, samples(account()), t.TempDir()) },
		"ViewSuite.Check": func(t *testing.T) { t.Helper(); props.Projects(empty, decider.View[int, Event]{}).Check(t) },
		"ReplaySuite.Check": func(t *testing.T) {
			t.Helper()
			events := production(func(r *store.Recorded) { r.Version++ })
			props.Replay(account(), codec.JSON(allNames())).Check(t, yields(events[:1], nil))
		},
		"ProcessSuite.Check": func(t *testing.T) {
			t.Helper()
			props.Process(decider.Process[any, int, any]{}).Check(t)
		},
	}
}

// TestEntries checks that each exported check fails a test, in a process that fails.
func TestEntries(t *testing.T) {
	t.Parallel()
	if os.Getenv(broken) != "" {
		for name, check := range entries() {
			t.Run(name, check)
		}
		draws := 0
		props.For(account()).Checks(1).Reaches("a wonder", func(Step) bool { return false }).Commands(func(_ *rapid.T, s State) Command {
			if draws++; draws > 1500 { // more than one history needs
				panic("the search ends")
			}
			if s.Open {
				return Deposit{Amount: 1}
			}
			return Open{}
		}).Check(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^(TestEntries|FuzzAccount|FuzzEntry)$")
	cmd.Env = append(os.Environ(), broken+"=1", "EVOLVE_ARTIFACTS="+t.TempDir())
	out, _ := cmd.CombinedOutput()
	if n := strings.Count(string(out), "not checked: "); n != 1 {
		t.Errorf("%d checks say what they leave out, want one:\n%s", n, out)
	}
	for name := range entries() {
		if !strings.Contains(string(out), "--- FAIL: TestEntries/"+name+" ") {
			t.Errorf("%s reports nothing:\n%s", name, out)
		}
	}
	for _, want := range []string{
		"events: 1, streams: 1", "mutants killed, want 100%", " make no difference\n",
		"--- FAIL: FuzzAccount ", "--- FAIL: FuzzAccount/seed#0 ", "balance is never negative: broken at the start", "FuzzAccount_seed_0-", "--- FAIL: FuzzEntry/seed#0 ",
		"--- FAIL: FuzzAccount/seed#15 ", "not checked: sharing is safe\n", "a miracle: never\n", "--- PASS: TestEntries/a_wonder ", "there was no time to be sure: a wonder: never\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not reported:\n%s", want, out)
		}
	}
}

// FuzzEntry checks an account. In the process of TestEntries there are no commands.
func FuzzEntry(f *testing.F) {
	s := samples(account())
	if os.Getenv(broken) != "" {
		s = props.For(account())
	}
	s.Fuzz(f)
}
