// Package props checks deciders: it finds the commands that break a law, and
// says so with the shortest history it can.
//
// A decider is a value of pure functions, so one line checks a good deal. From
// samples of the commands, props makes histories, and on them checks that Decide
// and Evolve are total, deterministic and pure, that they share no memory, that
// replay gives the same state, and that every command leads to events at least once:
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
// A failure shows the law, the history as a table of commands, events and
// changes, the scenario as Go code, and how to see it again. [Spec] is such a
// scenario, exact and ordered:
//
//	props.Spec(t, account.Decider).
//		Given(Opened{"ann"}, Deposited{5}).
//		When(Withdraw{3}).
//		Then(Withdrawn{3})
//
// # More than one decider
//
// The same histories check what stands beside a decider:
//
//   - [Same] holds it against another one that must do the same, as before and after
//     a refactoring; [Refines] against a simpler one, of which it is a detailed form or
//     the whole around it; [Against] against a [Model], which has no events.
//   - [Lens], [Embeds] and [Batches] check the functions that build larger deciders
//     from it: those that decider.Focus, decider.MapEvent and decider.Batch take or make.
//   - [Projects] checks a view of its events: pure, total, the same however often and in
//     whichever parts it is fed; [Process] checks a process.
//   - [Upcasts] checks that what an older [Release] wrote is read as of today, [Golden]
//     that files of it still are, and [Replay] that the events of production are;
//     [Lines] and [WriteLines] read and write those.
//
// # How histories are made
//
// Most commands are chosen so that Decide accepts them, some as they come; half
// of the histories do without some kinds of commands, and a quarter prefer those that
// came least, to get far. All laws share the histories, ten times as many as
// -rapid.checks says (a fifth of it with -short). While a kind of command has never
// led to an event, or something has not happened that [Suite.Reaches] wants, more
// histories are made, which go on from where few have been: 10,000, or ten times as
// many as before, for a minute at most. Only then is it a failure, which says how
// likely chance is.
//
// [Suite.Any] says which values are drawn. Text that is not UTF-8 is among them: a
// codec may refuse it, because formats have no place for it, but must not alter it. NaN
// and the infinities are too. If Decide accepts them and the codec cannot write them,
// that is a failure: let Decide reject them, or say with [Suite.Valid] that they
// cannot come.
//
// A function that does not return for ten seconds is reported with its arguments and
// its history.
//
// The flags of pgregory.net/rapid work as they do for rapid.Check: -rapid.seed
// replays a failure, and a file in testdata/rapid replays it by itself until it
// passes. The scenario lasts longer than both: it is the regression test.
//
// Values are compared as they print: unexported fields count, nil and empty
// slices and maps are the same, times are compared as instants, functions and
// channels by type.
package props
