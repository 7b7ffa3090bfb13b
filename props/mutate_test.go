package props_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

type (
	stay  struct{ nights, room int }
	lodge struct { // a state with parts of all kinds
		Open   bool
		name   string
		stays  []stay
		keys   []*stay
		guests map[string]stay
		staff  map[string]*stay
		rooms  [2]stay
		last   *stay
		since  time.Time
		notes  any
		level  uint8
		rate   float32
		limit  *int
		deep   struct{ A struct{ B struct{ C int } } }
		_      int
	}
)

// echo returns a decider whose events are states: Decide returns the one that it sees, and
// Evolve the one that it gets.
func echo[S any]() decider.Decider[count, S, S] {
	return decider.New(func(_ count, s S) ([]S, error) { return []S{s}, nil }, func(_, e S) S { return e })
}

// partsOf returns the parts of states of type S that have mutants.
func partsOf[S any]() string {
	names, _ := props.Mutants(echo[S](), count{})
	var parts []string
	for _, n := range names {
		if _, part, ok := strings.Cut(n, " forgets "); ok && strings.HasPrefix(n, "Evolve") {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

// TestParts checks which parts of a state have mutants.
func TestParts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ got, want string }{
		"a number":                        {partsOf[int](), "the state"},
		"a pointer to a truth value":      {partsOf[*bool](), "the state"},
		"a time":                          {partsOf[time.Time](), "the state"},
		"an interface":                    {partsOf[any](), ""},
		"a list":                          {partsOf[[]int](), "the state"},
		"a list of structs":               {partsOf[[]stay](), "the state, the state[].nights, the state[].room"},
		"an array of structs":             {partsOf[[2]stay](), "the state, the state[].nights, the state[].room"},
		"a map of pointers to structs":    {partsOf[map[string]*stay](), "the state, the state[].nights, the state[].room"},
		"a struct":                        {partsOf[stay](), "nights, room"},
		"a pointer to a struct":           {partsOf[*stay](), "nights, room"},
		"a struct in which time is a key": {partsOf[struct{ At map[time.Time]time.Time }](), "At"},
		"a protobuf message":              {partsOf[*wrapperspb.Int64Value](), "Value, unknownFields"},
	} {
		if tt.got != tt.want {
			t.Errorf("the parts of %s are %q, want %q", name, tt.got, tt.want)
		}
	}
}

// TestMistakes checks what each mutant of a part changes, and that it changes only a copy.
// An event is forgotten twice: on a state in which the part was different, and on one in
// which it was empty.
func TestMistakes(t *testing.T) {
	t.Parallel()
	five, six := 5, 6
	was := lodge{
		name: "old", stays: []stay{{1, 0}}, keys: []*stay{{2, 0}}, guests: map[string]stay{"ann": {3, 0}}, staff: map[string]*stay{"bob": {4, 0}, "dan": nil},
		rooms: [2]stay{{7, 0}, {8, 0}}, last: &stay{9, 0}, since: time.Unix(0, 0), notes: "old", level: 1, rate: 1, limit: &six,
	}
	is := lodge{
		Open: true, name: "new", stays: []stay{{10, 1}, {11, 1}}, keys: []*stay{{20, 1}, nil, {21, 1}}, guests: map[string]stay{"ann": {30, 1}, "cid": {31, 1}},
		staff: map[string]*stay{"bob": {40, 1}, "dan": {41, 1}, "eve": nil}, rooms: [2]stay{{70, 1}, {80, 1}}, last: &stay{90, 1}, since: time.Unix(60, 0),
		notes: "new", level: 2, rate: 2, limit: &five,
	}
	is.deep.A.B.C = 1
	begin := props.Text([]lodge{was, is})
	var lines strings.Builder
	names, mutant := props.Mutants(echo[lodge](), count{})
	for _, n := range names {
		switch d := mutant[n]; {
		case strings.HasPrefix(n, "Decide sees "):
			seen, _ := d.Decide(count{}, is)
			fmt.Fprintf(&lines, "%s\n\t%s\n", n, props.Changes(is, seen[0]))
		case strings.HasPrefix(n, "Evolve by "):
			fmt.Fprintf(&lines, "%s\n\t%s\n\t%s\n", n, props.Changes(is, d.Evolve(was, is)), props.Changes(is, d.Evolve(lodge{}, is)))
		}
	}
	golden(t, "mistakes", lines.String())
	if end := props.Text([]lodge{was, is}); end != begin {
		t.Errorf("the states have changed from\n%s to\n%s", begin, end)
	}
}

// TestMutantsOfDecisions checks what each mutant of a command or an event decides and
// evolves, and that each has only one fault.
func TestMutantsOfDecisions(t *testing.T) {
	t.Parallel()
	d := decider.New(func(c Command, n int) ([]Event, error) {
		switch c := c.(type) {
		case Deposit:
			if c.Amount == 0 {
				return nil, errAmount
			}
			return []Event{Deposited(c)}, nil
		case Withdraw:
			events := []Event{Withdrawn(c)}
			if c.Amount > n {
				return events, errFunds
			}
			return events, nil
		case Close:
			return []Event{Withdrawn{n}, Deposited{Amount: 1}, Withdrawn{1}}, nil
		}
		return nil, nil
	}, func(n int, e Event) int {
		switch e := e.(type) {
		case Deposited:
			return n + e.Amount
		case Withdrawn:
			return n - e.Amount
		}
		return n
	})
	d.EvolveInPlace = func(n *int, e Event) { *n = d.Evolve(*n, e) } // which no mutant has
	var lines strings.Builder
	names, mutant := props.Mutants[Command](d, Deposit{Amount: 1}, Withdraw{1})
	for _, n := range names {
		m := mutant[n]
		fmt.Fprintf(&lines, "%s (%d → %d)\n", n, 5, m.Fold(5, Deposited{Amount: 3}, Withdrawn{1}))
		for _, c := range []Command{Deposit{}, Deposit{Amount: 3}, Withdraw{6}, Withdraw{1}, Close{}} {
			events, err := m.Decide(c, 5)
			fmt.Fprintf(&lines, "\t%s: %s %v\n", props.Text(c), props.Text(events), err)
		}
	}
	golden(t, "mutants_of_decisions", lines.String())
}

// TestMistakesOfStates checks the same for states that are no structs, and for pointers.
func TestMistakesOfStates(t *testing.T) {
	t.Parallel()
	five := 5
	for name, tt := range map[string]struct{ got, want string }{
		"a number":                           {forgotten(3, 4, "the state"), "3"},
		"a pointer to a number":              {forgotten(nil, &five, "the state"), "&0"},
		"a pointer to a struct":              {forgotten(&stay{3, 0}, &stay{4, 0}, "nights"), "&stay{nights: 3}"},
		"a pointer to a struct that is new":  {forgotten(nil, &stay{4, 0}, "nights"), "&stay{}"},
		"a pointer to a struct that is gone": {forgotten(&stay{4, 0}, nil, "nights"), "nil"},
		"a list of which there was more":     {forgotten([]stay{{3, 0}, {4, 0}}, []stay{{5, 0}}, "the state[].nights"), "[stay{nights: 3}]"},
		"a list of which there was less":     {forgotten([]stay{{3, 0}}, []stay{{5, 0}, {6, 0}}, "the state[].nights"), "[stay{nights: 3} stay{}]"},
		"a list of pointers that were nil":   {forgotten([]*stay{nil}, []*stay{{5, 0}}, "the state[].nights"), "[&stay{}]"},
		"a map without entries":              {forgotten(map[int]stay{1: {2, 0}}, nil, "the state[].nights"), "{}"},
		"a map of pointers, one of them new": {forgotten(map[int]*stay{1: {2, 0}}, map[int]*stay{1: {3, 0}, 2: {4, 0}}, "the state[].nights"), "{1: &stay{nights: 2}, 2: &stay{}}"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %q, want %q", name, tt.got, tt.want)
		}
	}
}

// forgotten returns the state after an event that makes it is, but forgets a part of it.
func forgotten[S any](was, is S, part string) string {
	_, mutant := props.Mutants(echo[S](), count{})
	for name, d := range mutant {
		if strings.HasPrefix(name, "Evolve by ") && strings.HasSuffix(name, " forgets "+part) {
			return props.Text(d.Evolve(was, is))
		}
	}
	return "there is no such mutant"
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
