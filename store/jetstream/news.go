package jetstream

import (
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// news wakes the subscriptions of a tenant when its log may have new events. It is only
// a hint: a subscription that is woken reads, and a subscription that is not woken
// reads now and then.
type news struct {
	backend *backend

	mu    sync.Mutex
	wakes map[string]chan struct{} // by the token of the tenant, closed when it has news; guarded by mu
	count int                      // number of subscriptions; guarded by mu
	sub   *nats.Subscription       // to the servers' notifications about events; guarded by mu
}

// next returns a channel that is closed at the next news for tenant.
func (n *news) next(tenant string) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := token(tenant)
	wake, ok := n.wakes[name]
	if !ok {
		wake = make(chan struct{})
		if n.wakes == nil {
			n.wakes = make(map[string]chan struct{})
		}
		n.wakes[name] = wake
	}
	return wake
}

// tell wakes the subscriptions of tenant.
func (n *news) tell(tenant string) { n.wake(token(tenant)) }

func (n *news) wake(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if wake, ok := n.wakes[name]; ok {
		close(wake)
		delete(n.wakes, name)
	}
}

// listen makes sure that the servers send notifications until end is called. If the
// user lacks the permission, subscriptions only poll.
func (n *news) listen() (end func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	if n.sub == nil {
		prefix := n.backend.names.news() + "."
		sub, err := n.backend.nc.Subscribe(prefix+">", func(m *nats.Msg) {
			name, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, prefix), ".")
			n.wake(name)
		})
		if err == nil {
			n.sub = sub
		}
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.count--
		if n.count == 0 {
			n.stop()
		}
	}
}

// stop ends the NATS subscription. The caller holds mu.
func (n *news) stop() {
	if n.sub != nil {
		_ = n.sub.Unsubscribe()
		n.sub = nil
	}
}

func (n *news) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stop()
}
