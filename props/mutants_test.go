package props_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
)

// scenarios are scenarios of the account, used to kill mutants.
func scenarios(t rapid.TB, d decider.Decider[Command, State, Event]) {
	props.Spec(t, d).When(Open{"ann"}).Then(Opened{"ann"})
	props.Spec(t, d).Given(Opened{"ann"}, Deposited{Amount: 5}).When(Withdraw{3}).Then(Withdrawn{3})
	props.Spec(t, d).Given(Opened{"ann"}, Deposited{Amount: 5}).When(Close{}).ThenError(errBalance)
	props.Spec(t, d).Given(Opened{"ann"}).When(Deposit{Amount: 5}).
		ThenState(State{Owner: "ann", Open: true, Balance: 5, Movements: []int{5}, Totals: map[string]int{"in": 5}})
}

// TestMutants checks which mutants survive one rule, more rules, and rules with
// scenarios.
func TestMutants(t *testing.T) {
	t.Parallel()
	one := samples(account()).Invariant("balance is never negative", solvent)
	text, few, all, problem := props.Mutation(t, one)
	if problem != "" || few == 0 || few > all*2/3 {
		t.Fatalf("one rule kills %d of %d mutants: %s\n%s", few, all, problem, text)
	}
	text, more, all, _ := props.Mutation(t, suite().Checks(1)) // which Mutants does not heed
	golden(t, "mutants", text+"\n")
	if more <= few {
		t.Errorf("one rule kills %d of %d mutants, and all rules %d", few, all, more)
	}
	if text, most, _, _ := props.Mutation(t, suite(), scenarios); most <= more || !strings.Contains(text, `Evolve by Deposited forgets Movements, by "scenarios 1"`) {
		t.Errorf("with scenarios %d mutants are killed, and without %d:\n%s", most, more, text)
	}
}

// TestMutantsOfSeldomCases checks that a case kills a mutant even if it takes more histories
// than usual, and not if the decider itself seldom or never reaches it.
func TestMutantsOfSeldomCases(t *testing.T) {
	t.Parallel()
	text, _, _, problem := props.Mutation(t, samples(account()).
		Reaches("a long history ends with a refusal", func(s Step) bool { return refused(s) && len(s.Before.Movements) > 60 }).
		Reaches("an overdraft is refused", refused).
		Reaches("an overdraft is allowed", func(s Step) bool { return s.After.Balance < 0 }))
	for _, want := range []string{
		`killed    Decide never rejects Withdraw, by "an overdraft is refused"`,
		`kills nothing, because the decider itself seldom does it: "a long history ends with a refusal"`,
		`kills nothing, because the decider itself seldom does it: "an overdraft is allowed"`,
	} {
		if problem != "" || !strings.Contains(text, want) {
			t.Errorf("%q is missing (%s):\n%s", want, problem, text)
		}
	}
	if strings.Contains(text, `by "an overdraft is allowed"`) || strings.Count(text, "kills nothing") != 2 {
		t.Errorf("a case that never comes kills a mutant, or there are other seldom cases:\n%s", text)
	}
}

// TestComes checks how often a case must come.
func TestComes(t *testing.T) {
	t.Parallel()
	s := props.For(account()).Codec(codec.JSON(allNames())).
		Reaches("a deposit", func(s Step) bool { _, ok := s.Command.(Deposit); return ok }).
		Reaches("a withdrawal", func(s Step) bool { _, ok := s.Command.(Withdraw); return ok })
	for n, want := range map[int]string{
		1: "[every command leads to events sometimes every event is decided sometimes a deposit a withdrawal]",
		2: "[every event is decided sometimes a deposit]",
		3: "[every event is decided sometimes]",
	} {
		if got := fmt.Sprint(props.Comes[Command](s, n, Open{}, Deposit{Amount: 5}, Deposit{Amount: 5}, Withdraw{10}, Close{})); got != want {
			t.Errorf("%d times come %s, want %s", n, got, want)
		}
	}
}

