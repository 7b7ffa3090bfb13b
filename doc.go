// Package evolve is event sourcing from two pure functions, Decide and Evolve.
// It has no code of its own; begin with one of
//
//   - [github.com/evolvego/evolve/decider]: the functional core
//   - [github.com/evolvego/evolve/decider/runner]: the core on a store
//   - [github.com/evolvego/evolve/decider/projection]: read models from events
//   - [github.com/evolvego/evolve/decider/process]: commands from events
//   - [github.com/evolvego/evolve/props]: property tests of the core
//   - [github.com/evolvego/evolve/store]: what a store is
package evolve
