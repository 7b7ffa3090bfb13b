package props_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
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
	text, more, all, _ := props.Mutation(t, suite())
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
		Reaches("an overdraft is refused", refused).
		Reaches("a long history ends with a refusal", func(s Step) bool { return refused(s) && len(s.Before.Movements) > 60 }).
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

// TestMutantScore checks which scores are refused.
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
}

// TestMutantsProblems checks that it is an error if the decider itself breaks a law, or
// if the suite has no commands.
func TestMutantsProblems(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		suite props.Suite[Command, State, Event]
		want  string
	}{
		"broken":      {planted["an overdraft from the fourth movement on"].suite(), `the decider itself breaks "balance is never negative"`},
		"no commands": {props.For(account()), "no commands"},
	} {
		if _, _, _, problem := props.Mutation(t, tt.suite); !strings.Contains(problem, tt.want) {
			t.Errorf("%s: the problem is %q, want %q", name, problem, tt.want)
		}
	}
}

type (
	counted struct{ n int }
	count   struct{}
)

// TestMutantsOfStates checks that unexported fields, fields behind a pointer, and states
// that are not structs are mutated.
func TestMutantsOfStates(t *testing.T) {
	t.Parallel()
	byValue := decider.New(
		func(_ count, s counted) ([]int, error) { return []int{s.n + 1}, nil },
		func(_ counted, e int) counted { return counted{e} },
	)
	byPointer := decider.New(
		func(_ count, s *counted) ([]int, error) {
			if s == nil {
				return []int{1}, nil
			}
			return []int{s.n + 1}, nil
		},
		func(_ *counted, e int) *counted { return &counted{e} },
	)
	plain := decider.New(
		func(_ count, s int) ([]int, error) { return []int{s + 1}, nil },
		func(_, e int) int { return e },
	)
	behind := decider.New(
		func(_ count, s *int) ([]int, error) {
			if s == nil {
				return []int{1}, nil
			}
			return []int{*s + 1}, nil
		},
		func(_ *int, e int) *int { return &e },
	)
	hidden := decider.New(
		func(_ count, s any) ([]int, error) {
			n, _ := s.(int)
			return []int{n + 1}, nil
		},
		func(_ any, e int) any { return e },
	)
	texts := map[string]string{}
	texts["behind a pointer"], _, _, _ = props.Mutation(t, props.For(behind).Any(count{}))
	texts["value"], _, _, _ = props.Mutation(t, props.For(byValue).Any(count{}))
	texts["pointer"], _, _, _ = props.Mutation(t, props.For(byPointer).Any(count{}))
	texts["plain"], _, _, _ = props.Mutation(t, props.For(plain).Any(count{}))
	if _, killed, all, problem := props.Mutation(t, props.For(plain).Any(count{}).MutantScore(1)); killed == all || !strings.HasSuffix(problem, "mutants killed, want 100%") {
		t.Errorf("%d of %d mutants are killed, all are wanted, and the problem is %q", killed, all, problem)
	}
	for name, text := range texts {
		field := "n"
		if name == "plain" || name == "behind a pointer" {
			field = "the state"
		}
		for _, want := range []string{"Decide sees " + field + " as zero", "Decide sees " + field + " as huge", "Evolve by int forgets " + field} {
			if !strings.Contains(text, "SURVIVED  "+want) { // nothing checks the number
				t.Errorf("%s: %q is not among\n%s", name, want, text)
			}
		}
	}
	if text, _, _, problem := props.Mutation(t, props.For(hidden).Any(count{})); strings.Contains(text, "the state") || !strings.Contains(text, "Evolve ignores int") || problem != "" {
		t.Errorf("a state without a type of its own has parts: %s\n%s", problem, text)
	}
}

// gauge is a state, and an event that says what Decide has seen.
type gauge struct {
	Small int8
	Level uint8
	Rate  float32
	On    bool
	At    time.Time
	Deep  struct{ A struct{ B struct{ C int } } }
	_     int
}

