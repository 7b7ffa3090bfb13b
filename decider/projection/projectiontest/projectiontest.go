package projectiontest

import (
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// World is a log and a target that nobody else uses.
type World[T projection.Tx] struct {
	// Store is a store with a log, which the suite appends to.
	Store interface {
		store.Store
		store.Log
	}
	// Target is where read models are. It need not be the Store.
	Target projection.Target[T]
	// Reopen closes Store and Target and opens them again, with what is in them. Nil
	// if they cannot be.
	Reopen func(t *testing.T) World[T]
	// Neighbor is another tenant of the same Store and Target; it may be nil.
	Neighbor *World[T]
	// Virtual says that neither does any input or output, so that the suite runs in
	// the virtual time of testing/synctest. More is checked then.
	Virtual bool
}

// Run checks that projections into a target keep their promises, each in a subtest of its
// own that runs in parallel with the others. open returns a new, empty World for each
// subtest, and leaves to t.Cleanup what must be released. With -short it repeats less.
//
// The suite writes documents only, so a target of your own needs no SQL for it.
func Run[T projection.Tx](t *testing.T, open func(t *testing.T) World[T]) {
	t.Helper()
	run(t, open, clauses[T]())
}

// RunInline checks projection.Inline on a Store that is the Target too.
func RunInline[T projection.AppendTx](t *testing.T, open func(t *testing.T) World[T]) {
	t.Helper()
	run(t, open, inlineClauses[T]())
}

// clause is a promise.
type clause[T projection.Tx] struct {
	name    string
	virtual bool // it can be checked in virtual time only
	check   func(f *fixture[T])
}

func run[T projection.Tx](t *testing.T, open func(t *testing.T) World[T], clauses []clause[T]) {
	t.Helper()
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			switch {
			case w.Virtual:
				synctest.Test(t, func(t *testing.T) {
					c.check(newFixture(t, open(t)))
				})
			case c.virtual:
				t.Skip("needs virtual time: " + c.name)
			default:
				c.check(newFixture(t, w))
			}
		})
	}
}

func clauses[T projection.Tx]() []clause[T] {
	return []clause[T]{
		{name: "every event is in the read model once, whatever fails", check: (*fixture[T]).once},
		{name: "a checkpoint that is refused leaves nothing behind", check: (*fixture[T]).fenced},
		{name: "what is remembered changes after the commit", check: (*fixture[T]).undone},
		{name: "what another owner applied is not applied again", check: (*fixture[T]).overtaken},
		{name: "an unknown outcome is settled by the checkpoint", check: (*fixture[T]).lost},
		{name: "batches of any size make the same read model", check: (*fixture[T]).batches},
		{name: "what is before a failing event is committed, and nothing after it", check: (*fixture[T]).before},
		{name: "a failing event blocks, visibly, until its handler works", check: (*fixture[T]).blocks},
		{name: "parking keeps later events of the key waiting, and others go on", check: (*fixture[T]).parks},
		{name: "unparking is in order, and new events of the key wait behind", check: (*fixture[T]).unparks},
		{name: "an event that fails again leaves the rest parked", check: (*fixture[T]).failsAgain},
		{name: "no more keys are parked than allowed", check: (*fixture[T]).parksFew},
		{name: "pure failures are parked at once, others after a while", check: (*fixture[T]).permanent},
		{name: "the end of the context is no failure", check: (*fixture[T]).ended},
		{name: "progress covers what does not concern the projection", check: (*fixture[T]).covers},
		{name: "the checkpoint moves over what does not concern the projection", check: (*fixture[T]).movesOver},
		{name: "event types that are new must not be behind the checkpoint", check: (*fixture[T]).grows},
		{name: "an older program does not pass over in silence what a newer one reads", check: (*fixture[T]).passesOver},
		{name: "versions are apart", check: (*fixture[T]).versions},
		{name: "setup runs once", check: (*fixture[T]).setsUpOnce},
		{name: "a setup that fails ends Run", check: (*fixture[T]).setupFails},
		{name: "a new version is ready once, and not before it has what readers see", check: (*fixture[T]).ready},
		{name: "an older version does not take readers back", check: (*fixture[T]).notBack},
		{name: "a version that is retired is gone, and stays so", check: (*fixture[T]).retires},
		{name: "one owner works while leases hold, and hands over", check: (*fixture[T]).owners},
		{name: "an owner that cannot extend its lease stops", virtual: true, check: (*fixture[T]).losesLease},
		{name: "who waits sees what it waited for", check: (*fixture[T]).waits},
		{name: "who waits is told why it would wait in vain", check: (*fixture[T]).waitsInVain},
		{name: "progress never goes back, and is not live while an event fails", check: (*fixture[T]).progress},
		{name: "the lag is the age of the oldest event that waits", virtual: true, check: (*fixture[T]).lag},
		{name: "a checkpoint of another log is refused, and nothing is written", check: (*fixture[T]).diverged},
		{name: "memory is bounded, whatever the backlog", check: (*fixture[T]).bounded},
		{name: "transactions become as long as they may, and no longer", virtual: true, check: (*fixture[T]).adapts},
		{name: "Run returns when its context ends, and goes on when called again", check: (*fixture[T]).stops},
		{name: "what is closed and opened again goes on", check: (*fixture[T]).reopened},
		{name: "a part of a source sees only its own names", check: (*fixture[T]).parts},
		{name: "documents are loaded and saved once in a transaction", check: (*fixture[T]).documents},
		{name: "tenants are apart", check: (*fixture[T]).tenants},
		{name: "effects are delivered at least once, in order, and not again because of others", check: (*fixture[T]).delivers},
		{name: "effects begin at the end of the log", check: (*fixture[T]).deliversNews},
		{name: "an event of a newer schema is left to a newer program", check: (*fixture[T]).newer},
		{name: "partitions share the keys", check: (*fixture[T]).partitions},
		{name: "code of users that panics harms nobody else", check: (*fixture[T]).panics},
	}
}
