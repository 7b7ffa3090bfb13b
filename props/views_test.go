package props_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// Sums is a read model: the sums paid in and out, by owner.
type Sums struct {
	Totals  map[string]int
	Owners  []string
	Last    string
	Entries int
}

type sumsView = decider.View[Sums, Event]

func addUp(v Sums, e Event) Sums {
	v.Totals = maps.Clone(v.Totals)
	if v.Totals == nil {
		v.Totals = map[string]int{}
	}
	switch e := e.(type) {
	case Opened:
		v.Owners = append(slices.Clip(v.Owners), e.Owner)
	case Deposited:
		v.Totals["in"] += e.Amount
	case Withdrawn:
		v.Totals["out"] += e.Amount
	case Closed:
	}
	return v
}

// sum computes the same in one go.
func sum(events []Event) (v Sums) {
	for _, e := range events {
		switch e := e.(type) {
		case Opened:
			v.Owners = append(v.Owners, e.Owner)
		case Deposited:
			if v.Totals == nil {
				v.Totals = map[string]int{}
			}
			v.Totals["in"] += e.Amount
		case Withdrawn:
			v.Totals["out"] += e.Amount
		case Closed:
		}
	}
	return v
}

func balanced(s State, v Sums) error {
	if got := v.Totals["in"] - v.Totals["out"]; got != s.Balance {
		return fmt.Errorf("the view says %d, the state %d", got, s.Balance)
	}
	return nil
}

func sums(change func(v *sumsView)) props.ViewSuite[Sums, Command, State, Event] {
	v := sumsView{Evolve: addUp}
	change(&v)
	return props.Projects(samples(account()).Checks(80), v).Equals("the sum of all", sum).Agrees("the view has the balance", balanced).AnyOrder(nil)
}

