// Package processtest defines what package process promises, as laws that are checked on
// a log and a target, and helps you to test your own process.
//
// [Run] checks the laws, in a bubble of testing/synctest, so that hours of timers and
// retries take no time. Use it if you implement a store or a target.
//
// [Story] tests a process: what it sends, given what happened and how much time passed.
// [Crashes] tests that it sends the same wherever it crashes.
package processtest

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
)

// Setup is what a law is checked on: a log without events, and an empty target. They may
// be one store.
type Setup[T projection.Tx] struct {
	Log    process.Store
	Target projection.Target[T]
	// Sparse tries only one in eleven of the places where a run can crash. Use it for
	// stores whose transactions take milliseconds.
	Sparse bool
}

// Run checks every law of processes, each in a subtest, on what open returns. open is
// called in a bubble of testing/synctest, at least once for each law. It must return a
// new Setup each time, and register the release of its resources with t.Cleanup.
func Run[T projection.Tx](t *testing.T, open func(t *testing.T) Setup[T]) {
	t.Helper()
	for _, l := range laws[T]() {
		t.Run(l.id+" "+l.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if err := l.check(t, open, plant[T]{}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// law is a promise of processes.
type law[T projection.Tx] struct {
	id, name string
	holds    func(w *world[T]) error
}

func (l law[T]) check(t *testing.T, open func(t *testing.T) Setup[T], bug plant[T]) error {
	t.Helper()
	w := newWorld(t.Context(), func() Setup[T] { return open(t) }, bug)
	defer w.close()
	return l.holds(w)
}

// plant is a bug that the suite's own tests plant, to see that a law finds it. A nil
// function changes nothing.
type plant[T projection.Tx] struct {
	onLog     func(process.Store) process.Store
	onTarget  func(projection.Target[T]) projection.Target[T]
	onSend    func(send) send
	onRuntime func(*runtime[T]) *runtime[T]
}

func (p plant[T]) log(l process.Store) process.Store                  { return planted(p.onLog, l) }
func (p plant[T]) target(t projection.Target[T]) projection.Target[T] { return planted(p.onTarget, t) }

func (p plant[T]) send(s send) send { return planted(p.onSend, s) }

func (p plant[T]) runtime(r *runtime[T]) *runtime[T] { return planted(p.onRuntime, r) }

func planted[V any](bug func(V) V, v V) V {
	if bug == nil {
		return v
	}
	return bug(v)
}

// laws returns every law.
func laws[T projection.Tx]() []law[T] {
	return []law[T]{
		{"X1", "each command takes effect once, whatever crashes", effectOnce[T]},
		{"X2", "ids follow from the reaction and the content", idsFollow[T]},
		{"X3", "sent, then saved", sentThenSaved[T]},
		{"X4", "in order within an instance, in parallel between instances", inOrder[T]},
		{"X5", "each part of a split event counts by itself", watermark[T]},
		{"X6", "a failing instance keeps only its own inputs waiting", keepsItsOwn[T]},
		{"X7", "a permanent failure is quarantined at once, a send after its budget", quarantine[T]},
		{"X7", "release begins at the failing input, skip after it, abandon ends the instance", release[T]},
		{"X8", "a timer fires once", firesOnce[T]},
		{"X9", "a timer overtakes nothing", overtakesNothing[T]},
		{"X10", "a timer that was stopped does not reach the process", stale[T]},
		{"X11", "a timer counts once its commands are sent", firedThenSent[T]},
		{"X12", "an ended instance stays over", overIsOver[T]},
		{"X13", "a rebuild from the log gives the live state", rebuiltIsLive[T]},
		{"X14", "a new version takes over at one event", takesOver[T]},
		{"X15", "a rejection is an answer", rejection[T]},
		{"X16", "an unknown outcome is sent again under its id", unknownOutcome[T]},
		{"X17", "pending commands of a restored instance keep their ids", pendingAgain[T]},
		{"X18", "correlation is passed on, causation is the input", causation[T]},
		{"X19", "two owners and lost commits", twoOwners[T]},
	}
}

// answer describes how a call ended.
func answer(err error) string {
	if err == nil {
		return "success"
	}
	return err.Error()
}

// join returns the first error that is not nil.
func join(errs ...error) error { return errors.Join(errs...) }
