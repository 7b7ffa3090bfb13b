package schedule

import (
	"slices"
)

// explorer chooses the steps of one schedule after the other, depth first, and leaves out
// what is another schedule in another order.
//
// Two steps of clients that share no memory can change places if neither changes a store:
// both only read (an append that is refused does no more), or one reads and the other is an
// append that comes later. Schedules that become each other in this way are one class, and
// sleep sets (Godefroid, Partial-Order Methods for the Verification of Concurrent Systems,
// 1996, chapter 5) leave one of each: when all schedules after step a of a node have been
// tried, then those after the next step b need not begin with steps that can change places
// with a, followed by a: they equal a schedule that begins with a, and all of these were
// tried. So a sleeps after b, until a step that it cannot change places with.
//
// Of clients that are alike, those that have done nothing yet are the same, and only the
// first of them can begin. A schedule in which another begins is one in which the first
// does, with other names. This and the sleep sets do not leave out each other's
// representatives: what is asleep was tried in the node where it fell asleep, so the
// clients alike before its own had begun by then, and the schedule for which the one at
// hand is left out is not one in which a later of them begins before.
type explorer struct {
	path    []*node // of the schedule at hand
	repeats bool    // it is another one in another order, beyond the path
}

// chooser returns which of the options the next step of s is.
type chooser func(s *Sim, options []option) int

// node is a point of a schedule where there are options.
type node struct {
	options []move
	at      int    // which is taken
	asleep  []done // need not be taken
}

// move names an option; it is of nobody's call if client is −1.
type move struct {
	client int
	call   int // which of this client's
	does   string
}

// done is a step that was taken, with what came of it.
type done struct {
	move
	group  int // of clients that share memory; -1: of nobody, or all
	effect effect
}

// effect is what a step does to the stores.
type effect int

const (
	reads     effect = iota // or is refused, or is down
	postpones               // an append
	changes                 // the stores, or the time
)

// commutes reports whether d and o, one after the other, are the same as o and d.
func (d done) commutes(o done) bool {
	return d.group >= 0 && o.group >= 0 && d.group != o.group &&
		(d.effect == reads && o.effect != changes || o.effect == reads && d.effect != changes)
}

// choose is the chooser of the schedule at hand: it takes the path again, and goes on
// with the first option that is not asleep.
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

// next makes the path that of the next schedule after s; it is false if there is none.
// A scenario that did not do the same again can have ended before the path did.
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

// wake takes the first option from the given one on that is not asleep, if any.
func (n *node) wake(from int) bool {
	for i := from; i < len(n.options); i++ {
		if !slices.ContainsFunc(n.asleep, func(d done) bool { return d.move == n.options[i] }) {
			n.at = i
			return true
		}
	}
	return false
}
