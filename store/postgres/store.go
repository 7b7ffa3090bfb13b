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
	_ io.Closer         = (*Store)(nil)
)

const (
	// patience is how long Close waits for what is under way, and how long an append
	// goes on that nobody waits for any more.
	patience = 5 * time.Second
	// silence is after how much of it a server is asked whether it still serves.
	silence = 5 * time.Second
	// bound is how long a read in the background goes on without an answer, and a
	// quarter of how long an append does, which may wait for the log for ten seconds.
	bound = 15 * time.Second
)

// Store is the store of one tenant; [Open] and [New] return that of
// [store.DefaultTenant], and [Store.Tenant] those of the others in the same
// schema. It is safe for concurrent use. The zero Store is not usable.
type Store struct {
	backend *backend
	tenant  string
}

// backend is what the stores of all tenants share.
type backend struct {
	config
	pool *pgxpool.Pool
	sql  *statements
	lane *lane
	news news

	silence time.Duration // after how much of it a server is asked whether it serves
	bound   time.Duration // see the constant
	renewed atomic.Int64  // when all connections were given up, in nanoseconds of Unix
	looked  atomic.Int64  // when checkServes last asked

	life  context.Context //nolint:containedctx // of all that is under way; Close ends it
	kill  context.CancelFunc
	done  chan struct{} // closed by Close
	close func()        // the rest of Close, once

	mu     sync.Mutex
	closed bool           // guarded by mu
	calls  sync.WaitGroup // that read; guarded by mu against Close
}

func newBackend(pool *pgxpool.Pool, c *config) *Store {
	b := &backend{config: *c, pool: pool, sql: newStatements(c.schema.quoted(), c.schema.channel()), done: make(chan struct{}), silence: silence, bound: bound}
	b.life, b.kill = context.WithCancel(context.Background())
	b.close = sync.OnceFunc(b.shut)
	b.lane = &lane{backend: b}
	return &Store{backend: b, tenant: store.DefaultTenant}
}

// Tenant returns the store of tenant id. It is an *[store.InvalidError] if id
// cannot be a tenant's, and [store.ErrClosed] after Close.
func (s *Store) Tenant(id string) (store.Store, error) {
	if err := store.ValidateTenant(id); err != nil {
		return nil, err
	}
	if s.backend.isClosed() {
		return nil, store.ErrClosed
	}
	return &Store{backend: s.backend, tenant: id}, nil
}

// Close ends the stores of all tenants: it waits for the calls that are under way,
// though not much longer than five seconds, the subscriptions yield
// [store.ErrClosed] last, and so ends every later call. It closes the pool that
// [Open] made, and not the one that [New] was given. It can be called again, and
// always returns nil.
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

// closePool closes the pool, and does not wait for connections to a server that is silent.
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

// errGivenUp is what is left under way when Close has waited enough.
var errGivenUp = &Error{Kind: ErrUnavailable, Err: errors.New("closed before the server answered")}

func (b *backend) isClosed() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// ready returns why nothing can be done: what ctx ended with, or the store is
// closed.
func (b *backend) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.isClosed() {
		return store.ErrClosed
	}
	return nil
}

// calling calls do, which Close waits for. Its context is ctx, and ends too when
// Close has waited enough.
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

// read calls do with a connection; see reading.
func (b *backend) read(ctx context.Context, do func(ctx context.Context, q querier) error) error {
	return b.calling(ctx, func(ctx context.Context) error { return b.reading(ctx, do) })
}

// write calls do with a connection; see writing.
func (b *backend) write(ctx context.Context, do func(ctx context.Context, q querier) error) error {
	return b.calling(ctx, func(ctx context.Context) error { return b.writing(ctx, do) })
}
