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

// Store is where a process reads its events and records that its timers fired. Every
// store of evolve implements it.
type Store interface {
	store.Store
	store.Log
}

// Runtime runs a process on a log, and keeps its state in a target. [New] makes one, the
// With… methods return changed copies, and [Runtime.Run] runs it. It is safe for
// concurrent use. The zero Runtime is not usable.
//
// T is the transaction of the target, E the events that the process reads, S the state of
// an instance, and C the commands that it sends.
type Runtime[T projection.Tx, E, S, C any] struct {
	log     Store
	target  projection.Target[T]
	process decider.Process[E, S, C]
	source  codec.Source[E]
	timers  codec.Codec[E] // nil: timers are not allowed

	encode    func(state S) ([]byte, error)
	decode    func(data []byte) (S, error)
	lossy     error // why the state cannot be JSON; nil if WithState says how to encode it
	encodeMsg func(command C) ([]byte, error)
	rejected  func(command C, rejection error) (event E, record bool)
	custom    bool // encode and decode are the user's

	config
	live *status
}

// config holds the settings that do not depend on the types.
type config struct {
	name     string
	version  int
	budget   time.Duration
	workers  int
	restore  bool
	leases   store.Leases // nil: none
	owner    string
	observer Observer // nil: none
	now      func() time.Time
}

const (
	defaultBudget  = 5 * time.Minute
	defaultWorkers = 16
	// sendIn limits how long sending one command may take.
	sendIn = 30 * time.Second
	// firstPause and maxPause limit the pauses between two attempts of the same input.
	firstPause, maxPause = 20 * time.Millisecond, 10 * time.Second
	leaseFor             = 15 * time.Second
	standbyPoll          = time.Second
	maxBatch             = 2048
	// maxName leaves room for the version and other suffixes in the names that a store
	// allows.
	maxName = 256
)

// Command is a command that an instance sends.
type Command[C any] struct {
	// ID identifies the command. It is derived from the process, the instance, the event
	// that caused it and the content of the command. So it is the same however often the
	// command is sent, and the receiver can recognize a command that it has handled.
	ID string
	// Command is the command of the process.
	Command C
	// Instance is the instance that sends the command.
	Instance string
	// Cause is the event that caused the command. It must not be changed.
	Cause *store.Recorded
}

// Metadata returns the metadata for events that result from c: the correlation of the
// cause unchanged, and the cause's ID as causation.
func (c Command[C]) Metadata() store.Metadata {
	return store.Metadata{CorrelationID: c.Cause.Meta.CorrelationID, CausationID: c.Cause.ID}
}

// Send passes a command to its handler. It returns when the command was handled, or
// accepted durably, as by a queue that stores it. It is called at least once for each
// command, and again with the same ID after a crash or an error, which the receiver must
// recognize.
//
// An error that matches [runner.ErrRejected] is an answer: see [Runtime.WithRejected]. An
// error that is [Permanent] is not retried. After any other error the command is sent
// again. The context ends after 30 s, and Send must return soon after. Send is called
// from several goroutines, but the commands of one instance come one after the other.
type Send[C any] func(ctx context.Context, c Command[C]) error

// To returns a Send that passes commands to r, which executes each once by its ID. pick
// returns the aggregate that handles a command, and the command in its terms.
func To[C, RC, S, E any](r *runner.Runner[RC, S, E], pick func(command C) (id string, cmd RC)) Send[C] {
	return func(ctx context.Context, c Command[C]) error {
		id, cmd := pick(c.Command)
		_, err := r.Handle(ctx, id, cmd, runner.CommandID(c.ID), runner.Metadata(c.Metadata()))
		return err
	}
}

// New returns a Runtime of process p, called name, on the events of source in log. It
// keeps its state in target, which may be the same store.
//
// Each event goes to the instance that p.Key returns. Events that the process itself
// records (see [Runtime.WithTimers]) are in streams whose type is the name of the
// process, one stream for each instance, with its key as ID. So the key of an instance
// must be a valid stream ID, and no part of source may read streams of that type.
//
// The first Run begins at the start of the log: it reacts to everything that was recorded
// before, and sends the commands for it. To begin at the end of the log, see
// [Runtime.WithRestore].
//
// An event to which an instance cannot react, or whose commands cannot be sent, does not
// end Run. [Runtime.Instances] has the cause, and slog.Default gets a warning for each
// attempt and quarantine ([Runtime.WithObserver] tells somebody else).
//
// New panics if log or target is nil, if the name is not 1 to 256 bytes of valid UTF-8
// without NUL, if p has no Evolve, React or Key, or if source reads streams of type name.
// If target has leases, the process uses them to have one owner at a time.
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
		panic(fmt.Sprintf("process %q: the source must read something, but not streams of type %q, which belong to the process", name, name))
	}
	r := &Runtime[T, E, S, C]{
		log: log, target: target, process: p, source: source, encodeMsg: encodeCommand[C],
		config: config{
			name: name, version: 1, budget: defaultBudget, workers: defaultWorkers, owner: store.NewID(),
			now:      time.Now, //nolint:forbidigo // a shell has a clock
			observer: warnings{},
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

// encodeCommand returns the type of a command and its JSON.
func encodeCommand[C any](command C) ([]byte, error) {
	data, err := json.Marshal(command)
	return append(fmt.Appendf(nil, "%T ", command), data...), err
}

// build returns the name and version of the process.
func (r *Runtime[T, E, S, C]) build() string { return buildName(r.name, r.version) }

func buildName(name string, version int) string { return fmt.Sprintf("%s@%d", name, version) }

// with returns a copy of r with change applied and a progress of its own.
func (r *Runtime[T, E, S, C]) with(change func(*Runtime[T, E, S, C])) *Runtime[T, E, S, C] {
	c := *r
	change(&c)
	c.live = newStatus(c.build())
	return &c
}

// WithTimers returns a copy of r whose instances may start timers. A timer fires by being
// recorded: its event is encoded by c and appended to the log, in the stream of type name
// whose ID is the instance's key. c must encode events as data (codec.Values does not),
// and must not change the encoding of a name without an upcaster.
//
// A timer is due when the duration After has passed since the event that started it was
// recorded. It fires when everything that was recorded before it was due is handled.
// WithTimers panics if c is nil.
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

// WithRejected returns a copy of r that calls answer when a command is rejected, instead
// of quarantining the instance. If record is false, the command counts as done. If it is
// true, event is recorded like the event of a timer, and reaches the instance like any
// other. That needs [Runtime.WithTimers]. answer must be pure. WithRejected panics if
// answer is nil.
func (r *Runtime[T, E, S, C]) WithRejected(answer func(command C, rejection error) (event E, record bool)) *Runtime[T, E, S, C] {
	if answer == nil {
		panic(fmt.Sprintf("process %q: WithRejected(nil)", r.name))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.rejected = answer })
}

// WithBudget returns a copy of r that tries to send an instance's commands for d before
// the instance is quarantined. The default is 5 minutes. It panics if d is negative.
func (r *Runtime[T, E, S, C]) WithBudget(d time.Duration) *Runtime[T, E, S, C] {
	if d < 0 {
		panic(fmt.Sprintf("process %q: WithBudget(%v)", r.name, d))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.budget = d })
}

