package mutatefix

import (
	"fmt"
	"sort"

	"github.com/evolvego/evolve/decider"
)

type (
	State struct {
		Items  []string
		Counts map[string]int
		Carts  map[string]map[string]int
	}
	Event struct{ ID string }
)

func Views() []decider.View[State, Event] {
	return []decider.View[State, Event]{{Evolve: grouped}, {Evolve: single}, {Evolve: shadowed}, {Evolve: noFix}}
}

func grouped(s State, e Event) State {
	fmt.Sprint(e)
	if e.ID != "" {
		s.Counts[e.ID]++ // want `writes to s.Counts`
		s.Counts["b"] = 1
	}
	switch e.ID {
	case "a":
		s.Items = append(s.Items, e.ID) // want `appends to s.Items`
	case "b":
		sort.Strings(s.Items) // want `sorts s.Items`
	}
	delete(s.Carts, e.ID) // want `deletes from s.Carts`
	s.Carts["a"]["b"] = 1 // want `writes to s.Carts\["a"\]`
	return s
}

func shadowed(s State, e Event) State {
	maps := 1
	s.Counts[e.ID] = maps // want `writes to s.Counts`
	return s
}

func noFix(s State, e Event) State {
	put(s.Counts) // want `calls put, which writes to m`
	return s
}

func put(m map[string]int) { m["a"] = 1 }
