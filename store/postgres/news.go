package postgres

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// silence is after how much of it a connection that listens is asked whether it
	// still lives.
	silence = 5 * time.Second
	// maxPause is the longest pause before listening is tried again.
	maxPause = 5 * time.Second
)

// news tells those who wait that the log of their tenant may have something new. It
// is a hint: what is told is read, and what is not told is found by looking now and
// then.
type news struct {
	listeners sync.WaitGroup // the goroutine that listens

	mu    sync.Mutex
	wakes map[string]chan struct{} // by tenant, closed at the next news of it; guarded by mu
	count int                      // of subscriptions; guarded by mu
	stop  context.CancelFunc       // ends the goroutine that listens; guarded by mu
}

// next returns what is closed at the next news of tenant.
func (n *news) next(tenant string) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	wake, ok := n.wakes[tenant]
	if !ok {
		wake = make(chan struct{})
		if n.wakes == nil {
			n.wakes = make(map[string]chan struct{})
		}
		n.wakes[tenant] = wake
	}
	return wake
}

// tell wakes those who wait for news of one of tenants, or all if there are none.
func (n *news) tell(tenants []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(tenants) == 0 {
		for _, wake := range n.wakes {
			close(wake)
		}
		clear(n.wakes)
		return
	}
	for _, tenant := range tenants {
		if wake, ok := n.wakes[tenant]; ok {
			close(wake)
			delete(n.wakes, tenant)
		}
	}
}

// listen has somebody listen to the server until the function that it returns is
// called.
func (b *backend) listen() (end func()) {
	n := &b.news
	if b.pollOnly {
		return func() {}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	if n.count == 1 && !b.isClosed() {
		ctx, cancel := context.WithCancel(b.life)
		n.stop = cancel
		n.listeners.Go(func() { b.keepListening(ctx) })
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

// keepListening listens, on a new connection when one is lost, until ctx or the
// backend ends.
func (b *backend) keepListening(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.news.listeners.Go(func() {
		select {
		case <-b.done:
			cancel()
		case <-ctx.Done():
		}
	})
	for pause := 50 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		started := time.Now() //nolint:forbidigo // of the server's work
		b.listenOnce(ctx)
		if time.Since(started) > maxPause {
			pause = 50 * time.Millisecond
		}
		b.wait(ctx, pause, nil)
	}
}

// listenOnce listens on one connection until it is lost.
func (b *backend) listenOnce(ctx context.Context) {
	pooled, err := b.pool.Acquire(ctx)
	if err != nil {
		return
	}
	conn := pooled.Hijack() // it is not one to lend to others
	defer context.AfterFunc(ctx, func() { _ = conn.PgConn().Conn().Close() })()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, `LISTEN "`+b.schema+`.event"`); err != nil {
		return
	}
	b.news.tell(nil) // what came before nobody was told
	for hear(ctx, conn, &b.news) {
	}
}

// hear waits for one notification, or asks after a silence whether the server is
// there, and reports whether it is.
func hear(ctx context.Context, conn *pgx.Conn, n *news) bool {
	quiet, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	notification, err := conn.WaitForNotification(quiet)
	if err == nil {
		var tenants []string
		_ = json.Unmarshal([]byte(notification.Payload), &tenants) // none: all
		n.tell(tenants)
		return true
	}
	if ctx.Err() != nil || quiet.Err() == nil {
		return false
	}
	answer, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	return conn.Ping(answer) == nil
}
