// Package runnertest is the definition of a runner: of the loop that loads a
// stream, decides a command on the state and appends the events. [Run] checks any
// runner, however it is made, clause by clause: with faults, conflicts, late answers
// and panics at exact points, and in simulations in which the suite chooses who goes
// next.
//
// The runner gets deciders of the suite ([Account] and random ones) on a memory store
// that can fail. It is used through the methods of [System].
package runnertest
