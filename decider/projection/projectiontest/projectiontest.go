package projectiontest

import (
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// World is a log and a target that nothing else uses.
type World[T projection.Tx] struct {
	// Store is a store with a log, which the suite appends to.
	Store interface {
		store.Store
		store.Log
	}
	// Target is where read models are stored. It need not be the Store.
	Target projection.Target[T]
	// Reopen closes Store and Target and opens them again with their contents. It is nil
	// if that is not possible.
	Reopen func(t *testing.T) World[T]
	// Neighbor is another tenant of the same Store and Target. It may be nil.
	Neighbor *World[T]
	// Virtual says that Store and Target do no input or output, so that the suite runs in
	// the virtual time of testing/synctest and checks more.
	Virtual bool
}

// Run checks that projections into a target keep their promises, each in a subtest of its
// own that runs in parallel with the others. open returns a new, empty World for each
// subtest, and registers its release with t.Cleanup. With -short it repeats less.
//
// The suite writes only documents, so a target of your own needs no SQL for it.
func Run[T projection.Tx](t *testing.T, open func(t *testing.T) World[T]) {
	t.Helper()
	run(t, open, clauses[T]())
}

// RunInline checks projection.Inline on a Store that is also the Target.
func RunInline[T projection.AppendTx](t *testing.T, open func(t *testing.T) World[T]) {
	t.Helper()
	run(t, open, inlineClauses[T]())
}

// clause is a promise.
type clause[T projection.Tx] struct {
	name    string
	virtual bool // needs virtual time
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
		{name: "a refused checkpoint leaves nothing behind", check: (*fixture[T]).fenced},
		{name: "memory changes only after the commit", check: (*fixture[T]).undone},
		{name: "events that another owner applied are not applied again", check: (*fixture[T]).overtaken},
		{name: "an unknown outcome is settled by the checkpoint", check: (*fixture[T]).lost},
		{name: "batches of any size make the same read model", check: (*fixture[T]).batches},
		{name: "events before a failing event are committed, and none after it", check: (*fixture[T]).before},
		{name: "a failing event blocks, visibly, until its handler works", check: (*fixture[T]).blocks},
		{name: "parking makes later events of the key wait, and others continue", check: (*fixture[T]).parks},
		{name: "unparking is in order, and new events of the key wait their turn", check: (*fixture[T]).unparks},
		{name: "an event that fails again leaves the rest parked", check: (*fixture[T]).failsAgain},
		{name: "no more keys are parked than allowed", check: (*fixture[T]).parksFew},
		{name: "permanent failures are parked at once, others after a while", check: (*fixture[T]).permanent},
		{name: "the end of the context is not a failure", check: (*fixture[T]).ended},
		{name: "progress covers events that do not concern the projection", check: (*fixture[T]).covers},
		{name: "the checkpoint moves over events that do not concern the projection", check: (*fixture[T]).movesOver},
		{name: "newly read event types must not be behind the checkpoint", check: (*fixture[T]).grows},
		{name: "an older program does not silently pass over events that a newer one reads", check: (*fixture[T]).passesOver},
		{name: "versions are independent", check: (*fixture[T]).versions},
		{name: "setup runs once", check: (*fixture[T]).setsUpOnce},
		{name: "a setup that fails ends Run", check: (*fixture[T]).setupFails},
		{name: "a new version is ready once, and not before it has caught up with what readers see", check: (*fixture[T]).ready},
		{name: "an older version does not take readers back", check: (*fixture[T]).notBack},
		{name: "a retired version stays retired", check: (*fixture[T]).retires},
		{name: "one owner works while its lease holds, and hands over", check: (*fixture[T]).owners},
		{name: "an owner that cannot extend its lease stops", virtual: true, check: (*fixture[T]).losesLease},
		{name: "a reader sees what it waited for", check: (*fixture[T]).waits},
		{name: "waiting for the impossible is an error", check: (*fixture[T]).waitsInVain},
		{name: "progress never goes back, and is not live while an event fails", check: (*fixture[T]).progress},
		{name: "the lag is the age of the oldest event that waits", virtual: true, check: (*fixture[T]).lag},
		{name: "a checkpoint of another log is refused, and nothing is written", check: (*fixture[T]).diverged},
		{name: "memory is bounded, whatever the backlog", check: (*fixture[T]).bounded},
		{name: "transactions grow as long as allowed, and no longer", virtual: true, check: (*fixture[T]).adapts},
		{name: "Run returns when its context ends, and continues when called again", check: (*fixture[T]).stops},
		{name: "a projection continues after its store is reopened", check: (*fixture[T]).reopened},
		{name: "a part of a source sees only its own names", check: (*fixture[T]).parts},
		{name: "documents are loaded and saved once in a transaction", check: (*fixture[T]).documents},
		{name: "tenants are isolated", check: (*fixture[T]).tenants},
		{name: "effects are delivered at least once, in order, and not again because another one fails", check: (*fixture[T]).delivers},
		{name: "effects begin at the end of the log", check: (*fixture[T]).deliversNews},
		{name: "an event of a newer schema is left to a newer program", check: (*fixture[T]).newer},
		{name: "partitions share the keys", check: (*fixture[T]).partitions},
		{name: "a panic in user code harms nothing else", check: (*fixture[T]).panics},
	}
}