// TestMutantsTakeFewHistories checks that mutants are judged by few laws, that a case that
// never comes makes the search for it longer, but not the judgement on each mutant, and
// that one that is left out makes no difference. It also checks that a law counts which
// breaks only in that search.
func TestMutantsTakeFewHistories(t *testing.T) {
	t.Parallel()
	decided := 0
	suite := props.For(decider.New(
		func(_ count, s int) ([]int, error) {
			decided++
			return []int{s + 1}, nil
		},
		func(_, e int) int { return e },
	)).Any(count{})
	decisions := func(s props.Suite[count, int, int]) (int, string) {
		decided = 0
		text, _, _, problem := props.Mutation(t, s)
		return decided, text + problem
	}
	never := suite.Reaches("never", func(props.Step[count, int, int]) bool { return false })
	least, text := decisions(suite)
	if least > 300_000 {
		t.Errorf("%d decisions: are there laws that no mutant breaks?", least)
	}
	if more, _ := decisions(never); more < 2*least || more > 4*least {
		t.Errorf("%d decisions with a case that never comes, and %d without it", more, least)
	}
	if same, got := decisions(never.Without("never")); same != least || got != text {
		t.Errorf("%d decisions if the case is left out, want %d:\n%s\nwant\n%s", same, least, got, text)
	}
	rich := never.Invariant("at most 140", func(s int) error {
		if s > 140 { // not in the first hundred histories
			return errFunds
		}
		return nil
	})
	if _, text := decisions(rich); !strings.Contains(text, `the decider itself breaks "at most 140"`) {
		t.Errorf("a law that breaks in a long history is not reported:\n%s", text)
	}
}

// TestMutantsThatHang checks that a mutant is killed if it does not return, or if no
// command can be drawn on its states, and that the decider itself may do neither.
func TestMutantsThatHang(t *testing.T) {
	t.Parallel()
	over, seconds := make(chan struct{}), make(chan time.Time)
	t.Cleanup(func() { close(over) })
	hang := func() {
		for range 11 { // as many seconds as it takes to call it hanging, and none for the next mutant
			seconds <- time.Time{}
		}
		<-over
	}
	counter := func(hangs func(s int) bool) props.Suite[count, int, int] {
		d := decider.New(func(_ count, s int) ([]int, error) {
			if hangs(s) {
				hang()
			}
			return []int{s + 1}, nil
		}, func(_, e int) int { return e })
		return props.Timed(props.For(d), seconds).Commands(func(_ *rapid.T, s int) count {
			if s < 0 {
				panic("it counts no debts")
			}
			return count{}
		})
	}
	text, _, _, problem := props.Mutation(t, counter(func(s int) bool { return s == math.MaxInt }))
	if want := `killed    Decide sees the state as huge, by "it hangs"`; problem != "" || strings.Count(text, "hangs") != 1 || !strings.Contains(text, want) {
		t.Errorf("want %s and no more that hang: %s\n%s", want, problem, text)
	}
	text, _, _, problem = props.Mutation(t, counter(func(int) bool { return false }))
	if !regexp.MustCompile(`killed    Decide sees the state as huge, by ".*it counts no debts`).MatchString(text) || problem != "" {
		t.Errorf("a mutant whose sum overflows is not killed because no command can be drawn: %s\n%s", problem, text)
	}
	once := false
	atThree := func(s int) bool {
		if s != 3 || once {
			return false
		}
		once = true
		return true
	}
	if _, _, _, problem = props.Mutation(t, counter(atThree)); !strings.Contains(problem, "Decide(count{}, 3) has not returned") {
		t.Errorf("the decider itself hangs, and the problem is %q", problem)
	}
}

