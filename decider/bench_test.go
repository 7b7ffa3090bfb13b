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
	b.Run("handwritten", func(b *testing.B) {
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

// A state of more than 32 bytes is returned through memory.
type (
	wide struct {
		Owner   string
		Balance int
		Moves   int
		Open    bool
	}
	wider struct {
		wide
		Rest [7]int
	}
)

func (s *wide) evolve(e entry) {
	s.Moves++
	switch e := e.(type) {
	case opened:
		s.Open = true
	case deposited:
		s.Balance += e.Cents
	case withdrawn:
		s.Balance -= e.Cents
	}
}

// BenchmarkFoldWide folds states of 40 and 96 bytes, with Evolve and in place.
func BenchmarkFoldWide(b *testing.B) {
	b.Run("40", benchmarkWide(func(s wide, e entry) wide { s.evolve(e); return s }, (*wide).evolve))
	b.Run("96", benchmarkWide(func(s wider, e entry) wider { s.evolve(e); return s }, func(s *wider, e entry) { s.evolve(e) }))
}

func benchmarkWide[S any](evolve func(S, entry) S, inPlace func(*S, entry)) func(*testing.B) {
	evs := accountEvents(1000)
	d := decider.New(func(amount, S) ([]entry, error) { return nil, nil }, evolve)
	return func(b *testing.B) {
		run := func(name string, fold func() S) {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					fold()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(evs)), "ns/event")
			})
		}
		run("handwritten", func() (s S) {
			for _, e := range evs {
				s = d.Evolve(s, e)
			}
			return s
		})
		run("decider", func() S { return d.Fold(d.Start(), evs...) })
		d := d
		d.EvolveInPlace = inPlace
		run("in place", func() S { return d.Fold(d.Start(), evs...) })
	}
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
