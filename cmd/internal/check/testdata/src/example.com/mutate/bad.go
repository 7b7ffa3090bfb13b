package mutate

import (
	"maps"
	"slices"
	"sort"

	"github.com/evolvego/evolve/decider"
)

func Bad() {
	_ = decider.New(decideBad, evolveBad)
	_ = decider.View[*State, Event]{Evolve: evolvePointerBad}
	_ = decider.View[State, Event]{Evolve: evolveFlow}
	_ = decider.View[State, Event]{Evolve: evolveThrough}
	_ = decider.View[map[string]int, Event]{Evolve: func(m map[string]int, e Event) map[string]int {
		m["a"]++ // want `Evolve must not change the state, but writes to m`
		return m
	}}
	_ = decider.Process[Event, State, Command]{
		React: func(s State, e Event) decider.Reaction[Command, Event] {
			clear(s.Counts) // want `React must not change the state, but clears s.Counts`
			return decider.Reaction[Command, Event]{}
		},
		Pending: func(s State) []Command {
			s.Items[0] = "" // want `Pending must not change the state, but writes to s.Items`
			return nil
		},
	}
	_ = decider.Focus(decider.New(decideBad, evolveBad), get, func(s State, part State) State {
		s.Ptr.Set = part.Ptr.Set // want `the function given to decider.Focus must not change its argument s, but writes to s.Ptr`
		return s
	})
	_ = decider.View[State, Event]{Evolve: evolveInsert}
	_ = decider.Of(&account{})
	_ = decider.Decider[Command, State, Event]{EvolveInPlace: inPlaceBad}
}

func inPlaceBad(s *State, e Event) {
	s.N++
	s.Grid[0] = 1
	switch e := e.(type) {
	case Added:
		s.Items = append(s.Items, e.ID) // want `inPlaceBad, the EvolveInPlace of a Decider, must not change what the state refers to, but appends to s.Items`
		e.Tags[0] = "x"                 // want `must not change the event, but writes to e.Tags`
		s.Counts[e.ID]++                // want `must not change what the state refers to, but writes to s.Counts`
	case Removed:
		s.Ptr.Lines = nil // want `must not change what the state refers to, but writes to s.Ptr`
		count(s.Counts)   // want `must not change what the state refers to, but calls count, which writes to m`
	}
}

func count(m map[string]int) { m["a"]++ }

func get(s State) State {
	sort.Strings(s.Items) // want `get, given to decider.Focus, must not change its argument s, but sorts s.Items`
	return s
}

func decideBad(c Command, s State) ([]Event, error) {
	slices.Sort(c.IDs) // want `decideBad, the Decide of a Decider, must not change the command, but sorts c.IDs`
	c.IDs = append(c.IDs, "x")
	s.Counts["a"] = 1 // want `must not change the state, but writes to s.Counts`
	ids := s.Items[:0]
	ids = append(ids, "y")                                                                 // want `must not change the state, but appends to ids`
	s.Inner.Lines[0].Qty++                                                                 // want `writes to s.Inner.Lines`
	s.Rows[1][0] = 1                                                                       // want `writes to s.Rows\[1\]`
	sort.Sort(sort.StringSlice(s.Tags["a"]))                                               // want `sorts s.Tags\["a"\]`
	s.Items = slices.DeleteFunc(s.Items, func(x string) bool { return x == "" })           // want `moves the elements of s.Items`
	copy(s.Rows[0], []int{1})                                                              // want `copies into s.Rows\[0\]`
	maps.Copy(s.Inner.Set, map[string]bool{})                                              // want `writes to s.Inner.Set`
	s.Ptr.Lines = nil                                                                      // want `writes to s.Ptr`
	_ = slices.IndexFunc(s.Items, func(x string) bool { s.Carts["a"] = nil; return true }) // want `writes to s.Carts`
	return nil, nil
}