// TestMutantsOfScenarios checks each way in which a scenario can fail, and that one that
// is skipped does not fail, and does not skip the test.
func TestMutantsOfScenarios(t *testing.T) {
	t.Parallel()
	plain := decider.New(
		func(_ count, s int) ([]int, error) { return []int{s + 1}, nil },
		func(_, e int) int { return e },
	)
	const ends, fails, passes = "ends", "fails and goes on", "goes on"
	for name, tt := range map[string]struct {
		end  func(t rapid.TB)
		then string
		kill bool
	}{
		"Fail":    {func(t rapid.TB) { t.Fail() }, fails, true},
		"FailNow": {func(t rapid.TB) { t.FailNow() }, ends, true},
		"Error":   {func(t rapid.TB) { t.Error("no") }, fails, true},
		"Errorf":  {func(t rapid.TB) { t.Errorf("no") }, fails, true},
		"Fatal":   {func(t rapid.TB) { t.Fatal("no") }, ends, true},
		"Fatalf":  {func(t rapid.TB) { t.Fatalf("no") }, ends, true},
		"panic":   {func(rapid.TB) { panic("no") }, ends, true},
		"Skip":    {func(t rapid.TB) { t.Skip("not today") }, ends, false},
		"Skipf":   {func(t rapid.TB) { t.Skipf("not today") }, ends, false},
		"SkipNow": {func(t rapid.TB) { t.SkipNow() }, ends, false},
		"Log":     {func(t rapid.TB) { t.Log("so"); t.Logf("so") }, passes, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			then := ends
			good := func(rapid.TB, decider.Decider[count, int, int]) {}
			text, killed, all, problem := props.Mutation(t, props.For(plain).Any(count{}), good, func(t rapid.TB, d decider.Decider[count, int, int]) {
				if d.Fold(0, 5) == 5 {
					return
				}
				tt.end(t)
				if then = passes; t.Failed() {
					then = fails
				}
			})
			want := `killed    Evolve ignores int, by "scenarios 2"`
			if problem != "" || killed == all || strings.Contains(text, want) != tt.kill || t.Skipped() {
				t.Errorf("killed: want %v; skipped: %v, want no: %s\n%s", tt.kill, t.Skipped(), problem, text)
			}
			if then != tt.then {
				t.Errorf("the scenario %s, want one that %s", then, tt.then)
			}
		})
	}
}

// TestMutantScore checks which scores are refused, and which are reached.
func TestMutantScore(t *testing.T) {
	t.Parallel()
	for score, want := range map[float64]string{
		-0.1: "props: MutantScore(-0.1)", 1.1: "props: MutantScore(1.1)", math.NaN(): "props: MutantScore(NaN)", 0: "<nil>", 1: "<nil>",
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != want {
					t.Errorf("MutantScore(%v) panicked with %q, want %q", score, got, want)
				}
			}()
			suite().MutantScore(score)
		}()
	}
	for want, got := range map[string]string{
		"5 of 5, 1":       props.Missed(5, 5, 1),
		"0 of 5, 0":       props.Missed(0, 5, 0),
		"0 of 0, 1":       props.Missed(0, 0, 1),
		"7 of 100, 0.07":  props.Missed(7, 100, 0.07), // 0.07 * 100 is more than 7
		"55 of 100, 0.55": props.Missed(55, 100, 0.55),
	} {
		if got != "" {
			t.Errorf("%s is not enough: %s", want, got)
		}
	}
	for want, got := range map[string]string{
		"6 of 100 mutants killed, want 7%":       props.Missed(6, 100, 0.07),
		"199 of 200 mutants killed, want 99.75%": props.Missed(199, 200, 0.9975),
	} {
		if got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
	}
}

// TestMutantsProblems checks that it is an error if the decider itself breaks a law or
// fails a scenario, or if the suite has no commands.
func TestMutantsProblems(t *testing.T) {
	t.Parallel()
	good := func(rapid.TB, Account) {}
	for name, tt := range map[string]struct {
		suite    props.Suite[Command, State, Event]
		scenario func(t rapid.TB, d Account)
		want     string
	}{
		"broken":      {planted["an overdraft from the fourth movement on"].suite(), good, `the decider itself breaks "balance is never negative"`},
		"no commands": {props.For(account()), good, "no commands"},
		"no such law": {suite().Without("decide is fast"), good, `props: Without("decide is fast"): there is no such law, only`},
		"a scenario that fails": {suite(), func(t rapid.TB, d Account) {
			props.Spec(t, d).When(Open{}).Then()
		}, `the decider itself breaks "scenarios 2": Check tells more`},
	} {
		if _, _, _, problem := props.Mutation(t, tt.suite, good, tt.scenario); !strings.Contains(problem, tt.want) {
			t.Errorf("%s: the problem is %q, want %q", name, problem, tt.want)
		}
	}
}

