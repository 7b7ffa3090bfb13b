// Package runnertest is the definition of a runner: of the loop that loads a
// stream, decides a command on the state and appends the events. [Run] checks it
// for any runner, however it is made, clause by clause: with faults, conflicts and
// late answers at exact points, and in simulations where it chooses who goes next.
//
// The runner is given deciders of the suite's own ([Account] and random ones) on a
// memory store that can fail. It says what it can do by the methods of [System].
package runnertest
