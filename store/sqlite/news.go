package sqlite

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pollEvery is the time between two checks of the file for commits of other processes.
const pollEvery = 20 * time.Millisecond

// news wakes the callers that wait for events.
type news struct {
	wake     atomic.Pointer[chan struct{}] // nil if no caller waits
	watchers sync.WaitGroup                // waits for the polling goroutine

	mu    sync.Mutex
	count int                // number of subscriptions; guarded by mu
	stop  context.CancelFunc // ends the polling goroutine; guarded by mu
}

// tell wakes all waiting callers. It costs one load if there are none.
func (n *news) tell() {
	if n.wake.Load() == nil {
		return
	}
	if wake := n.wake.Swap(nil); wake != nil {
		close(*wake)
	}
}

// next returns a channel that the next tell closes.
func (n *news) next() <-chan struct{} {
	for {
		if wake := n.wake.Load(); wake != nil {
			return *wake
		}
		wake := make(chan struct{})
		if n.wake.CompareAndSwap(nil, &wake) {
			return wake
		}
	}
}

// watch polls the file until the returned function is called.
func (b *backend) watch() (end func()) {
	n := &b.news
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	if n.count == 1 && !b.closed() {
		ctx, cancel := context.WithCancel(context.Background())
		n.stop = cancel
		n.watchers.Go(func() { b.poll(ctx) })
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.count--
		if n.count == 0 && n.stop != nil {
			n.stop()
			n.stop = nil
		}
	}
}

// poll calls tell when another connection has committed, until ctx ends or the backend
// is closed. An error also counts as news, because the readers will get it too.
func (b *backend) poll(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var c *conn // always the same connection, because versions of different connections do not compare
	defer func() {
		if c != nil {
			_ = c.close()
		}
	}()
	defer b.moved.Store(nil) // no later poll would clear it
	var seen int64
	for {
		var version int64
		var err error
		if c == nil {
			c, err = openReader(b.place, &b.config)
		}
		if err == nil {
			version, err = c.number("PRAGMA data_version")
		}
		moved := b.place.check()
		b.moved.Store(&moved)
		if err != nil || moved != nil || version != seen {
			seen = version
			b.news.tell()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		case <-b.done:
			return
		}
	}
}
