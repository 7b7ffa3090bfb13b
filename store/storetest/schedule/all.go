package schedule

import (
	"slices"
)

// explorer chooses the steps of one schedule after another, depth first, and skips
// schedules that equal an earlier one in a different order.
//
// Two steps of clients that share no memory commute if neither changes a store: both
// only read (a refused append does no more), or one reads and the other is an append
// that lands later. Schedules that differ only in the order of commuting steps form one
// class. Sleep sets (Godefroid, Partial-Order Methods for the Verification of
// Concurrent Systems, 1996, chapter 5) leave one schedule of each class. When all
// schedules that begin with step a of a node have been tried, a schedule that begins
// with the next step b, continues with steps that commute with a, and then takes a,
// equals a schedule that begins with a, which has been tried. So a sleeps after b,
// until a step that does not commute with it.
//
// Clients that are alike and have done nothing yet are interchangeable, so only the
// first of them may begin. A schedule in which another one begins is the same, with
// other names, as one in which the first one begins. This rule and the sleep sets do
// not remove each other's representatives. A sleeping step was tried in the node where
// it fell asleep, so the alike clients before its own had begun by then. Therefore the
// schedule in whose favor the current one is skipped does not let a later one of these
// clients begin first.
type explorer struct {
	path    []*node // the path of the current schedule
	repeats bool    // beyond the path, it equals another schedule in a different order
}

// chooser returns the index of the option that is the next step of s.
type chooser func(s *Sim, options []option) int

// node is a point of a schedule with several options.
type node struct {
	options []move
	at      int    // the index of the chosen option
	asleep  []done // steps that need not be taken
}

// move identifies an option; client is −1 if it belongs to no call.
type move struct {
	client int
	call   int // number of the call among the client's calls
	does   string
}

// done is a step that was taken, and its effect.
type done struct {
	move
	group  int // the clients that share memory with this one; -1 for none, or all
	effect effect
}

// effect is what a step does to the stores.
type effect int

const (
	reads     effect = iota // also of a call that is refused or down
	postpones               // of an append that lands later
	changes                 // changes the stores, or the time
)

// commutes reports whether d followed by o has the same effect as o followed by d.
func (d done) commutes(o done) bool {
	return d.group >= 0 && o.group >= 0 && d.group != o.group &&
		(d.effect == reads && o.effect != changes || o.effect == reads && d.effect != changes)
}

// choose is the chooser of the current schedule: it follows the path again, and then
// takes the first option that is not asleep.
func (x *explorer) choose(s *Sim, options []option) int {
	depth := len(s.taken)
	if depth < len(x.path) {
		return min(x.path[depth].at, len(options)-1)
	}
	if x.repeats {
		return 0
	}
	n := &node{}
	for _, o := range options {
		n.options = append(n.options, o.move)
	}
	if depth > 0 && !s.limits.every {
		last := s.taken[depth-1].done
		for _, d := range x.path[depth-1].asleep {
			if d.commutes(last) {
				n.asleep = append(n.asleep, d)
			}
		}
	}
	if x.repeats = !n.wake(0); x.repeats {
		return 0
	}
	x.path = append(x.path, n)
	return n.at
}

// next changes the path to that of the schedule after s; it returns false if there is
// none. A scenario that behaves differently each time can end before the path does.
func (x *explorer) next(s *Sim) bool {
	x.repeats = false
	x.path = x.path[:min(len(x.path), len(s.taken))]
	for len(x.path) > 0 {
		last := len(x.path) - 1
		n := x.path[last]
		n.asleep = append(n.asleep, s.taken[last].done)
		if n.wake(n.at + 1) {
			return true
		}
		x.path = x.path[:last]
	}
	return false
}

// wake selects the first option at or after from that is not asleep, if there is one.
func (n *node) wake(from int) bool {
	for i := from; i < len(n.options); i++ {
		if !slices.ContainsFunc(n.asleep, func(d done) bool { return d.move == n.options[i] }) {
			n.at = i
			return true
		}
	}
	return false
}
