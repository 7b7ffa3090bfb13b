package jetstream

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

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

// patience is how long Close waits for calls.
const patience = 5 * time.Second

// grace is how long after the context of a call has ended its answer may still come.
const grace = 100 * time.Millisecond

// Store is the store of one tenant. [Open] and [New] return the store of
// [store.DefaultTenant], and [Store.Tenant] returns the stores of other tenants in the
// same log. It is safe for concurrent use. The zero Store is not usable.
type Store struct {
	backend *backend
	tenant  string
}

// backend holds what the stores of all tenants share.
type backend struct {
	config
	nc       *nats.Conn
	wire     *wire
	names    subjects
	alone    bool   // the log has one replica, so its answers are never old
	identity string // of the log, to detect that it was replaced

	lanes   []*lane
	seed    maphash.Seed // of the hash that chooses a lane
	heads   heads
	barrier barrier
	settles chan struct{} // has room for those that may be in progress
	news    news

	most      atomic.Uint64 // the highest position that is known to be recorded
	mostKept  atomic.Uint64 // the same for the stream next to the log
	firstSeen sync.Map      // the position of the first event, by tenant

	life  context.Context //nolint:containedctx // of all that is under way; Close ends it
	kill  context.CancelFunc
	done  chan struct{} // closed by Close
	close func()        // the rest of Close, called once

	mu     sync.Mutex
	closed bool           // guarded by mu
	calls  sync.WaitGroup // guarded by mu against Close
	work   sync.WaitGroup // goroutines of the backend
}

// maxSettles is the maximum number of appends that are settled at once. A server has at
// most 50 open batches per stream by default.
const maxSettles = 16

func newBackend(nc *nats.Conn, c *config) (*backend, error) {
	w, err := newWire(nc)
	if err != nil {
		return nil, err
	}
	b := &backend{
		config: *c, seed: maphash.MakeSeed(), nc: nc, wire: w, names: subjects{c.log},
		settles: make(chan struct{}, maxSettles), done: make(chan struct{}),
	}
	b.life, b.kill = context.WithCancel(context.Background())
	b.close = sync.OnceFunc(b.shut)
	return b, nil
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
// calls return it. Close closes the connection that [Open] made, but not one that was
// passed to [New]. You can call it more than once. It always returns nil.
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
	b.calls.Wait()
	timer.Stop()
	b.kill()
	b.work.Wait()
	b.news.close()
	b.wire.close()
	if b.ownsConn {
		b.nc.Close()
	}
}

// errGivenUp is the error of a call that Close no longer waits for.
var errGivenUp = &Error{Kind: ErrUnavailable, Err: errors.New("closed before a server answered")}

func (b *backend) isClosed() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// calling calls do, and Close waits for it. The context of do ends with ctx, when Close
// stops waiting, and when the call has reached its time limit.
func (b *backend) calling(ctx context.Context, do func(ctx context.Context) error) error {
	return b.callingFor(ctx, bound, do)
}

func (b *backend) callingFor(ctx context.Context, bound time.Duration, do func(ctx context.Context) error) error {
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
	inner, cancel := context.WithTimeoutCause(ctx, bound, errBound)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)() //nolint:contextcheck // it ends when either does
	err := do(inner)
	if err == nil || store.Definite(err) {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if b.life.Err() != nil {
		return errGivenUp
	}
	if inner.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return typed(fmt.Errorf("%w: %w", errBound, b.wire.silent()))
	}
	return typed(err)
}

// raise sets a to position if position is higher.
func raise(a *atomic.Uint64, position uint64) {
	for {
		was := a.Load()
		if position <= was || a.CompareAndSwap(was, position) {
			return
		}
	}
}
