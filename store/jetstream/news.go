package jetstream

import (
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// news wakes the subscriptions of a tenant when its log may have new events. It is a hint: a
// subscription that is woken reads, and one that is not reads now and then.
type news struct {
	backend *backend

	mu    sync.Mutex
	wakes map[string]chan struct{} // by the token of the tenant, closed at its next news; guarded by mu
	count int                      // of subscriptions; guarded by mu
	sub   *nats.Subscription       // to what the servers publish of events; guarded by mu
}

// next returns a channel that is closed at the next news of tenant.
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

// listen makes sure that the servers tell of events until end is called. They may not be
// allowed to: then one only looks now and then.
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

// stop ends what listens. The caller holds mu.
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
