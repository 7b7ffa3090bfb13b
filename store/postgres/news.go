package postgres

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxPause is the longest pause before the store tries to listen again.
const maxPause = 5 * time.Second

// news wakes the subscriptions of a tenant when its log may have new events. It is only
// a hint: a subscription that is woken reads, and a subscription that is not woken
// reads now and then.
type news struct {
	listeners sync.WaitGroup // waits for the listening goroutine

	mu    sync.Mutex
	wakes map[string]chan struct{} // by tenant, closed when the tenant has news; guarded by mu
	count int                      // number of subscriptions; guarded by mu
	stop  context.CancelFunc       // ends the listening goroutine; guarded by mu
	drop  context.CancelFunc       // ends the listening connection; guarded by mu
}

// next returns a channel that is closed at the next news for tenant.
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

// tell wakes the subscriptions of tenants, or all of them if tenants is empty.
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

// listen makes sure that a goroutine listens to the server until end is called.
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

// keepListening listens until ctx or the backend ends, and replaces the connection
// whenever it is lost.
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

// hangUp ends the listening connection, if there is one. A new one is made soon.
func (n *news) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.drop != nil {
		n.drop()
	}
}

// listenOnce listens on one connection until it is lost, or reaches the maximum age of
// the pool's connections.
func (b *backend) listenOnce(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.news.mu.Lock()
	b.news.drop = cancel
	b.news.mu.Unlock()
	began, age := time.Now(), b.pool.Config().MaxConnLifetime //nolint:forbidigo // of the server
	conn, err := b.takeOut(ctx)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.PgConn().Conn().Close() })()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	b.news.tell(nil) // nobody was told of earlier events
	for serves := true; serves && time.Since(began) < age; {
		serves = b.hear(ctx, conn)
	}
}

// takeOut removes a connection from the pool, so that no other caller gets it, and
// makes it listen.
func (b *backend) takeOut(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, b.bound)
	defer cancel()
	pooled, err := b.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := pooled.Exec(ctx, `LISTEN "`+b.schema.channel()+`"`); err != nil {
		if isUnfit(err) {
			b.giveUp(ctx, pooled.Conn())
		}
		pooled.Release()
		return nil, err
	}
	return pooled.Hijack(), nil
}

// hear waits for one notification. After a silence it asks whether the server still
// accepts writes, and returns false if it does not.
func (b *backend) hear(ctx context.Context, conn *pgx.Conn) bool {
	quiet, cancel := context.WithTimeout(ctx, b.silence)
	defer cancel()
	notification, err := conn.WaitForNotification(quiet)
	if err == nil {
		var tenants []string
		_ = json.Unmarshal([]byte(notification.Payload), &tenants) // no tenants means all
		b.news.tell(tenants)
		return true
	}
	if ctx.Err() != nil || quiet.Err() == nil {
		return false
	}
	answer, cancel := context.WithTimeout(ctx, b.silence)
	defer cancel()
	serves, err := isWritable(answer, conn)
	if err == nil && !serves && b.writable {
		b.renew()
		return false
	}
	return err == nil
}
