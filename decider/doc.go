// Package decider is the functional core of evolve: aggregates, read models and processes
// as values made of pure functions. It needs only the standard library and has no
// context, clock, store or codec.
//
// An aggregate is two functions, from which [New] makes a [Decider]:
//
//	Decide(cmd, state) ([]Event, error)
//	Evolve(state, event) state
//
// Deciders compose: [Union] and [Compose] put several side by side, [Many] keys one by an
// id, [Batch] decides a list of commands as one, [Focus], [MapCommand], [MapEvent],
// [MapError] and [Adapt] fit one into a larger whole, and [WithProcess] combines a
// decider and a process into one decider. The results are pure if their parts are, and
// each combinator documents its Initial and Terminal.
//
// A read model is a [View]. [Merge], [FocusView] and [MapViewEvent] compose views as
// Union, Focus and MapEvent compose deciders.
//
// The pattern is Jérémie Chassaing's, "Functional Event Sourcing Decider",
// https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider.
package decider
