package mutate

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/evolvego/evolve/decider"
)

type (
	Command struct{ IDs []string }
	State   struct {
		N      int
		At     time.Time
		Items  []string
		Counts map[string]int
		Carts  map[string]map[string]int
		Tags   map[string][]string
		Inner  Inner
		Ptr    *Inner
		Grid   [3]int
		Rows   [2][]int
	}
	Inner struct {
		Lines []Line
		Set   map[string]bool
	}
	Line struct {
		Qty  int
		Tags []string
	}
	Event interface{ isEvent() }
	Added struct {
		ID   string
		Tags []string
	}
	Removed struct{ ID string }
)

func (Added) isEvent()   {}
func (Removed) isEvent() {}

func view(evolve func(State, Event) State) decider.View[State, Event] {
	return decider.View[State, Event]{Evolve: evolve}
}

func Good() {
	_ = decider.View[State, Event]{Evolve: evolveGood}
	_ = decider.Decider[Command, State, Event]{EvolveInPlace: inPlaceGood}
	_ = decider.Decider[Command, State, Event]{EvolveInPlace: func(s *State, e Event) { *s = evolveGood(*s, e) }}
	_ = decider.View[State, Event]{Evolve: evolveHelpers}
	_ = decider.View[*State, Event]{Evolve: evolvePointer}
	_ = decider.View[State, Event]{Evolve: evolveLoops}
	_ = decider.View[State, Event]{Evolve: evolveBuild}
	_ = decider.View[map[string]int, Event]{Evolve: func(m map[string]int, e Event) map[string]int {
		next := make(map[string]int, len(m)+1)
		maps.Copy(next, m)
		next["a"]++
		return next
	}}
	_ = decider.New(decideGood, evolveGood)
}

func decideGood(c Command, s State) ([]Event, error) {
	ids := slices.Clone(c.IDs)
	sort.Strings(ids)
	ids = append(ids, "x")
	s.N++ // a copy
	s.Grid[0] = 1
	s.Counts = nil
	var events []Event
	for _, id := range slices.Sorted(maps.Keys(s.Counts)) {
		events = append(events, Removed{id})
	}
	sorted := append([]string(nil), c.IDs...)
	slices.Sort(sorted)
	seen := map[string]bool{}
	for _, id := range c.IDs {
		seen[id] = true
		line := Line{Tags: s.Items}
		line.Qty++
	}
	slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.(Removed).ID, b.(Removed).ID) })
	return events, nil
}

func evolveGood(s State, e Event) State {
	s.N++
	s.Grid[1] = 2
	switch e := e.(type) {
	case Added:
		e.ID = "mine"
		s.Counts = maps.Clone(s.Counts)
		s.Counts[e.ID]++
		s.Items = append(slices.Clip(s.Items), e.ID)
		s.Items = append(s.Items, e.ID)
		s.Carts = maps.Clone(s.Carts)
		s.Carts[e.ID] = maps.Clone(s.Carts[e.ID])
		s.Carts[e.ID]["sku"] = 1
		s.Tags = maps.Clone(s.Tags)
		s.Tags[e.ID] = slices.Concat(s.Tags[e.ID], e.Tags)
		s.Tags[e.ID] = append(s.Tags[e.ID], "x")
		s.Inner.Lines = slices.Clone(s.Inner.Lines)
		s.Inner.Lines[0].Qty++
		s.Inner.Lines = slices.DeleteFunc(s.Inner.Lines, func(l Line) bool { return l.Qty == 0 })
		s.Rows[0] = append(s.Rows[0][:1:1], 2)
	case Removed:
		if s.Counts == nil {
			s.Counts = map[string]int{}
		} else {
			s.Counts = maps.Clone(s.Counts)
		}
		delete(s.Counts, e.ID)
		p := *s.Ptr
		p.Set = nil
		s.Ptr = &p
		s.Ptr.Set = map[string]bool{}
		s.Ptr.Set["a"] = true
		s.Items = slices.DeleteFunc(slices.Clone(s.Items), func(x string) bool { return x == e.ID })
	}
	return s
}

func evolveHelpers(s State, e Event) State {
	s.Counts = with(s.Counts, "a", 1)
	s.Counts["b"] = 2
	s.touch()
	s.own()
	s.Carts["a"] = nil
	s.Inner.own()
	s.Inner.Set["a"] = true
	ownIn(&s.Inner)
	s.Inner.Lines[0] = Line{}
	a, b := split(s)
	a["x"], b.N = 1, 2
	s = reset(s)
	s.Items[0] = "x"
	next := &s
	next.Tags = maps.Clone(next.Tags)
	s.Tags["a"] = nil
	return *next
}

func (s *State) touch() { s.N++; s.At = time.Time{} }

func (s *State) own() { s.Carts = maps.Clone(s.Carts) }

func (i *Inner) own() { i.Set = maps.Clone(i.Set) }

func ownIn(i *Inner) { i.Lines = slices.Clone(i.Lines) }

func with(m map[string]int, k string, v int) map[string]int {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]int{}
	}
	m[k] = v
	return m
}

func split(s State) (counts map[string]int, rest State) {
	counts = maps.Clone(s.Counts)
	rest = s
	return
}

func reset(s State) State {
	s.Items = slices.Clone(s.Items)
	return s
}

func evolvePointer(s *State, e Event) *State {
	next := *s
	next.N++
	next.Items = slices.Concat(next.Items, []string{"a"})
	slices.Sort(next.Items)
	clone := s.Clone()
	clone.N++
	clone.Counts["a"] = 1
	fresh := new(State)
	fresh.N = s.N
	return &next
}

func (s *State) Clone() *State {
	c := *s
	c.Counts = maps.Clone(s.Counts)
	return &c
}

func evolveLoops(s State, e Event) State {
	lines := make([]Line, 0, len(s.Inner.Lines))
	for _, l := range s.Inner.Lines {
		l.Qty++
		lines = append(lines, l)
	}
	lines[0].Qty = 1
	s.Inner.Lines = lines
	if s.Counts != nil {
		s.Counts = maps.Clone(s.Counts)
	}
	for i := range 3 {
		if i == 1 {
			continue
		}
		s.Counts["a"] = i
	}
	var out []string
	for _, x := range s.Items {
		if x == "" {
			break
		}
		out = append(out, bytes.NewBufferString(x).String())
	}
	s.Items = out
	for len(s.Items) > 0 {
		s.Items = s.Items[1:]
	}
	return s
}

func evolveBuild(s State, e Event) State {
	next := State{Counts: maps.Clone(s.Counts), Items: s.Items}
	next.Counts["a"] = 1
	p := &State{Tags: maps.Clone(s.Tags), Inner: s.Inner}
	p.Tags["a"] = nil
	p.Items = append(p.Items, "a")
	if e == nil {
		panic("no event")
	}
	next.Items = slices.Insert(slices.Clip(next.Items), 0, "a")
	next.Items = slices.AppendSeq(next.Items, maps.Keys(s.Counts))
	func() { next.Counts["b"] = 1 }()
	return next
}

func inPlaceGood(s *State, e Event) {
	s.N, s.Grid[0] = 1, 2
	s.Inner.Lines = nil
	switch e := e.(type) {
	case Added:
		s.Items = append(slices.Clip(s.Items), e.ID)
		s.Counts = maps.Clone(s.Counts)
		s.Counts[e.ID]++
	case Removed:
		next := *s
		next.Ptr = &Inner{}
		next.Ptr.Lines = nil
		*s = next
	}
	s.reset()
}

func (s *State) reset() { s.N = 0 }