// evolves returns a view that calls f for events of type T, and is correct otherwise.
func evolves[T Event](f func(v Sums, e T) Sums) func(v *sumsView) {
	return func(v *sumsView) {
		v.Evolve = func(v Sums, e Event) Sums {
			if e, ok := e.(T); ok {
				return f(v, e)
			}
			return addUp(v, e)
		}
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	bad := func(change func(v *sumsView)) func() props.Inquiry {
		return func() props.Inquiry { return props.ViewInquiry(sums(change)) }
	}
	find(t, map[string]flaw{
		"a view without an initial value": {bad(evolves(func(v Sums, e Deposited) Sums {
			v.Last = v.Owners[0]
			return addUp(v, e)
		})), []string{"the view is total"}, 3, false},
		"a view with a clock": {bad(evolves(func(v Sums, e Opened) Sums {
			v.Last = time.Now().String()
			return v
		})), []string{"the view is deterministic"}, 1, false},
		"a view that sorts its owners": {bad(evolves(func(v Sums, e Deposited) Sums {
			v.Entries++
			if v.Totals != nil {
				v.Totals["in"] += e.Amount
				return v
			}
			return addUp(v, e)
		})), []string{"the view changes nothing"}, 3, false},
		"a view that appends": {func() props.Inquiry {
			type list struct{ All []int }
			return props.ViewInquiry(props.Projects(samples(account()).Checks(80), decider.View[list, Event]{
				Evolve: func(l list, e Event) list {
					switch e := e.(type) {
					case Deposited:
						l.All = append(l.All, e.Amount)
					case Withdrawn:
						l.All = append(l.All, -e.Amount)
					}
					return l
				},
			}))
		}, []string{"the view shares no memory"}, 6, false},
		"a view in one map": {func() props.Inquiry {
			return props.ViewInquiry(props.Projects(samples(account()).Checks(80), decider.View[map[string]int, Event]{
				Initial: func() map[string]int { return map[string]int{} },
				Evolve: func(m map[string]int, e Event) map[string]int {
					m[fmt.Sprintf("%T", e)]++
					return m
				},
			}))
		}, []string{"the past of the view does not change", "the view changes nothing"}, 2, false},
		"a view that starts where it was": {func() props.Inquiry {
			all := map[string]int{}
			return props.ViewInquiry(props.Projects(samples(account()).Checks(80), decider.View[map[string]int, Event]{
				Initial: func() map[string]int { return all },
				Evolve: func(m map[string]int, e Event) map[string]int {
					m[fmt.Sprintf("%T", e)]++
					return m
				},
			}))
		}, []string{"the start of the view is fresh", "a rebuild gives the live view"}, 1, false},
		"a view with a hidden counter": {func() props.Inquiry {
			n := 0
			return props.ViewInquiry(sums(func(v *sumsView) {
				v.Evolve = func(v Sums, e Event) Sums {
					n++
					v.Entries = n
					return v
				}
			}))
		}, []string{"a rebuild gives the live view"}, 1, false},
		"a view that forgets deposits": {bad(evolves(func(v Sums, e Deposited) Sums {
			return v
		})), []string{"the sum of all", "the view has the balance"}, 2, true},
		"a view of the last owner": {bad(evolves(func(v Sums, e Deposited) Sums {
			v = addUp(v, e)
			v.Entries = e.Amount
			return v
		})), []string{"any order gives the same view", "the sum of all"}, 4, false},
		"a view that counts twice": {func() props.Inquiry {
			return props.ViewInquiry(sums(func(*sumsView) {}).Redelivered())
		}, []string{"events may be redelivered"}, 1, true},
		"a view that waits for another stream": {func() props.Inquiry {
			v := sumsView{Evolve: addUp}
			evolves(func(v Sums, e Deposited) Sums {
				if len(v.Owners) == 0 {
					return v
				}
				return addUp(v, e)
			})(&v)
			return props.ViewInquiry(props.Projects(samples(account()).Checks(80), v).AnyOrder(kindOf))
		}, []string{"any order of streams gives the same view"}, 2, true},
	}, bad(func(*sumsView) {}), func() props.Inquiry {
		v := decider.View[map[string]bool, Event]{Evolve: func(m map[string]bool, e Event) map[string]bool {
			next := map[string]bool{kindOf(e): true}
			maps.Copy(next, m)
			return next
		}}
		return props.ViewInquiry(props.Projects(samples(account()).Checks(80), v).Redelivered())
	}, func() props.Inquiry { // each kind keeps its order, so the last amount of each is the same
		v := decider.View[map[string]string, Event]{Evolve: func(m map[string]string, e Event) map[string]string {
			next := maps.Clone(m)
			if next == nil {
				next = map[string]string{}
			}
			next[kindOf(e)] = fmt.Sprint(e)
			return next
		}}
		return props.ViewInquiry(props.Projects(samples(account()).Checks(80), v).AnyOrder(kindOf))
	})
}

func kindOf(e Event) string { return fmt.Sprintf("%T", e) }

// TestProjectsCheck shows how to check a view.
func TestProjectsCheck(t *testing.T) {
	t.Parallel()
	sums(func(*sumsView) {}).Check(t)
}

// TestViewLaws checks in which step of a history a law of views is broken, and what is
// said about it.
func TestViewLaws(t *testing.T) {
	t.Parallel()
	cmds := []Command{Open{"a"}, Open{"b"}, Deposit{Amount: 5}, Open{"c"}, Withdraw{Amount: 2}, Deposit{Amount: 1}}
	gift := func(v *sumsView) { v.Initial = func() Sums { return Sums{Totals: map[string]int{"in": 1}} } }
	last := func(v *sumsView) {
		v.Evolve = func(v Sums, e Event) Sums {
			v.Last = fmt.Sprint(e)
			return v
		}
	}
	n, shared := 0, map[string]int{}
	var says strings.Builder
	for i, tt := range []struct {
		change func(v *sumsView)
		law    string
		cmds   []Command
	}{
		{gift, "the sum of all", nil},
		{gift, "the view has the balance", nil},
		{evolves(func(v Sums, _ Deposited) Sums { return v }), "the sum of all", cmds},
		{evolves(func(v Sums, _ Withdrawn) Sums { return v }), "the view has the balance", cmds},
		{func(*sumsView) {}, "the sum of all", cmds},
		{func(*sumsView) {}, "the view has the balance", cmds},
		{evolves(func(_ Sums, e Withdrawn) Sums { panic(fmt.Sprint("no withdrawals of ", e.Amount)) }), "the view is total", cmds},
		{evolves(func(_ Sums, e Opened) Sums { panic("nothing is opened") }), "the view is total", cmds},
		{func(v *sumsView) {
			v.Initial = func() Sums { return Sums{Totals: shared} }
			v.Evolve = func(v Sums, _ Event) Sums {
				shared["in"]++
				return v
			}
		}, "the start of the view is fresh", cmds},
		{func(*sumsView) {}, "the start of the view is fresh", cmds},
		{func(v *sumsView) {
			v.Evolve = func(v Sums, _ Event) Sums {
				n++
				v.Entries = n
				return v
			}
		}, "a rebuild gives the live view", cmds},
		{last, "a rebuild gives the live view", cmds},
		{last, "any order gives the same view", cmds},
		{last, "any order of streams gives the same view", cmds},
		{func(*sumsView) {}, "any order of streams gives the same view", cmds},
		{func(*sumsView) {}, "events may be redelivered", cmds},
		{last, "events may be redelivered", cmds},
		{func(v *sumsView) {
			v.Evolve = func(v Sums, e Event) Sums {
				if kind := kindOf(e); kind != v.Last {
					v.Last, v.Entries = kind, v.Entries+1
				}
				return v
			}
		}, "events may be redelivered", cmds},
	} {
		s := sums(tt.change).AnyOrder(kindOf).Redelivered()
		fmt.Fprintf(&says, "%d: %s\n\t%s\n", i+1, tt.law, strings.ReplaceAll(props.ViewBreach(t, s, tt.law, tt.cmds...), "\n", "\n\t"))
	}
	golden(t, "view_laws", normal(says.String()))
}
