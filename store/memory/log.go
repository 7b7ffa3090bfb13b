package memory

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

const (
	// blockSize is how many events a block of the log refers to. The first one
	// begins with firstBlock and grows, because many logs are short.
	blockSize  = 1024
	firstBlock = 16
	// maxScan is how many events of the log a page looks at, at most, so that
	// a filter that matches little ends in bounded time.
	maxScan = 16 * blockSize
	// maxSubscribed is how many events a page of a subscription has at most:
	// what a thousand of them hold at once is bounded, and they fit a cache.
	maxSubscribed = 256
)

// log is all events of a tenant in the order of their positions, which have no
// gap. Those up to head never change and are read without a lock.
type log struct {
	mu     sync.Mutex                          // for appending
	head   atomic.Uint64                       // stored under mu
	blocks atomic.Pointer[[][]*store.Recorded] // stored under mu, before head
	wake   atomic.Pointer[chan struct{}]       // nil if nobody waits
}

// publish puts the events of st after version first at the end of the log, and
// returns the position of the last one.
func (l *log) publish(st *stream, first uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, events := l.view(), st.view()
	for version := first + 1; version <= events.version; version++ {
		l.put(&v, events.at(version))
	}
	l.head.Store(v.head)
	return v.head
}

// put puts r at the end of v. Nobody sees it before head is stored. The caller holds
// mu.
func (l *log) put(v *view, r *store.Recorded) {
	block, index := v.head/blockSize, v.head%blockSize
	switch {
	case v.head == 0:
		v.blocks = [][]*store.Recorded{make([]*store.Recorded, firstBlock)}
		l.keep(v.blocks)
	case block == uint64(len(v.blocks)):
		v.blocks = append(v.blocks, make([]*store.Recorded, blockSize))
		l.keep(v.blocks)
	case index == uint64(len(v.blocks[block])): // of the first block: those who read have the old one
		longer := make([]*store.Recorded, 4*index)
		copy(longer, v.blocks[0])
		v.blocks = [][]*store.Recorded{longer}
		l.keep(v.blocks)
	}
	v.head++
	r.Position = v.head
	v.blocks[block][index] = r
}

func (l *log) keep(blocks [][]*store.Recorded) { l.blocks.Store(&blocks) }

// view is the log as it was at one moment.
type view struct {
	head   uint64
	blocks [][]*store.Recorded
}

func (l *log) view() view {
	head := l.head.Load() // before blocks, which then have all up to head
	if head == 0 {
		return view{}
	}
	return view{head, *l.blocks.Load()}
}

func (v view) at(position uint64) *store.Recorded {
	return v.blocks[(position-1)/blockSize][(position-1)%blockSize]
}

// at returns the event at position, which must be there.
func (l *log) at(position uint64) *store.Recorded { return l.view().at(position) }

// notify wakes all who wait. It costs one load if nobody does.
func (l *log) notify() {
	if l.wake.Load() == nil {
		return
	}
	if wake := l.wake.Swap(nil); wake != nil {
		close(*wake)
	}
}

// waiting returns what is closed at the next notify.
func (l *log) waiting() <-chan struct{} {
	for {
		if wake := l.wake.Load(); wake != nil {
			return *wake
		}
		wake := make(chan struct{})
		if l.wake.CompareAndSwap(nil, &wake) {
			return wake
		}
	}
}

// Head is [store.Log.Head].
func (m *Store) Head(ctx context.Context) (uint64, error) {
	if err := m.ready(ctx); err != nil {
		return 0, err
	}
	return m.log.head.Load(), nil
}

// ReadAll is [store.Log.ReadAll]. No page has more than 1,024 events, and for no page is
// the filter tried on more than 16,384 events.
func (m *Store) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := m.ready(ctx); err != nil {
		return store.Page{}, err
	}
	if o.Backward {
		return m.log.view().readBackward(o), nil
	}
	return m.log.view().read(o), nil
}

func (v view) read(o store.LogOptions) store.Page {
	var short [16]*store.Recorded // live pages are
	events := short[:0]
	limit := pageLimit(o.Limit)
	next := max(o.From, 1)
	for end := min(v.head+1, next+maxScan); next < end && uint64(len(events)) < limit; next++ {
		if r := v.at(next); o.Filter.Matches(r) {
			events = append(events, r)
		}
	}
	return store.Page{Events: copies(events), Head: v.head, Next: next, End: next > v.head}
}

func (v view) readBackward(o store.LogOptions) store.Page {
	var events []*store.Recorded
	limit := pageLimit(o.Limit)
	next := o.From
	if next == 0 || next > v.head {
		next = v.head
	}
	for scanned := 0; next > 0 && scanned < maxScan && uint64(len(events)) < limit; next-- {
		if r := v.at(next); o.Filter.Matches(r) {
			events = append(events, r)
		}
		scanned++
	}
	return store.Page{Events: copies(events), Head: v.head, Next: next, End: next == 0}
}

// Subscribe is [store.Log.Subscribe]. The loop runs in the caller's goroutine, and the
// store keeps nothing for it between pages. A page has at most 256 events. An empty page
// comes first if there is nothing yet, and whenever Next moves past events that the filter
// leaves out.
func (m *Store) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		if o.Backward {
			yield(store.Page{}, &store.InvalidError{Field: "backward", Reason: "is not possible for a subscription"})
			return
		}
		o := o // of this loop
		if o.Limit >= 0 {
			o.Limit = int(min(pageLimit(o.Limit), maxSubscribed))
		}
		for first := true; ; first = false {
			page, err := m.ReadAll(ctx, o)
			if err != nil {
				yield(store.Page{}, err)
				return
			}
			if first || page.Next != o.From {
				if !yield(page, nil) {
					return
				}
			}
			o.From = page.Next
			if page.End {
				m.wait(ctx, page.Head)
			}
		}
	}
}

// wait returns when the log has gone on from head, ctx has ended or the store
// is closed.
func (m *Store) wait(ctx context.Context, head uint64) {
	wake := m.log.waiting()
	if m.log.head.Load() != head { // it went on before there was somebody to wake
		return
	}
	select {
	case <-wake:
	case <-ctx.Done():
	case <-m.backend.done:
	}
}
