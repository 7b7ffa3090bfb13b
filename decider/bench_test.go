package decider_test

import (
	"strconv"
	"testing"

	"github.com/evolvego/evolve/decider"
)

// entry is a sealed sum of three events, and amount the command.
type entry interface{ isEntry() }

type (
	opened    struct{}
	deposited struct{ Cents int }
	withdrawn struct{ Cents int }
	amount    int
)

func (opened) isEntry()    {}
func (deposited) isEntry() {}
func (withdrawn) isEntry() {}

func evolveEntry(balance int, e entry) int {
	switch e := e.(type) {
	case opened:
		return 0
	case deposited:
		return balance + e.Cents
	case withdrawn:
		return balance - e.Cents
	}
	return balance
}

var (
	account = decider.New(func(c amount, _ int) ([]entry, error) { return []entry{deposited{int(c)}}, nil }, evolveEntry)
	sink    int
)

func accountEvents(n int) []entry {
	evs := []entry{opened{}}
	for len(evs) < n {
		evs = append(evs, deposited{2 * len(evs)}, withdrawn{len(evs)})
	}
	return evs[:n]
}

func BenchmarkFold(b *testing.B) {
	evs := accountEvents(1000)
	perEvent := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(evs)), "ns/event")
	}
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := 0
			for _, e := range evs {
				s = evolveEntry(s, e)
			}
			sink = s
		}
		perEvent(b)
	})
	b.Run("decider", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = account.Fold(account.Start(), evs...)
		}
		perEvent(b)
	})
	two := decider.Union(nil, decider.Focus(account, getA, setA), decider.Focus(account, getB, setB))
	b.Run("union of two", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = two.Fold(two.Start(), evs...).A
		}
		perEvent(b)
	})
}

func BenchmarkStep(b *testing.B) {
	b.Run("decider", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink, _, _ = account.Step(5, sink)
		}
	})
	two := decider.Union(nil, decider.Focus(account, getA, setA), decider.Focus(decider.MapCommand(account, id[amount]), getB, setB))
	b.Run("union of two, both accept", func(b *testing.B) {
		b.ReportAllocs()
		var s both
		for b.Loop() {
			s, _, _ = two.Step(5, s)
		}
	})
}

func BenchmarkManyEvolve(b *testing.B) {
	many := decider.Many[int](account)
	for _, n := range []int{1, 10, 100} {
		s := many.Start()
		for k := range n {
			s = many.Evolve(s, decider.Keyed[int, entry]{Key: k, Value: opened{}})
		}
		b.Run(strconv.Itoa(n)+" keys", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s = many.Evolve(s, decider.Keyed[int, entry]{Key: 0, Value: deposited{1}})
			}
		})
	}
}