// FuzzAccount is what a user writes. In the process of TestEntries the account is broken.
func FuzzAccount(f *testing.F) {
	s := suite()
	if os.Getenv(broken) != "" {
		s = planted["a start that breaks the invariant"].suite()
	}
	s.Fuzz(f)
}

// TestFuzz checks that inputs lead to planted bugs, and the same input to the same
// report.
func TestFuzz(t *testing.T) {
	t.Parallel()
	broken := planted["an overdraft from the fourth movement on"].suite()
	r := rand.New(rand.NewPCG(0, 2))
	found := 0
	for range 60 {
		data := make([]byte, 0, 4096)
		for len(data) < 4096 {
			data = binary.LittleEndian.AppendUint64(data, r.Uint64())
		}
		texts, _ := props.Fuzzed(t, broken, data)
		if len(texts) == 0 {
			continue
		}
		found++
		if again, _ := props.Fuzzed(t, broken, data); len(again) != 1 || normal(again[0]) != normal(texts[0]) || strings.Contains(texts[0], "again:") {
			t.Errorf("an input gives\n%s\nand then\n%s", texts, again)
		}
	}
	if found < 3 {
		t.Errorf("%d of 60 inputs lead to the bug", found)
	}
	for _, data := range [][]byte{nil, {1}, make([]byte, 4096)} {
		if texts, problem := props.Fuzzed(t, suite(), data); len(texts) > 0 || problem != "" {
			t.Errorf("the input %v gives %s %s", data, texts, problem)
		}
	}
}

// TestFuzzInputs checks that the inputs to begin with have no two numbers in common, and
// that an input is read to its end.
func TestFuzzInputs(t *testing.T) {
	t.Parallel()
	seen := map[uint64]bool{}
	for seed := range uint64(16) {
		data := props.SeedInput(seed)
		for ; len(data) > 0; data = data[8:] {
			seen[binary.LittleEndian.Uint64(data)] = true
		}
	}
	if n := props.FirstNumber([]byte{1, 0, 0, 0, 0, 0, 0, 0}); n != 1 {
		t.Errorf("the last eight bytes are read as %d, want 1", n)
	}
	if len(seen) != 16*1024 {
		t.Errorf("the inputs have %d different numbers, want 1024 for each", len(seen))
	}
}

// TestFuzzProblems checks that Fuzz says why it cannot check a suite, except that a law
// which is broken explains why no command can be drawn.
func TestFuzzProblems(t *testing.T) {
	t.Parallel()
	drawn := func(d Account) Suite {
		return props.For(d).Invariant("balance is never negative", solvent).Commands(func(t *rapid.T, s State) Command {
			return Withdraw{rapid.IntRange(1, s.Balance).Draw(t, "amount")}
		})
	}
	for name, tt := range map[string]struct {
		suite         Suite
		says, problem string
	}{
		"no commands":             {props.For(account()), "", "no commands"},
		"an empty range":          {drawn(account()), "", "Commands cannot draw on the state State{}"},
		"a range without a start": {drawn(changed(func(d *Account) { d.Initial = func() State { return State{Balance: -1} } })), "balance is -1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts, problem := props.Fuzzed(t, tt.suite, nil)
			if all := strings.Join(texts, "\n"); !strings.Contains(all, tt.says) || !strings.Contains(problem, tt.problem) || (all == "") == (problem == "") {
				t.Errorf("the reports are %q, the problem is %q, want %q, %q", all, problem, tt.says, tt.problem)
			}
		})
	}
}
