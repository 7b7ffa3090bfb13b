package process

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/internal/exact"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// Store is where a process reads its events, and records that its timers fired. Every
// store of evolve is one.
type Store interface {
	store.Store
	store.Log
}

// Runtime runs a process on a log, with what it has to remember in a target. [New]
// makes one, the With… methods return changed copies, and [Runtime.Run] runs it. It is
// safe for concurrent use. The zero Runtime is not usable.
//
// T is the transaction of the target, E the events that the process reads, S the state
// of an instance, and C the commands that it sends.
type Runtime[T projection.Tx, E, S, C any] struct {
	log     Store
	target  projection.Target[T]
	process decider.Process[E, S, C]
	source  codec.Source[E]
	timers  codec.Codec[E] // nil: none may be started

	encode    func(state S) ([]byte, error)
	decode    func(data []byte) (S, error)
	lossy     error // why the state cannot be JSON; nil once WithState says how
	encodeMsg func(command C) ([]byte, error)
	rejected  func(command C, rejection error) (event E, record bool)
	custom    bool // encode and decode are the user's

	config
	live *status
}

// config is the settings that do not depend on the types.
type config struct {
	name     string
	version  int
	budget   time.Duration
	workers  int
	restore  bool
	leases   store.Leases // nil: none
	owner    string
	observer Observer
	now      func() time.Time
}

const (
	defaultBudget  = 5 * time.Minute
	defaultWorkers = 16
	// sendIn is how long sending one command may take.
	sendIn = 30 * time.Second
	// firstPause and maxPause are between two attempts of the same input.
	firstPause, maxPause = 20 * time.Millisecond, 10 * time.Second
	leaseFor             = 15 * time.Second
	standbyPoll          = time.Second
	maxBatch             = 2048
	// maxName leaves room for the version, and for what is behind the name, in the
	// names that a store allows.
	maxName = 256
)

// Command is a command that an instance sends.
type Command[C any] struct {
	// ID names the command. It is made of the process, the instance, the event that
	// was reacted to and the content of the command. So it is the same however often
	// the command is sent, and the receiver can tell that it has handled it.
	ID string
	// Command is what the process asked for.
	Command C
	// Instance is whose command it is.
	Instance string
	// Cause is the event that was reacted to. It must not be changed.
	Cause *store.Recorded
}

// Metadata returns what events that follow from c should carry: the correlation of
// its cause as it is, and the cause's id as causation.
func (c Command[C]) Metadata() store.Metadata {
	return store.Metadata{CorrelationID: c.Cause.Meta.CorrelationID, CausationID: c.Cause.ID}
}

// Send takes a command to whoever handles it, and returns when it was handled, or
// accepted for good, as by a queue that keeps it. It is called at least once for each
// command, and again under the same ID after a crash or an error; the receiver must
// recognize that.
//
// An error that matches [runner.ErrRejected] is an answer: see
// [Runtime.WithRejected]. An error that is [Permanent] is not tried again.
// After any other error the command is sent again. The context ends after 30 s; Send
// must return soon after. A Send is called from several goroutines, but the commands
// of an instance come one after the other.
type Send[C any] func(ctx context.Context, c Command[C]) error

// To returns a Send that takes commands to r, where they happen once because of their
// ids; pick says which aggregate handles a command, and what the command is there.
func To[C, RC, S, E any](r *runner.Runner[RC, S, E], pick func(command C) (id string, cmd RC)) Send[C] {
	return func(ctx context.Context, c Command[C]) error {
		id, cmd := pick(c.Command)
		_, err := r.Handle(ctx, id, cmd, runner.CommandID(c.ID), runner.Metadata(c.Metadata()))
		return err
	}
}

