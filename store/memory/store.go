package memory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

// maxPage is the maximum number of events in a page, so that no call copies without
// limit. maxLent is the maximum for a page with ReadOnly, so that it fits into a cache.
const (
	maxPage = 1024
	maxLent = 256
)

var (
	_ store.Store       = (*Store)(nil)
	_ store.ValueReader = (*Store)(nil)
	_ store.Log         = (*Store)(nil)
	_ store.Tenants     = (*Store)(nil)
	_ store.Snapshots   = (*Store)(nil)
	_ store.Checkpoints = (*Store)(nil)
	_ store.Claims      = (*Store)(nil)
	_ store.Leases      = (*Store)(nil)
)

// Store is the store of one tenant. [New] returns the store of [store.DefaultTenant], and
// [Store.Tenant] returns the stores of other tenants of the same backend. It is safe for
// concurrent use. The zero Store is not usable.
type Store struct {
	backend     *backend
	streams     *streams
	log         log
	snapshots   kept[snapshotKey, store.Snapshot]
	checkpoints kept[string, store.Checkpoint]
	documents   documents
	turn        chan struct{} // holds a token while a transaction runs or a checkpoint is saved
	updating    atomic.Uint64 // the goroutine of the running Update, 0 if there is none
	claims      claims
	leases      leases
}

// backend holds what the stores of all tenants share.
type backend struct {
	now     func() time.Time
	closed  atomic.Bool
	done    chan struct{} // closed by the call that sets closed
	mu      sync.Mutex
	tenants map[string]*Store // guarded by mu
}

// Option is an option of [New].
type Option interface{ apply(b *backend) }

type clock func() time.Time

func (c clock) apply(b *backend) { b.now = c }

// WithClock sets the clock for recording times and leases. It must be safe for
// concurrent use and not nil. The default is time.Now.
func WithClock(now func() time.Time) Option { return clock(now) }

// New returns the store of [store.DefaultTenant] in a new, empty backend.
func New(options ...Option) *Store {
	b := &backend{
		now:     time.Now, //nolint:forbidigo // the default of WithClock
		done:    make(chan struct{}),
		tenants: make(map[string]*Store),
	}
	for _, o := range options {
		o.apply(b)
	}
	return b.tenant(store.DefaultTenant)
}

// tenant returns the store of tenant id, the same one for every call.
func (b *backend) tenant(id string) *Store {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.tenants[id]
	if !ok {
		m = &Store{backend: b, streams: newStreams(), turn: make(chan struct{}, 1)}
		b.tenants[id] = m
	}
	return m
}

// Tenant returns the store of tenant id, the same one for every call. It returns an
// *[store.InvalidError] if id is not a valid tenant, and [store.ErrClosed] after Close.
func (m *Store) Tenant(id string) (store.Store, error) {
	if err := store.ValidateTenant(id); err != nil {
		return nil, err
	}
	if m.backend.closed.Load() {
		return nil, store.ErrClosed
	}
	return m.backend.tenant(id), nil
}

// Close closes the stores of all tenants of the backend. Subscriptions yield
// [store.ErrClosed] last, and every later call returns it. Close does not wait for
// loops over subscriptions to end. It always returns nil. You can call it more than
// once.
func (m *Store) Close() error {
	if m.backend.closed.CompareAndSwap(false, true) {
		close(m.backend.done)
	}
	return nil
}

// Append is [store.Store.Append]. It has no limits of its own.
func (m *Store) Append(
	ctx context.Context, s store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return m.append(ctx, s, expected, events, nil)
}

// append is AppendClaiming with valid claims.
func (m *Store) append(
	ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if err := store.ValidateAppend(s, expected, events); err != nil {
		return store.Appended{}, err
	}
	if err := m.ready(ctx); err != nil {
		return store.Appended{}, err
	}
	b := batch{stream: s, expected: expected, events: events, claims: claims, at: newTimes(m.backend.now().UTC())}
	appended, err := m.record(ctx, &b)
	if err == nil && !appended.Replayed {
		m.log.notify()
	}
	return appended, err
}

// batch holds the arguments of an append, and what can be prepared before taking a
// lock.
type batch struct {
	stream   store.Stream
	expected store.Expected
	events   []store.Event
	claims   []store.Claim
	at       times
}

