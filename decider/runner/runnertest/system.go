package runnertest

import (
	"context"
	"slices"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// StreamType is the type of the streams of a [System].
const StreamType = "Account"

// System is the runner under test. It must be safe for concurrent use. If it has the
// method Close() error, the suite calls that when it no longer uses the system.
//
// The returned errors must match the errors of Decide, of the codec, of the store and of
// a context by errors.Is.
type System interface {
	// Handle loads the aggregate, decides the command on its state and appends the
	// events, and retries if that is right.
	Handle(ctx context.Context, call Call) (Outcome, error)

	// Load returns the state of an aggregate and its version.
	Load(ctx context.Context, id string) (State, uint64, error)
}

// Hooked is a [System] with more user functions than those that [Open] gets: a clone, an
// observer, an encoding of snapshots. A system without them need not be Hooked.
type Hooked interface {
	// Hook makes each of these functions call f with its own name before it does anything
	// else. f may panic, like any user function.
	Hook(f func(function string))
}

// Call is one command for a [System].
type Call struct {
	ID        string  // of the aggregate; its stream is StreamType and this
	Command   Command // the command to decide
	CommandID string  // the command is recorded at most once under this id; empty: no id
	Expected  *uint64 // the version that the stream must have (If-Match); nil: any
	Attempts  int     // the most attempts; 0: the default of the runner
}

// Outcome is the result of a command that was not refused.
type Outcome struct {
	State    State
	Version  uint64 // the version of State
	Events   []Event
	Replayed bool // the events were recorded before
}

// copied returns a deep copy of o.
func (o Outcome) copied() Outcome {
	o.State, o.Events = o.State.Clone(), slices.Clone(o.Events)
	return o
}

// spoil overwrites everything that o points to, as a careless caller would.
func (o Outcome) spoil() {
	o.State.spoil()
	for i := range o.Events {
		o.Events[i] = Event{What: "spoilt by a caller"}
	}
}

// Open returns a runner of d on st, as a new process would: it knows only what is in st,
// which is also a store.Snapshots and, except for schedules, a store.Claims. It leaves
// nothing running after its Close, and holds no mutex while it calls the store, because
// virtual time would stop (see testing/synctest).
type Open func(d decider.Decider[Command, State, Event], st store.Store, c codec.Codec[Event]) System
