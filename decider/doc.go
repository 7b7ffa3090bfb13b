// Package decider is the functional core of evolve: aggregates, read models and
// processes as values made of pure functions. It needs the standard library only
// and knows no context, clock, store or codec.
//
// An aggregate is two functions, which [New] makes a [Decider]:
//
//	Decide(cmd, state) ([]Event, error)
//	Evolve(state, event) state
//
// Deciders compose: [Union] and [Compose] put several side by side, [Many] keys
// one by an id, [Batch] decides a list of commands as one, [Focus], [MapCommand],
// [MapEvent], [MapError] and [Adapt] fit one into a larger whole, and
// [WithProcess] closes a decider and a process into one decider. What is pure
// stays pure in all of them, and each says what Initial and Terminal become.
//
// A read model is a [View]; [Merge], [FocusView] and [MapViewEvent] compose views
// as Union, Focus and MapEvent do deciders.
//
// The pattern is Jérémie Chassaing's, "Functional Event Sourcing Decider",
// https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider.
package decider
