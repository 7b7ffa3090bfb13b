// Package props checks deciders: it finds commands that break a law, and reports the
// shortest history it can find that does.
//
// A decider is a value that holds pure functions, so one line checks a lot. From samples
// of the commands, props makes histories. On them it checks that Decide and Evolve are
// total, deterministic and pure, that they share no memory, that replay gives the same
// state, and that every command leads to events at least once:
//
//	func TestAccount(t *testing.T) {
//		props.For(account.Decider).Any(Open{}, Deposit{}, Withdraw{}, Close{}).Check(t)
//	}
//
// Each law is a subtest. Then add a line for each thing that you know:
//
//	.Codec(account.Codec)                                // events survive encoding
//	.Snapshot(encode, decode)                            // states do too
//	.Invariant("balance is never negative", solvent)     // func(State) error
//	.Rule("a closed account decides nothing", frozen)    // func(Step) error
//	.Reaches("an overdraft is refused", refused)         // it must happen at least once
//	.Commands(func(t *rapid.T, s State) Command { … })   // commands that fit the state
//
// A failure shows the law, the history as a table of commands, events and changes, the
// scenario as Go code, and how to run it again. [Spec] is such a scenario, exact and
// ordered:
//
//	props.Spec(t, account.Decider).
//		Given(Opened{"ann"}, Deposited{5}).
//		When(Withdraw{3}).
//		Then(Withdrawn{3})
//
// # More than one decider
//
// The same histories also check what you build around a decider:
//
//   - [Same] compares it with a decider that must behave the same, such as before and
//     after a refactoring. [Refines] compares it with a simpler one that it implements in
//     more detail or contains as a part. [Against] compares it with a [Model], which has
//     no events.
//   - [Lens], [Embeds] and [Batches] check the functions that build larger deciders from
//     it: those that decider.Focus, decider.MapEvent and decider.Batch take or make.
//   - [Projects] checks a view of its events: it is pure and total, and gives the same
//     result however often and in whichever parts it is fed. [Process] checks a process.
//   - [Upcasts] checks that today's codec understands what an older [Release] wrote.
//     [Golden] checks that it understands stored files, and [Replay] that it understands
//     production events. [Lines] reads files of stored events, and [WriteLines] writes
//     them.
//
// # How histories are made
//
// Most commands are chosen so that Decide accepts them; some are taken at random. Half of
// the histories leave out some kinds of commands, and a quarter prefer the kinds that
// were used least, to get far. All laws share the histories: ten times as many as
// -rapid.checks says, or a fifth of that with -short. If a kind of command has never led
// to an event, or something that [Suite.Reaches] requires has not happened, props makes
// more histories, which continue from places that few histories reached: up to 10,000 or
// ten times as many as before, for at most a minute. Only then does it fail, and it
// reports how likely it is that chance is the cause.
//
// [Suite.Any] says which values are drawn. They include text that is not UTF-8: a codec
// may refuse it, because formats have no place for it, but must not alter it. They also
// include NaN and the infinities. If Decide accepts them and the codec cannot write them,
// that is a failure: let Decide reject them, or say with [Suite.Valid] that they cannot
// occur.
//
// If a function does not return for ten seconds, props reports it with its arguments and
// its history.
//
// The flags of pgregory.net/rapid work as they do for rapid.Check: -rapid.seed replays a
// failure, and a file in testdata/rapid/<name of the test> replays it at the beginning of
// each run, before anything else. The file stays when the test passes again, and another
// law that its history breaks later cites it: delete the files when you have fixed the
// cause, and keep testdata/rapid out of version control (**/testdata/rapid/ in
// .gitignore). The scenario outlives both: keep it as the regression test.
//
// Values are compared as they print: unexported fields count, nil and empty slices and
// maps are the same, times are compared as instants, functions and channels by type.
package props
