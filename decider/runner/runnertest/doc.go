// Package runnertest defines what a runner is: a loop that loads a stream, decides a
// command on the state and appends the events. [Run] checks any runner, however it is
// made, clause by clause: with faults, conflicts, late answers and panics at exact
// points, and in simulations in which the suite chooses the order of the steps.
//
// The suite gives the runner deciders of its own ([Account] and random ones) on a memory
// store that can fail. It calls the runner through the methods of [System].
package runnertest
