package jetstream

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
)

// barrier is a message that a majority of the servers has recorded. If a server has the
// barrier, its answer is not older than the moment at which the barrier was requested.
// So the answer does not come from a former leader that was paused or cut off.
type barrier struct {
	mu      sync.Mutex
	current *passage // in progress, or nil; guarded by mu
	next    *passage // begins after current; guarded by mu
}

// passage is one barrier, for all callers that came before it began.
type passage struct {
	done     chan struct{} // closed when the following fields are set
	position uint64
	err      error
}

// barrierTTL is how long a server keeps a barrier.
const barrierTTL = "10s"

// fresh returns a position that a server must have reached so that its answers are not
// older than this call. A log with one replica needs none.
func (b *backend) fresh(ctx context.Context) (uint64, error) {
	if b.alone {
		return 0, nil
	}
	p := b.pass()
	select {
	case <-p.done:
		return p.position, p.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// pass returns a passage that has not begun before this call.
func (b *backend) pass() *passage {
	q := &b.barrier
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.current == nil {
		q.current = &passage{done: make(chan struct{})}
		b.work.Go(b.keepPassing)
		return q.current
	}
	if q.next == nil {
		q.next = &passage{done: make(chan struct{})}
	}
	return q.next
}

// keepPassing makes passages while callers wait for one.
func (b *backend) keepPassing() {
	q := &b.barrier
	for {
		q.mu.Lock()
		p := q.current
		q.mu.Unlock()
		p.position, p.err = b.writeBarrier(b.life)
		close(p.done)
		q.mu.Lock()
		q.current, q.next = q.next, nil
		last := q.current == nil
		q.mu.Unlock()
		if last {
			return
		}
	}
}

// writeBarrier makes a majority of the servers record a barrier, and returns its
// position.
func (b *backend) writeBarrier(ctx context.Context) (position uint64, err error) {
	err = b.wire.retry(ctx, func(ctx context.Context) (err error) {
		position, err = b.wire.publish(ctx, &nats.Msg{
			Subject: b.names.barrier(), Header: nats.Header{headerTTL: []string{barrierTTL}},
		})
		return err
	})
	return position, err
}
