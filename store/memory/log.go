package memory

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

const (
	// blockSize is the number of events in a block of the log. The first block starts with
	// room for firstBlock events and grows, because many logs are short.
	blockSize  = 1024
	firstBlock = 16
	// maxScan is the maximum number of events that one page examines, so that a filter
	// that matches few events still returns in bounded time.
	maxScan = 16 * blockSize
	// maxSubscribed is the maximum number of events in a page of a subscription. It limits
	// the memory that a thousand subscriptions hold, and keeps a page in the CPU cache.
	maxSubscribed = 256
)

// log holds all events of a tenant in the order of their positions, which have no gaps.
// Events up to head never change and are read without a lock.
type log struct {
	mu     sync.Mutex                    // held to append; lock it after the shard of the stream
	head   atomic.Uint64                 // stored under mu
	blocks atomic.Pointer[[][]ref]       // stored under mu, before head
	ids    ids                           // guarded by mu
	wake   atomic.Pointer[chan struct{}] // nil if no caller waits
}

// put appends e to v. Readers do not see it before head is stored. The caller holds mu.
func (l *log) put(v *view, e ref) {
	block, index := v.head/blockSize, v.head%blockSize
	switch {
	case v.head == 0:
		v.blocks = [][]ref{make([]ref, firstBlock)}
		l.keep(v.blocks)
	case block == uint64(len(v.blocks)):
		v.blocks = append(v.blocks, make([]ref, blockSize))
		l.keep(v.blocks)
	case index == uint64(len(v.blocks[block])): // in the first block: readers keep the old one
		longer := make([]ref, 4*index)
		copy(longer, v.blocks[0])
		v.blocks = [][]ref{longer}
		l.keep(v.blocks)
	}
	v.blocks[block][index] = e
	v.head++
}

func (l *log) keep(blocks [][]ref) { l.blocks.Store(&blocks) }

// view is a consistent view of the log at one moment.
type view struct {
	head   uint64
	blocks [][]ref
}

func (l *log) view() view {
	head := l.head.Load() // loaded before blocks, so that blocks contains every event up to head
	if head == 0 {
		return view{}
	}
	return view{head, *l.blocks.Load()}
}

// at returns the event at position, which must be there.
func (v view) at(position uint64) ref {
	return v.blocks[(position-1)/blockSize][(position-1)%blockSize]
}

// notify wakes all waiting callers. It costs one load if there are none.
func (l *log) notify() {
	if l.wake.Load() == nil {
		return
	}
	if wake := l.wake.Swap(nil); wake != nil {
		close(*wake)
	}
}

// waiting returns a channel that the next notify closes.
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

// ReadAll is [store.Log.ReadAll]. A page has at most 1,024 events, and examines at most
// 16,384 events with the filter.
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
	var short [16]ref // pages of subscriptions that have caught up are this short
	events := short[:0]
	limit := pageLimit(o.Limit)
	next := max(o.From, 1)
	if o.Filter.IDPrefix == "" && len(o.Filter.StreamTypes) == 0 && len(o.Filter.EventTypes) == 0 {
		return v.all(next, limit)
	}
	for end := min(v.head+1, next+maxScan); next < end && uint64(len(events)) < limit; next++ {
		if e := v.at(next); e.matches(&o.Filter) {
			events = append(events, e)
		}
	}
	return store.Page{Events: copies(events), Head: v.head, Next: next, End: next > v.head}
}

// all returns the page of all events from a position on.
func (v view) all(from, limit uint64) store.Page {
	if from > v.head {
		return store.Page{Head: v.head, Next: from, End: true}
	}
	events := make([]store.Recorded, min(limit, v.head-from+1))
	for i := range events {
		v.at(from + uint64(i)).lend(&events[i])
	}
	own(events)
	next := from + uint64(len(events))
	return store.Page{Events: events, Head: v.head, Next: next, End: next > v.head}
}

func (v view) readBackward(o store.LogOptions) store.Page {
	var events []ref
	limit := pageLimit(o.Limit)
	next := o.From
	if next == 0 || next > v.head {
		next = v.head
	}
	for scanned := 0; next > 0 && scanned < maxScan && uint64(len(events)) < limit; next-- {
		if e := v.at(next); e.matches(&o.Filter) {
			events = append(events, e)
		}
		scanned++
	}
	return store.Page{Events: copies(events), Head: v.head, Next: next, End: next == 0}
}

// Subscribe is [store.Log.Subscribe]. The loop runs in the caller's goroutine, and the
// store keeps no state for it between pages. A page has at most 256 events. Subscribe
// yields an empty page first if there are no events yet, and whenever Next moves past
// events that do not match the filter.
func (m *Store) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		if o.Backward {
			yield(store.Page{}, &store.InvalidError{Field: "backward", Reason: "is not possible for a subscription"})
			return
		}
		o := o // one copy for each loop
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

// wait returns when the head of the log is no longer head, ctx has ended or the store
// is closed.
func (m *Store) wait(ctx context.Context, head uint64) {
	wake := m.log.waiting()
	if m.log.head.Load() != head { // the log grew before this call could be woken
		return
	}
	select {
	case <-wake:
	case <-ctx.Done():
	case <-m.backend.done:
	}
}