// New returns the Runtime of process p, which is called name, on the events of source
// in log. What it has to remember is in target, which may be the same store.
//
// Each event goes to the instance that p.Key names. What is recorded for the process
// itself (see [Runtime.WithTimers]) is in streams of type name, one for each instance,
// so the key of an instance must be a valid stream id, and no part of source may read
// streams of that type.
//
// New panics if log or target is nil, if the name is not 1 to 256 bytes of valid UTF-8
// without NUL, if p has no Evolve, React or Key, or if source reads streams of type
// name. If target has leases, the process uses them to have one owner at a time.
func New[T projection.Tx, E, S, C any](
	log Store, target projection.Target[T], name string, p decider.Process[E, S, C], source codec.Source[E],
) *Runtime[T, E, S, C] {
	if log == nil || target == nil {
		panic(fmt.Sprintf("process %q: log or target is nil", name))
	}
	if err := store.ValidateConsumer(name); err != nil || len(name) > maxName {
		panic(fmt.Sprintf("process: the name %.300q must be 1 to %d bytes of valid UTF-8 without NUL", name, maxName))
	}
	if p.Evolve == nil || p.React == nil || p.Key == nil {
		panic(fmt.Sprintf("process %q: Evolve, React and Key must not be nil", name))
	}
	types := source.Filter().StreamTypes
	if len(types) == 0 || slices.Contains(types, name) {
		panic(fmt.Sprintf("process %q: the source must read something, and not streams of type %q: these are the process's own", name, name))
	}
	r := &Runtime[T, E, S, C]{
		log: log, target: target, process: p, source: source, encodeMsg: encodeCommand[C],
		config: config{
			name: name, version: 1, budget: defaultBudget, workers: defaultWorkers, owner: store.NewID(),
			now: time.Now, //nolint:forbidigo // a shell has a clock
		},
	}
	r.leases, _ = target.(store.Leases)
	if t, err := exact.Of(reflect.TypeFor[S]()); err != nil {
		r.lossy = fmt.Errorf("process %q: the state is a %v: %w: use WithState", name, reflect.TypeFor[S](), err)
	} else {
		r.encode, r.decode = func(state S) ([]byte, error) { return t.Marshal(state) }, decodeJSON[S]
	}
	r.live = newStatus(r.build())
	return r
}

func decodeJSON[S any](data []byte) (state S, err error) {
	err = json.Unmarshal(data, &state)
	return state, err
}

// encodeCommand is the type of a command and its JSON.
func encodeCommand[C any](command C) ([]byte, error) {
	data, err := json.Marshal(command)
	return append(fmt.Appendf(nil, "%T ", command), data...), err
}

// build names the process with its version.
func (r *Runtime[T, E, S, C]) build() string { return buildName(r.name, r.version) }

func buildName(name string, version int) string { return fmt.Sprintf("%s@%d", name, version) }

// with returns a copy of r that change has changed, with a progress of its own.
func (r *Runtime[T, E, S, C]) with(change func(*Runtime[T, E, S, C])) *Runtime[T, E, S, C] {
	c := *r
	change(&c)
	c.live = newStatus(c.build())
	return &c
}

// WithTimers returns a copy of r whose instances may start timers. A timer fires by
// being recorded: its event is appended to the log, in the stream of type name whose
// id is the instance's key, encoded by c. c must encode events as data (codec.Values
// does not), and must not change what it writes under a name without an upcaster.
//
// A timer is due at the time when the event that started it was recorded, plus
// After. It fires when everything that was recorded before that time is handled. It
// panics if c is nil.
func (r *Runtime[T, E, S, C]) WithTimers(c codec.Codec[E]) *Runtime[T, E, S, C] {
	if c == nil {
		panic(fmt.Sprintf("process %q: WithTimers(nil)", r.name))
	}
	own := codec.From(r.name, c, func(_ *store.Recorded, event E) E { return event })
	source := r.source
	if r.timers != nil {
		panic(fmt.Sprintf("process %q: WithTimers twice", r.name))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.timers, r.source = c, source.And(own) })
}

