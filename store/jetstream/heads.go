package jetstream

import (
	"container/list"
	"sync"
)

// maxHeads is the maximum number of streams whose heads a process remembers.
const maxHeads = 1 << 14

// heads remembers the ends of the most recently used streams. An entry may be outdated:
// then the servers refuse what depends on it. It is safe for concurrent use.
type heads struct {
	mu    sync.Mutex
	known map[string]*head // by the subject of the stream; guarded by mu
	order list.List        // the subjects of the streams, most recently used first; guarded by mu
}

type head struct {
	trail trail
	place *list.Element
}

// get returns the head of a stream, and false if it is not known.
func (h *heads) get(subject string) (trail, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, ok := h.known[subject]
	if !ok {
		return trail{}, false
	}
	h.order.MoveToFront(known.place)
	return known.trail, true
}

// put remembers t, unless a later head is known.
func (h *heads) put(subject string, t *trail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, ok := h.known[subject]; ok {
		if known.trail.position < t.position {
			known.trail = *t
		}
		h.order.MoveToFront(known.place)
		return
	}
	if h.known == nil {
		h.known = make(map[string]*head)
	}
	h.known[subject] = &head{*t, h.order.PushFront(subject)}
	if h.order.Len() > maxHeads {
		if oldest, ok := h.order.Remove(h.order.Back()).(string); ok {
			delete(h.known, oldest)
		}
	}
}

// forget forgets the head of a stream.
func (h *heads) forget(subject string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, ok := h.known[subject]; ok {
		h.order.Remove(known.place)
		delete(h.known, subject)
	}
}
