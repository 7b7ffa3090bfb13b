package projection

import (
	"context"
	"fmt"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Projection keeps a read model in a target up to date with a log. [New], [Documents],
// [Keyed] and [Deliver] make one, the With… methods return changed copies, and
// [Projection.Run] runs it. It is safe for concurrent use. The zero Projection is not
// usable.
//
// Name and version identify a build. Each build has its own checkpoint and parked events.
// So two projections with the same name and version must do the same, and a changed
// projection needs another version (see [Projection.WithVersion]).
type Projection[T Tx, E any] struct {
	log     store.Log
	target  Target[T]
	source  codec.Source[E]
	applier applier[T, E]
	key     func(e Event[E]) string // nil: the stream
	part    func(key string) bool   // nil: all keys
	effect  bool                    // the applier needs no transaction
	setup   func(ctx context.Context, tx T) error
	ready   func(ctx context.Context, tx T) error
	drop    func(ctx context.Context, tx T) error
	config
	live *status
}

// applier puts events into the read model. If it fails, it returns the index of the
// failed event, or -1 if it does not know.
type applier[T Tx, E any] func(ctx context.Context, c *config, tx T, events []Event[E]) (failed int, err error)

// config holds the settings of a projection that do not depend on its types.
type config struct {
	name      string
	version   int
	partition string
	parking   int // keys at most; 0: stop at a failure
	retry     Retry
	batch     int
	atMost    time.Duration
	leases    store.Leases // nil: none
	owner     string
	ttl       time.Duration
	lagLimit  time.Duration
	observer  Observer // nil: none
	now       func() time.Time
}

// Retry says how a projection retries an event whose handler failed. A zero field has its
// default.
type Retry struct {
	// Pause is the longest pause before the second attempt. It doubles with each further
	// attempt. The default is 20 ms.
	Pause time.Duration
	// MaxPause is the upper limit of all pauses. The default is 10 s.
	MaxPause time.Duration
	// For is how long an event is retried before it is parked, if parking is on. The
	// default is 30 s. An event is tried at least four times, however long an attempt
	// takes. A [Permanent] error, a panic and an event that cannot be decoded lead to
	// parking at once.
	For time.Duration
}

const (
	defaultBatch  = 2048
	defaultAtMost = 50 * time.Millisecond
	defaultTTL    = 15 * time.Second
	// leastTimes is how often an event must fail before it is parked, because one attempt
	// may already take as long as Retry.For.
	leastTimes = 4
	// maxName leaves room for the version in the names that a store allows.
	maxName = 256
)

// New returns a projection that calls apply for each event of source in log, in the order
// of the log, with a transaction tx of target. The checkpoint moves in the same
// transaction, before apply is called. So what apply writes with tx is in the target
// exactly once for each event. What it does elsewhere may happen more than once.
//
// If apply returns an error or panics, nothing of the event is in the read model. The
// event is retried until it succeeds, with growing pauses. Meanwhile the projection makes
// no progress and says why: [Projection.Progress] has the cause, and slog.Default gets a
// warning for each attempt ([Projection.WithObserver] tells somebody else). See
// [Projection.WithParking] for an alternative.
//
// The name must be 1 to 256 bytes of valid UTF-8 without NUL. New panics if it is not, or
// if log, target or apply is nil. If target has leases, the projection uses them: see
// [Projection.WithLease].
func New[T Tx, E any](
	log store.Log, target Target[T], name string, source codec.Source[E],
	apply func(ctx context.Context, tx T, e Event[E]) error,
) *Projection[T, E] {
	if apply == nil {
		panic(fmt.Sprintf("projection %q: apply is nil", name))
	}
	return newProjection(log, target, name, source, one("apply", apply))
}

// one is an applier that calls apply for one event after the other.
func one[T Tx, E any](in string, apply func(ctx context.Context, tx T, e Event[E]) error) applier[T, E] {
	return func(ctx context.Context, _ *config, tx T, events []Event[E]) (int, error) {
		i := 0
		err := guard(in, func() error {
			for ; i < len(events); i++ {
				if err := apply(ctx, tx, events[i]); err != nil {
					return err
				}
			}
			return nil
		})
		return i, err
	}
}

func newProjection[T Tx, E any](
	log store.Log, target Target[T], name string, source codec.Source[E], apply applier[T, E],
) *Projection[T, E] {
	if log == nil || target == nil {
		panic(fmt.Sprintf("projection %q: log or target is nil", name))
	}
	if err := store.ValidateConsumer(name); err != nil || len(name) > maxName {
		panic(fmt.Sprintf("projection: the name %.300q must be 1 to %d bytes of valid UTF-8 without NUL", name, maxName))
	}
	if len(source.Filter().StreamTypes) == 0 {
		panic(fmt.Sprintf("projection %q: the zero Source reads nothing: make a source with codec.Events", name))
	}
	p := &Projection[T, E]{log: log, target: target, source: source, applier: apply, config: config{
		name: name, version: 1, batch: defaultBatch, atMost: defaultAtMost, owner: store.NewID(), ttl: defaultTTL,
		retry:    Retry{Pause: 20 * time.Millisecond, MaxPause: 10 * time.Second, For: 30 * time.Second},
		now:      time.Now, //nolint:forbidigo // says how old, and how long
		observer: warnings{},
	}}
	p.leases, _ = target.(store.Leases)
	p.live = newStatus(p.build(), p.now)
	return p
}

// build returns the name and version of the projection.
func (c *config) build() string { return fmt.Sprintf("%s@%d%s", c.name, c.version, c.partition) }

// String returns the name and version of p, such as "balances@1".
func (p *Projection[T, E]) String() string { return p.build() }

// with returns a copy of p with change applied.
func (p *Projection[T, E]) with(change func(p *Projection[T, E])) *Projection[T, E] {
	c := *p
	change(&c)
	c.live = newStatus(c.build(), c.now)
	return &c
}

// WithVersion returns a copy of p that is version n of the projection. The default is
// version 1. Another version is another read model: it begins at the start of the log,
// and has its own checkpoint and parked events. Let setup and apply write to tables of
// their own version, such as balance_2. Both versions run side by side until the new one
// has caught up: see [Projection.WithReady]. WithVersion panics if n < 1.
func (p *Projection[T, E]) WithVersion(n int) *Projection[T, E] {
	if n < 1 {
		panic(fmt.Sprintf("projection %s: version %d is below 1", p, n))
	}
	return p.with(func(p *Projection[T, E]) { p.version = n })
}

// WithSetup returns a copy of p that calls setup once in the life of a build, before its
// first event, to create its tables. However many instances start at once, one of them
// calls setup, in a transaction that also records the call. If setup fails, Run returns
// the error.
func (p *Projection[T, E]) WithSetup(setup func(ctx context.Context, tx T) error) *Projection[T, E] {
	return p.with(func(p *Projection[T, E]) { p.setup = setup })
}

// WithReady returns a copy of p that calls ready once in the life of a build, when it has
// caught up with the log and with the version before it. Use it to switch readers to the
// new version, for example by replacing an SQL view: readers see the switch at once, and
// never an older state than before. ready is called in a transaction. If it fails, it is
// called again after the next event or pause, and the failure is in [Progress]. A version
// below the active one never becomes ready.
func (p *Projection[T, E]) WithReady(ready func(ctx context.Context, tx T) error) *Projection[T, E] {
	return p.with(func(p *Projection[T, E]) { p.ready = ready })
}

// WithDrop returns a copy of p whose [Projection.Retire] calls drop, to remove its tables.
func (p *Projection[T, E]) WithDrop(drop func(ctx context.Context, tx T) error) *Projection[T, E] {
	return p.with(func(p *Projection[T, E]) { p.drop = drop })
}

// WithKey returns a copy of p that uses key to compute the key of an event. Events with
// the same key keep their order and are parked together. By default, the key of an event
// is its stream, such as "Account/acc-1". key must be pure. It must return 1 to [MaxKey]
// bytes of valid UTF-8 without NUL. If it does not, or if an event cannot be decoded and
// so has no key, the event is not parked, but blocks the projection.
func (p *Projection[T, E]) WithKey(key func(e Event[E]) string) *Projection[T, E] {
	return p.with(func(p *Projection[T, E]) { p.key = key })
}

// MaxKey is the largest size of a key in bytes.
const MaxKey = 1500

// WithParking returns a copy of p that parks events it cannot handle, instead of stopping
// at them: the event and all later events of its key. Other keys continue. A parked event
// is stored as its position. [Projection.Parked] lists the keys, and [Projection.Unpark]
// handles the events in order when you have fixed the cause. No more than most keys are
// parked: the next failure blocks, so that a bad deployment does not park everything.
// WithParking panics if most < 1.
func (p *Projection[T, E]) WithParking(most int) *Projection[T, E] {
	if most < 1 {
		panic(fmt.Sprintf("projection %s: parking of %d keys: the limit must be at least 1", p, most))
	}
	return p.with(func(p *Projection[T, E]) { p.parking = most })
}

// WithRetry returns a copy of p that retries failed events according to r. It panics if a
// field is negative.
func (p *Projection[T, E]) WithRetry(r Retry) *Projection[T, E] {
	if r.Pause < 0 || r.MaxPause < 0 || r.For < 0 {
		panic(fmt.Sprintf("projection %s: a duration of %+v is negative", p, r))
	}
	return p.with(func(p *Projection[T, E]) {
		if r.Pause > 0 {
			p.retry.Pause = r.Pause
		}
		if r.MaxPause > 0 {
			p.retry.MaxPause = r.MaxPause
		}
		if r.For > 0 {
			p.retry.For = r.For
		}
	})
}

// WithBatch returns a copy of p whose transactions hold at most n events, and take about
// atMost: they grow while they take less than half of it, and shrink when they take more.
// The default is 2,048 events and 50 ms. If the target is a SQLite file that also takes
// appends, every append waits for the transaction: use 10 ms there. WithBatch panics if n
// < 1 or atMost <= 0. An n above 2,048 means 2,048.
func (p *Projection[T, E]) WithBatch(n int, atMost time.Duration) *Projection[T, E] {
	if n < 1 || atMost <= 0 {
		panic(fmt.Sprintf("projection %s: batches of %d events, %v: both must be above zero", p, n, atMost))
	}
	return p.with(func(p *Projection[T, E]) { p.batch, p.atMost = min(n, defaultBatch), atMost })
}

// WithLease returns a copy of p that works only while owner has the lease of its build in
// leases, which it takes for ttl and extends. So one of many instances works, and the
// others stand by: they take over at once when the owner stops, and after ttl when it
// dies. Leases save work. Without them, or if they fail, each event is still in the read
// model exactly once. By default p uses the leases of the target if it has any, a new id
// as owner, and a ttl of 15 s. WithLease panics if leases is nil, owner is empty or ttl
// <= 0.
func (p *Projection[T, E]) WithLease(leases store.Leases, owner string, ttl time.Duration) *Projection[T, E] {
	if err := store.ValidateLease(p.name, owner, ttl); err != nil || leases == nil {
		panic(fmt.Sprintf("projection %s: lease: leases %v, %v", p, leases != nil, err))
	}
	return p.with(func(p *Projection[T, E]) { p.leases, p.owner, p.ttl = leases, owner, ttl })
}

// WithoutLease returns a copy of p that works regardless of whether another instance
// does.
func (p *Projection[T, E]) WithoutLease() *Projection[T, E] {
	return p.with(func(p *Projection[T, E]) { p.leases = nil })
}

// WithObserver returns a copy of p that notifies o of what it does, such as the observer
// that [Log] returns, instead of the default: to log the warnings of Log to slog.Default,
// which are what failed and is retried, and what was parked. Nil means no observer: then
// a failure is only in [Projection.Progress] and [Projection.Health].
func (p *Projection[T, E]) WithObserver(o Observer) *Projection[T, E] {
	return p.with(func(p *Projection[T, E]) { p.observer = o })
}

// WithLagLimit returns a copy of p that is unhealthy ([Projection.Health]) while the
// oldest event that it has not handled is older than limit. It panics if limit <= 0.
func (p *Projection[T, E]) WithLagLimit(limit time.Duration) *Projection[T, E] {
	if limit <= 0 {
		panic(fmt.Sprintf("projection %s: a lag limit of %v", p, limit))
	}
	return p.with(func(p *Projection[T, E]) { p.lagLimit = limit })
}
