package props_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// TestDrawPanics checks what the functions that draw refuse.
func TestDrawPanics(t *testing.T) {
	t.Parallel()
	one := rapid.Just(1)
	for want, draw := range map[string]func(){
		"props: the suite has no commands: add Any or Commands": func() { props.For(account()).Example(1) },
		"props: Pick of 0":                        func() { props.Pick(nil, 0) },
		"props: Weighted with a weight of -1":     func() { props.Weighted(props.Weight[int]{2, one}, props.Weight[int]{-1, one}) },
		"props: Weighted without weights":         func() { props.Weighted(props.Weight[int]{0, one}) },
		"props: As: int is not a fmt.Stringer":    func() { props.As[fmt.Stringer](one).Example(1) },
		"props: As: int is not a props_test.lend": func() { props.As[lend](one).Example(1) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("it panics with %q, want %q", got, want)
				}
			}()
			draw()
		}()
	}
}

// TestWeighted checks that a choice without a weight is never used, and that the others
// are used in proportion.
func TestWeighted(t *testing.T) {
	t.Parallel()
	weighted := props.Weighted(props.Weight[int]{0, rapid.Just(0)}, props.Weight[int]{1, rapid.Just(1)}, props.Weight[int]{3, rapid.Just(2)})
	var drawn [3]int
	for seed := range 1000 {
		drawn[weighted.Example(seed)]++
	}
	if drawn[0] != 0 || drawn[1] < 200 || drawn[1] > 300 {
		t.Errorf("of a thousand values, weights of 0, 1 and 3 give %v", drawn)
	}
}

// TestTable checks that the tables differ in everything that a decider can do, that the
// functions of each are pure, and what they do with numbers that they do not know.
func TestTable(t *testing.T) {
	t.Parallel()
	tables := rapid.Custom(props.Table)
	starts, states, decided := map[int]bool{}, map[[3]int]bool{}, map[string]bool{}
	for seed := range 200 {
		d := tables.Example(seed)
		starts[d.Start()] = true
		for s := range 4 {
			for e := range 3 {
				states[[3]int{s, e, d.Evolve(s, e)}] = true
			}
			for c := range 4 {
				events, err := d.Decide(c, s)
				decided[fmt.Sprint(len(events), err == nil, errors.Is(err, decider.ErrUnhandled))] = true
				was := fmt.Sprint(events)
				for i := range events {
					events[i]++ // its caller owns the list
				}
				if now, _ := d.Decide(c, s); fmt.Sprint(now) != was {
					t.Fatalf("command %d on %d decided %s, and then %v", c, s, was, now)
				}
			}
		}
		for _, unknown := range []struct{ c, s int }{{-1, 0}, {4, 0}, {0, -1}, {0, 4}} {
			if events, err := d.Decide(unknown.c, unknown.s); len(events) > 0 || !errors.Is(err, decider.ErrUnhandled) {
				t.Errorf("the unknown command or state %+v decides %v, %v", unknown, events, err)
			}
		}
		for _, unknown := range []struct{ s, e int }{{-1, 0}, {4, 0}, {0, -1}, {0, 3}} {
			if next := d.Evolve(unknown.s, unknown.e); next != unknown.s {
				t.Errorf("the unknown state or event %+v leads to %d", unknown, next)
			}
		}
	}
	if len(starts) != 4 || len(states) != 4*3*4 || len(decided) != 4 || !decided["0 false false"] || !decided["2 true false"] {
		t.Errorf("the tables begin at %v, reach %v, and decide %v", starts, states, decided)
	}
}
