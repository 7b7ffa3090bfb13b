package runnertest

import (
	"context"
	"slices"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// StreamType is the type of the streams that a [System] keeps.
const StreamType = "Account"

// System is the runner that is checked. It is safe for concurrent use. If it has
// the method Close() error, that is called when nothing else uses it any longer.
//
// Errors of Decide, of the codec, of the store and of a context must be visible to
// errors.Is in what is returned.
type System interface {
	// Handle loads the aggregate, decides the command on its state and appends
	// the events, and tries again where that is right.
	Handle(ctx context.Context, call Call) (Outcome, error)

	// Load returns the state of an aggregate and its version.
	Load(ctx context.Context, id string) (State, uint64, error)
}

// Hooked is a [System] with functions of its user beside those that [Open] gets: a
// clone, an observer, an encoding of snapshots. A system without any need not be Hooked.
type Hooked interface {
	// Hook makes each of these functions call f with its own name before it does
	// anything else. F may panic, as any function of a user may.
	Hook(f func(function string))
}

// Call is one command for a [System].
type Call struct {
	ID        string  // of the aggregate; its stream is StreamType and this
	Command   Command // what to decide
	CommandID string  // the command lands at most once under this id; empty: it has none
	Expected  *uint64 // the version that the stream must have (If-Match); nil: any
	Attempts  int     // how often to try at most; 0: as the runner does by default
}

// Outcome is what came of a command that was not refused.
type Outcome struct {
	State    State
	Version  uint64 // that State is at
	Events   []Event
	Replayed bool // the events were there before
}

// copied returns o with memory of its own.
func (o Outcome) copied() Outcome {
	o.State, o.Events = o.State.Clone(), slices.Clone(o.Events)
	return o
}

// spoil writes to all that o points to, as a careless caller would.
func (o Outcome) spoil() {
	o.State.spoil()
	for i := range o.Events {
		o.Events[i] = Event{What: "spoilt by a caller"}
	}
}

// Open returns a runner of d on st, as a new process would: it knows only what is
// in st, which is also a store.Snapshots and, but for schedules, a store.Claims. It leaves nothing running that its Close
// does not end, and holds no mutex while it calls the store, because time would stand
// still (see testing/synctest).
type Open func(d decider.Decider[Command, State, Event], st store.Store, c codec.Codec[Event]) System
