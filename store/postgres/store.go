package postgres

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
)

var (
	_ store.Store       = (*Store)(nil)
	_ store.Log         = (*Store)(nil)
	_ store.Tenants     = (*Store)(nil)
	_ store.Snapshots   = (*Store)(nil)
	_ store.Checkpoints = (*Store)(nil)
	_ store.Claims      = (*Store)(nil)
	_ store.Leases      = (*Store)(nil)
	_ store.Finder      = (*Store)(nil)
	_ io.Closer         = (*Store)(nil)
)

const (
	// patience is how long Close waits for calls, and how long a group of appends
	// continues after its last caller has left.
	patience = 5 * time.Second
	// silence is how long there may be no news before the store asks the server whether it
	// still accepts writes.
	silence = 5 * time.Second
	// bound is how long a background read waits for an answer. An append, which may wait
	// for the lock on the log for ten seconds, waits four times as long.
	bound = 15 * time.Second
)

// Store is the store of one tenant. [Open] and [New] return the store of
// [store.DefaultTenant], and [Store.Tenant] returns the stores of other tenants in the
// same schema. It is safe for concurrent use. The zero Store is not usable.
type Store struct {
	backend *backend
	tenant  string
}

// backend holds what the stores of all tenants share.
type backend struct {
	config
	pool *pgxpool.Pool
	sql  *statements
	lane *lane
	news news

	silence time.Duration // see the constant
	bound   time.Duration // see the constant
	renewed atomic.Int64  // Unix time in nanoseconds when all connections were replaced
	looked  atomic.Int64  // when checkServes last asked the server

	life  context.Context //nolint:containedctx // of all that is under way; Close ends it
	kill  context.CancelFunc
	done  chan struct{} // closed by Close
	close func()        // the rest of Close, called once

	mu     sync.Mutex
	closed bool           // guarded by mu
	calls  sync.WaitGroup // calls in progress; Add is guarded by mu against Close
}

func newBackend(pool *pgxpool.Pool, c *config) *Store {
	b := &backend{config: *c, pool: pool, sql: newStatements(c.schema.quoted(), c.schema.channel()), done: make(chan struct{}), silence: silence, bound: bound}
	b.life, b.kill = context.WithCancel(context.Background())
	b.close = sync.OnceFunc(b.shut)
	b.lane = &lane{backend: b}
	return &Store{backend: b, tenant: store.DefaultTenant}
}

// Tenant returns the store of tenant id. It returns an *[store.InvalidError] if id is
// not a valid tenant, and [store.ErrClosed] after Close.
func (s *Store) Tenant(id string) (store.Store, error) {
	if err := store.ValidateTenant(id); err != nil {
		return nil, err
	}
	if s.backend.isClosed() {
		return nil, store.ErrClosed
	}
	return &Store{backend: s.backend, tenant: id}, nil
}

// Close closes the stores of all tenants. It waits for calls in progress, but not much
// longer than five seconds. Subscriptions yield [store.ErrClosed] and end, and later
// calls return it. Close closes the pool that [Open] made, but not one that was passed
// to [New]. You can call it more than once. It always returns nil.
func (s *Store) Close() error {
	s.backend.close()
	return nil
}

func (b *backend) shut() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	close(b.done)
	timer := time.AfterFunc(patience, b.kill)
	b.lane.close()
	b.calls.Wait()
	timer.Stop()
	b.kill()
	b.news.listeners.Wait()
	if b.ownsPool {
		b.closePool()
	}
}

// closePool closes the pool, and does not wait for connections to a silent server.
func (b *backend) closePool() {
	closed := make(chan struct{})
	go func() { b.pool.Close(); close(closed) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
}

// errGivenUp is the error of a call that Close no longer waits for.
var errGivenUp = &Error{Kind: ErrUnavailable, Err: errors.New("closed before the server answered")}

func (b *backend) isClosed() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// ready returns the error of ctx if it has ended, ErrClosed if the store is closed, and
// nil otherwise.
func (b *backend) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.isClosed() {
		return store.ErrClosed
	}
	return nil
}

// calling calls do, and Close waits for it. The context of do ends with ctx, and when
// Close stops waiting.
func (b *backend) calling(ctx context.Context, do func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return store.ErrClosed
	}
	b.calls.Add(1)
	b.mu.Unlock()
	defer b.calls.Done()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)() //nolint:contextcheck // it ends when either does
	err := do(inner)
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if b.life.Err() != nil {
		return errGivenUp
	}
	return typed(err)
}

// read is reading, and Close waits for it.
func (b *backend) read(ctx context.Context, do func(ctx context.Context, q querier) error) error {
	return b.calling(ctx, func(ctx context.Context) error { return b.reading(ctx, do) })
}

// write is writing, and Close waits for it.
func (b *backend) write(ctx context.Context, do func(ctx context.Context, q querier) error) error {
	return b.calling(ctx, func(ctx context.Context) error { return b.writing(ctx, do) })
}