// record appends b, or finds that it is already recorded. It takes locks in this order:
// the shard of the stream, the log, the claims. It holds all of them until the end, so
// nobody sees a part of the append, and a reader that has seen an event in the log also
// finds it in its stream. While a transaction appends, record waits until it or ctx
// ends.
func (m *Store) record(ctx context.Context, b *batch) (store.Appended, error) {
	var few [16]uint64
	hashes := m.hashes(few[:0], b.events)
	name := m.streams.hash(b.stream)
	shard, err := m.enter(ctx, name)
	if err != nil {
		return store.Appended{}, err
	}
	defer shard.mu.Unlock()
	st := shard.find(name, b.stream)
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	v := m.log.view()
	if taken, ok := m.log.ids.taken(hashes, b.events, v); ok {
		return m.replay(b, st, taken.recorded())
	}
	if actual := st.head(); !b.expected.Matches(actual) {
		return store.Appended{}, &store.ConflictError{Stream: b.stream, Expected: b.expected, Actual: actual}
	}
	if len(b.claims) > 0 {
		m.claims.mu.Lock()
		defer m.claims.mu.Unlock()
		if err := m.claims.check(b.stream, b.claims); err != nil {
			return store.Appended{}, err
		}
		m.claims.apply(b.stream, b.claims)
	}
	if st == nil {
		st = shard.add(name, b.stream)
	}
	for i := range b.events {
		m.log.put(&v, st.put(shard, &b.events[i], &b.at, v.head+1))
		m.log.ids.add(hashes[i], v.head, v, m)
	}
	m.log.head.Store(v.head)
	return store.Appended{Version: st.version, Position: v.head}, nil
}

// enter locks the shard of the streams with this hash, for an append to one of them.
func (m *Store) enter(ctx context.Context, hash uint64) (*streamShard, error) {
	for {
		shard := m.streams.enter(hash)
		held := shard.held
		spread := held == nil && m.streams.spread(shard)
		if held == nil && !spread {
			return shard, nil
		}
		shard.mu.Unlock()
		if spread {
			continue
		}
		if m.inUpdate() {
			return nil, ErrInUpdate
		}
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-m.backend.done:
			return nil, store.ErrClosed
		}
	}
}

// replay returns the recorded version and position of b if all its events are recorded
// one after another. Otherwise it returns a *store.DuplicateError; taken is the event
// that has the first recorded id of b.
func (m *Store) replay(b *batch, st *stream, taken *store.Recorded) (store.Appended, error) {
	duplicate := &store.DuplicateError{Stream: b.stream, EventID: taken.ID, In: taken.Stream, Version: taken.Version}
	if taken.Stream != b.stream {
		return store.Appended{}, duplicate
	}
	last, view := taken, st.view()
	for i := range b.events {
		version := taken.Version + uint64(i)
		if version > view.version {
			return store.Appended{}, duplicate
		}
		if last = view.at(version).recorded(); !last.Same(&b.events[i]) {
			return store.Appended{}, duplicate
		}
	}
	return store.Appended{Version: last.Version, Position: last.Position, Replayed: true}, nil
}

// Read is [store.Store.Read]. No page has more than 1,024 events, or 256 with ReadOnly. With
// ReadOnly and a Buffer that has room, it allocates nothing.
func (m *Store) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	st, err := m.view(ctx, s)
	if err != nil {
		return store.Page{}, err
	}
	if o.Backward {
		return st.readBackward(&o), nil
	}
	return st.read(max(o.From, 1), &o), nil
}

// ReadValues is [store.ValueReader.ReadValues]. It allocates nothing and copies nothing: the
// values are where the store keeps them, as far as there is one event with a value in each
// part of the stream.
func (m *Store) ReadValues(ctx context.Context, s store.Stream, from uint64) (store.Values, error) {
	st, err := m.view(ctx, s)
	if err != nil {
		return store.Values{}, err
	}
	return st.values(max(from, 1)), nil
}

// view returns the current state of s.
func (m *Store) view(ctx context.Context, s store.Stream) (streamView, error) {
	if err := m.ready(ctx); err != nil {
		return streamView{}, err
	}
	st, ok := m.streams.view(s)
	if !ok {
		if err := s.Validate(); err != nil { // a name that is found is valid
			return streamView{}, err
		}
	}
	return st, nil
}

// pageLimit returns the maximum number of events of a page with this Limit.
func pageLimit(limit int) uint64 {
	if limit == 0 {
		limit = store.DefaultLimit
	}
	return uint64(min(limit, maxPage))
}

// ready returns the error of ctx if it has ended, ErrClosed if the store is closed, and
// nil otherwise.
func (m *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.backend.closed.Load() {
		return store.ErrClosed
	}
	return nil
}
