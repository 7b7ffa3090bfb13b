package sqlite

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pollEvery is the time between two looks at the file for commits of other processes.
const pollEvery = 20 * time.Millisecond

// news wakes those who wait for events.
type news struct {
	wake     atomic.Pointer[chan struct{}] // nil if nobody waits
	watchers sync.WaitGroup                // the goroutine that polls

	mu    sync.Mutex
	count int                // of subscriptions; guarded by mu
	stop  context.CancelFunc // ends the goroutine that polls; guarded by mu
}

// tell wakes all who wait. If nobody waits, it costs one load.
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

// watch polls the file until the function that it returns is called.
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

// poll calls tell when another connection has committed, until ctx ends or the backend is
// closed. An error counts as news, because whoever reads meets it too.
func (b *backend) poll(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var c *conn // the same one each time: versions of two do not compare
	defer func() {
		if c != nil {
			_ = c.close()
		}
	}()
	defer b.moved.Store(nil) // nobody would take it back
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