// WithWorkers returns a copy of r that handles n instances in parallel. The default is
// 16. It panics if n < 1.
func (r *Runtime[T, E, S, C]) WithWorkers(n int) *Runtime[T, E, S, C] {
	if n < 1 {
		panic(fmt.Sprintf("process %q: WithWorkers(%d)", r.name, n))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.workers = n })
}

// WithState returns a copy of r that stores the states of instances with encode and
// decode. The default is JSON. A state must decode to an equal state. It panics if one is
// nil.
func (r *Runtime[T, E, S, C]) WithState(encode func(state S) ([]byte, error), decode func(data []byte) (S, error)) *Runtime[T, E, S, C] {
	if encode == nil || decode == nil {
		panic(fmt.Sprintf("process %q: WithState needs both functions", r.name))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.encode, r.decode, r.lossy, r.custom = encode, decode, nil, true })
}

// WithCommands returns a copy of r that derives the IDs of commands from their encoding
// by encode. The default is the name of the Go type and JSON. Equal commands must have
// equal encodings, and different commands should have different ones. It panics if encode
// is nil.
func (r *Runtime[T, E, S, C]) WithCommands(encode func(command C) ([]byte, error)) *Runtime[T, E, S, C] {
	if encode == nil {
		panic(fmt.Sprintf("process %q: WithCommands(nil)", r.name))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.encodeMsg = encode })
}

// WithVersion returns a copy of r that is version n of the process. The default is 1. A
// changed process needs another version. It first rebuilds its own instances up to where
// the previous version has reacted, and sends nothing meanwhile. Then it takes over, in
// one transaction: the previous version reacts to no event after it, and its Run ends
// with [ErrSuperseded]. It panics if n < 1.
func (r *Runtime[T, E, S, C]) WithVersion(n int) *Runtime[T, E, S, C] {
	if n < 1 {
		panic(fmt.Sprintf("process %q: WithVersion(%d)", r.name, n))
	}
	return r.with(func(r *Runtime[T, E, S, C]) { r.version = n })
}

// WithRestore returns a copy of r for a target that can lose its contents, such as one in
// memory, or that may have been restored empty. If the target has nothing about the
// process, the current contents of the log count as handled: the instances are rebuilt,
// and no commands are sent except those that are still pending (Pending of the process),
// with their original IDs. Without WithRestore, such a process reacts to everything in
// the log.
//
// So a new process with WithRestore begins at the end of the log: it knows what was, and
// reacts to what comes. If p has no Pending, it sends nothing for the past. But timers
// that it would have started run: those that are overdue fire at once. If React must not
// answer them, compare the times in your events there.
//
// The log does not contain what was skipped or abandoned, so that is lost with the
// target.
func (r *Runtime[T, E, S, C]) WithRestore() *Runtime[T, E, S, C] {
	return r.with(func(r *Runtime[T, E, S, C]) { r.restore = true })
}

// WithObserver returns a copy of r that notifies o of what it does, such as the observer
// that [Log] returns, instead of the default: to log the warnings of Log to slog.Default,
// which are what failed and is retried, and what was quarantined. Nil means no observer:
// then a failure is only in [Runtime.Progress] and [Runtime.Instances].
func (r *Runtime[T, E, S, C]) WithObserver(o Observer) *Runtime[T, E, S, C] {
	return r.with(func(r *Runtime[T, E, S, C]) { r.observer = o })
}

// WithoutLease returns a copy of r that works without a lease. Several such owners are
// safe, but duplicate work.
func (r *Runtime[T, E, S, C]) WithoutLease() *Runtime[T, E, S, C] {
	return r.with(func(r *Runtime[T, E, S, C]) { r.leases = nil })
}