// TestMutantsOfNumbers checks as which values Decide sees fields, and that there are no
// mutants of fields that are too deep, belong to a text or have no name.
func TestMutantsOfNumbers(t *testing.T) {
	t.Parallel()
	d := decider.New(func(_ count, s gauge) ([]gauge, error) { return []gauge{s}, nil }, func(s, e gauge) gauge {
		s = gauge{Small: e.Small%5 + 1, Level: e.Level%5 + 1, Rate: e.Rate + 1, On: !e.On, At: e.At.Add(1), Deep: e.Deep}
		s.Deep.A.B.C++
		return s
	})
	d.Initial = func() gauge { return gauge{Small: 1, Level: 1, Rate: 1, At: time.Unix(1, 0)} }
	suite := props.For(d).Any(count{})
	for name, is := range map[string]func(e gauge) bool{
		"Small is never 0":   func(e gauge) bool { return e.Small == 0 },
		"Small is never 127": func(e gauge) bool { return e.Small == 127 },
		"Level is never 0":   func(e gauge) bool { return e.Level == 0 },
		"Level is never 255": func(e gauge) bool { return e.Level == 255 },
		"Rate is never huge": func(e gauge) bool { return e.Rate > math.MaxFloat32/2 },
	} {
		suite = suite.Rule(name, func(s props.Step[count, gauge, gauge]) error {
			if slices.ContainsFunc(s.Events, is) {
				return errOpen
			}
			return nil
		})
	}
	text, _, _, problem := props.Mutation(t, suite)
	for _, want := range []string{
		`killed    Decide sees Small as zero, by "Small is never 0"`,
		`killed    Decide sees Small as huge, by "Small is never 127"`,
		`killed    Decide sees Level as zero, by "Level is never 0"`,
		`killed    Decide sees Level as huge, by "Level is never 255"`,
		`killed    Decide sees Rate as huge, by "Rate is never huge"`,
		"SURVIVED  Decide sees Rate as zero", "SURVIVED  Decide sees On as true", "SURVIVED  Decide sees On as false",
		"SURVIVED  Decide sees At as zero", "SURVIVED  Decide sees Deep.A.B as zero", " 1 make no difference",
	} {
		if problem != "" || !strings.Contains(text, want) {
			t.Errorf("%q is not among\n%s%s", want, text, problem)
		}
	}
	for _, part := range []string{"Deep.A.B.C", "At.", " _"} {
		if strings.Contains(text, part) {
			t.Errorf("%q is mutated:\n%s", part, text)
		}
	}
}

// TestMutantsOfParts checks that fields of nested structs are mutated, and those of the
// structs in maps and slices, and that a mutant changes nothing that states share.
func TestMutantsOfParts(t *testing.T) {
	t.Parallel()
	type (
		checkIn struct {
			Name   string
			Nights int
		}
		checkedIn struct {
			Name   string
			Nights int
		}
		guest struct{ nights int }
		key   struct{ number int }
		hotel struct {
			guests map[string]guest
			keys   []*key
			last   struct{ guest guest }
		}
	)
	d := decider.New(
		func(c checkIn, s hotel) ([]checkedIn, error) {
			if s.guests[c.Name].nights > 0 {
				return nil, errOpen
			}
			return []checkedIn{checkedIn(c)}, nil
		},
		func(s hotel, e checkedIn) hotel {
			guests := map[string]guest{e.Name: {e.Nights}}
			for name, g := range s.guests {
				if name != e.Name {
					guests[name] = g
				}
			}
			s.guests, s.last.guest = guests, guest{e.Nights}
			s.keys = append(slices.Clone(s.keys), &key{len(s.keys) + 1})
			return s
		},
	)
	suite := props.For(d).Any(checkIn{}).Rule("a guest stays", func(s props.Step[checkIn, hotel, checkedIn]) error {
		for _, e := range s.Events {
			if s.After.guests[e.Name].nights != e.Nights {
				return errOpen
			}
		}
		return nil
	})
	text, _, _, problem := props.Mutation(t, suite)
	for _, want := range []string{
		`killed    Evolve by checkedIn forgets guests[].nights, by "a guest stays"`,
		"SURVIVED  Evolve by checkedIn forgets keys[].number",
		"SURVIVED  Evolve by checkedIn forgets last.guest.nights",
		"SURVIVED  Decide sees guests[].nights as huge",
	} {
		if problem != "" || !strings.Contains(text, want) {
			t.Errorf("%q is not among\n%s%s", want, text, problem)
		}
	}
	if strings.Contains(text, "Decide sees keys") {
		t.Errorf("Decide does not use the keys, so seeing them otherwise must make no difference:\n%s", text)
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