func evolveBad(s State, e Event) State {
	switch e := e.(type) {
	case Added:
		e.Tags[0] = "x"                 // want `must not change the event, but writes to e.Tags`
		s.Items = append(s.Items, e.ID) // want `must not change the state, but appends to s.Items`
		s.Items = append(s.Items, e.ID)
		s.Carts = maps.Clone(s.Carts)
		s.Carts[e.ID]["sku"] = 1 // want `writes to s.Carts\[e.ID\]`
		tags := maps.Clone(s.Tags)
		tags["a"] = append(tags["a"], "") // want `appends to tags\["a"\]`
		m := s.Counts
		m["a"] = 1 // want `writes to m`
	case *Removed:
		e.ID = "other" // want `must not change the event, but writes to e`
	case Removed:
		delete(s.Counts, e.ID) // want `must not change the state, but deletes from s.Counts`
		s.Tags["a"] = nil      //decidervet:ignore nobody else holds it
		for _, l := range s.Inner.Lines {
			l.Tags[0] = "x" // want `writes to l.Tags`
		}
		s.Ptr.Lines[0].Tags = nil // want `writes to s.Ptr.Lines`
	}
	return s
}

func (*Removed) ptr() {}

func evolvePointerBad(s *State, e Event) *State {
	s.N++ // want `must not change the state, but writes to s`
	next := *s
	next.Counts["a"] = 1 // want `writes to next.Counts`
	n := &next
	n.Tags["a"] = nil          // want `writes to n.Tags`
	(*n).Inner.Set["a"] = true // want `writes to \(\*n\).Inner.Set`
	return n
}

func evolveFlow(s State, e Event) State {
	if s.Counts == nil {
		s.Counts = map[string]int{}
	}
	s.Counts["a"] = 1 // want `writes to s.Counts`
	for i := 0; i < 2; i++ {
		if i > 0 {
			s.Items[0] = "b" // want `writes to s.Items`
		}
	}
	inner := s.Inner
	next := State{Inner: inner}
	next.Inner.Set["a"] = true // want `writes to next.Inner.Set`
	lines := []Line{}
	lines = append(lines, s.Inner.Lines...)
	lines[0].Qty++
	lines[0].Tags[0] = "x" // want `writes to lines\[0\].Tags`
	return s
}

func evolveThrough(s State, e Event) State {
	put(s.Counts, "a")       // want `must not change the state, but calls put, which writes to m`
	s.set()                  // want `calls s.set, which writes to s.Tags`
	s.Inner.add()            // want `calls s.Inner.add, which appends to i.Lines`
	first(s).Set["a"] = true // want `writes to first\(s\).Set`
	s.Carts = same(s.Carts)
	s.Carts["a"] = nil   // want `writes to s.Carts`
	deep(&s)             // want `calls deep, which writes to m`
	variadic(s.Items...) // want `calls variadic, which writes to all`
	(*State).rows(&s)    // want `calls \(\*State\).rows, which writes to s.Rows\[0\]`
	return s
}

func evolveInsert(s State, e Event) State {
	s.Items = slices.Insert(s.Items, 0, "a")                         // want `appends to s.Items`
	s.Rows[0] = slices.AppendSeq(s.Rows[0], slices.Values([]int{1})) // want `appends to s.Rows\[0\]`
	for n := s.Ptr; n != nil; {
		n.Lines[0].Tags, n = nil, n // want `writes to n.Lines`
	}
	return s
}

func put(m map[string]int, k string) { m[k] = 1 }

func (s *State) set() { s.Tags["a"] = nil }

func (s *State) rows() { s.Rows[0][0] = 1 }

func (i *Inner) add() { i.Lines = append(i.Lines, Line{}) }

func first(s State) *Inner { return s.Ptr }

func same(m map[string]map[string]int) map[string]map[string]int { return m }

func deep(s *State) { inner(s) }

func inner(s *State) { put2(s.Inner.Set) }

func put2(m map[string]bool) { m["a"] = true }

func variadic(all ...string) { all[0] = "" }

type account struct{ n int }

func (a *account) Decide(c Command, s State) ([]Event, error) {
	a.n++ // want `Decide must not change its receiver, but writes to a`
	return nil, nil
}

func (a *account) Evolve(s State, e Event) State { return s }