// WithRejected returns a copy of r that asks answer what a rejection means, in place
// of quarantining the instance. If record is false, the command counts as done. If it
// is true, event is recorded as that of a timer is, and comes to the instance like
// any other: that needs [Runtime.WithTimers]. answer must be pure. It panics if answer
// is nil.
func (r *Runtime[T, E, S, C]) WithRejected(answer func(command C, rejection error) (event E, record bool)) *Runtime[T, E, S, C] {
	if answer == nil {
		panic(fmt.Sprintf("process %q: WithRejected(nil)", r.name))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.rejected = answer })
}

// WithBudget returns a copy of r that tries to send an instance's commands for d
// before the instance is quarantined. The default is 5 minutes. It panics if d is
// negative.
func (r *Runtime[T, E, S, C]) WithBudget(d time.Duration) *Runtime[T, E, S, C] {
	if d < 0 {
		panic(fmt.Sprintf("process %q: WithBudget(%v)", r.name, d))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.budget = d })
}

// WithWorkers returns a copy of r that works on n instances at once. The default is
// 16. It panics if n < 1.
func (r *Runtime[T, E, S, C]) WithWorkers(n int) *Runtime[T, E, S, C] {
	if n < 1 {
		panic(fmt.Sprintf("process %q: WithWorkers(%d)", r.name, n))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.workers = n })
}

// WithState returns a copy of r that keeps the states of instances as encode and
// decode say; the default is JSON. A state must come back as it was. It panics if one
// is nil.
func (r *Runtime[T, E, S, C]) WithState(encode func(state S) ([]byte, error), decode func(data []byte) (S, error)) *Runtime[T, E, S, C] {
	if encode == nil || decode == nil {
		panic(fmt.Sprintf("process %q: WithState needs both functions", r.name))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.encode, r.decode, r.lossy, r.custom = encode, decode, nil, true })
}

// WithCommands returns a copy of r that makes the ids of commands from what encode
// returns for them; the default is the name of the Go type and JSON. The same command
// must be encoded the same, and different ones should not be. It panics if encode is
// nil.
func (r *Runtime[T, E, S, C]) WithCommands(encode func(command C) ([]byte, error)) *Runtime[T, E, S, C] {
	if encode == nil {
		panic(fmt.Sprintf("process %q: WithCommands(nil)", r.name))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.encodeMsg = encode })
}

// WithVersion returns a copy of r that is version n of the process; the default is 1.
// A changed process gets another version. It first brings its own instances to where
// the version before has reacted to, and sends nothing for that. Then it takes over,
// in one transaction: the version before reacts to no event after it, and its Run
// ends with [ErrSuperseded]. It panics if n < 1.
func (r *Runtime[T, E, S, C]) WithVersion(n int) *Runtime[T, E, S, C] {
	if n < 1 {
		panic(fmt.Sprintf("process %q: WithVersion(%d)", r.name, n))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.version = n })
}

// WithRestore returns a copy of r for a target that may forget, as one in memory
// does, or may have been restored empty. Where the target knows nothing of the
// process, what is in the log by then counts as reacted to: the instances are brought
// to where they are and no command is sent for it, but those that an instance still
// waits for (Pending of the process), under the ids that they had. Without it, such a
// process reacts to everything in the log.
//
// What was skipped or abandoned is not in the log, and is forgotten with the target.
func (r *Runtime[T, E, S, C]) WithRestore() *Runtime[T, E, S, C] {
	return r.with(func(r *Runtime[T, E, S, C]) { r.restore = true })
}

// WithObserver returns a copy of r that tells o what it does; nil is nobody.
func (r *Runtime[T, E, S, C]) WithObserver(o Observer) *Runtime[T, E, S, C] {
	return r.with(func(r *Runtime[T, E, S, C]) { r.observer = o })
}

// WithoutLease returns a copy of r that works without asking for a lease: for
// targets whose leases are not wanted. Several such owners are safe, but do the same
// work.
func (r *Runtime[T, E, S, C]) WithoutLease() *Runtime[T, E, S, C] {
	return r.with(func(r *Runtime[T, E, S, C]) { r.leases = nil })
}
