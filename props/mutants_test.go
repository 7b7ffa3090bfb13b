package props_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

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
	texts := map[string]string{}
	texts["value"], _, _, _ = props.Mutation(t, props.For(byValue).Any(count{}))
	texts["pointer"], _, _, _ = props.Mutation(t, props.For(byPointer).Any(count{}))
	texts["plain"], _, _, _ = props.Mutation(t, props.For(plain).Any(count{}))
	text, _, _, _ := props.Mutation(t, props.For(plain).Any(count{}), func(_ rapid.TB, d decider.Decider[count, int, int]) {
		if d.Fold(0, 5) != 5 {
			panic("a scenario may panic")
		}
	})
	if want := `killed    Evolve ignores int, by "scenarios 1"`; !strings.Contains(text, want) {
		t.Errorf("%q is not among\n%s", want, text)
	}
	if _, killed, all, problem := props.Mutation(t, props.For(plain).Any(count{}).MutantScore(1)); killed == all || !strings.HasSuffix(problem, "mutants killed, want 100%") {
		t.Errorf("%d of %d mutants are killed, all are wanted, and the problem is %q", killed, all, problem)
	}
	for name, text := range texts {
		field := "n"
		if name == "plain" {
			field = "the state"
		}
		for _, want := range []string{"Decide sees " + field + " as zero", "Decide sees " + field + " as huge", "Evolve by int forgets " + field} {
			if !strings.Contains(text, "SURVIVED  "+want) { // nothing checks the number
				t.Errorf("%s: %q is not among\n%s", name, want, text)
			}
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
