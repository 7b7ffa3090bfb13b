package runnertest

import (
	"context"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
)

// enough is how many calls of the store a clause allows. A system that makes more will
// not end by itself.
const enough = 150

// probe is a store that records its calls, and can act before or after the n-th call,
// counted from 1. Its fields are set while nothing runs.
type probe struct {
	store.Snapshots
	store.Claims

	tb          reporter
	inner       store.Store
	pageSize    int                                               // the most events on a page; 0: the store decides
	latency     time.Duration                                     // of every call
	onRead      func(ctx context.Context, n int) error            // before the n-th read; its error is the answer
	onAppend    func(ctx context.Context, n int) error            // before the n-th append; its error is the answer
	afterAppend func(ctx context.Context, n int, err error) error // after the n-th append; its error is the answer

	mu      sync.Mutex
	reads   []readCall   // guarded by mu
	appends []appendCall // guarded by mu
}

var (
	_ store.Store     = (*probe)(nil)
	_ store.Snapshots = (*probe)(nil)
	_ store.Claims    = (*probe)(nil)
)

type readCall struct {
	after  int    // how many appends were made before
	lowest uint64 // lowest version that was read; 0: none
}

type appendCall struct {
	at     time.Time
	events int
}

// reset forgets the recorded calls and removes the hooks.
func (p *probe) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads, p.appends = nil, nil
	p.onRead, p.onAppend, p.afterAppend = nil, nil, nil
}

// asked returns the calls since the last reset.
func (p *probe) asked() ([]readCall, []appendCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads, p.appends
}

// Append is store.Store.Append.
func (p *probe) Append(
	ctx context.Context, s store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return p.append(ctx, events, func() (store.Appended, error) { return p.inner.Append(ctx, s, expected, events) })
}

// AppendClaiming is store.Claims.AppendClaiming.
func (p *probe) AppendClaiming(
	ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	return p.append(ctx, events, func() (store.Appended, error) {
		return p.Claims.AppendClaiming(ctx, s, expected, events, claims)
	})
}

// append records an append, which do makes.
func (p *probe) append(ctx context.Context, events []store.Event, do func() (store.Appended, error)) (store.Appended, error) {
	p.mu.Lock()
	p.appends = append(p.appends, appendCall{time.Now(), len(events)})
	n := len(p.appends)
	p.mu.Unlock()
	if err := p.before(ctx, n, p.onAppend); err != nil {
		return store.Appended{}, err
	}
	appended, err := do()
	if p.afterAppend != nil {
		err = p.afterAppend(ctx, n, err)
	}
	if err != nil {
		return store.Appended{}, err
	}
	return appended, nil
}

// Read is store.Store.Read.
func (p *probe) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	p.mu.Lock()
	call := len(p.reads)
	p.reads = append(p.reads, readCall{after: len(p.appends)})
	p.mu.Unlock()
	if err := p.before(ctx, call+1, p.onRead); err != nil {
		return store.Page{}, err
	}
	if p.pageSize > 0 {
		o.Limit = p.pageSize
	}
	page, err := p.inner.Read(ctx, s, o)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range page.Events {
		if v := page.Events[i].Version; call < len(p.reads) && (p.reads[call].lowest == 0 || v < p.reads[call].lowest) {
			p.reads[call].lowest = v
		}
	}
	return page, err
}

// before does what precedes the n-th call: its hook and the latency.
func (p *probe) before(ctx context.Context, n int, hook func(ctx context.Context, n int) error) error {
	if n > enough {
		p.tb.Errorf("more than %d calls of the store", enough)
		return store.ErrClosed
	}
	if p.latency > 0 {
		timer := time.NewTimer(p.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if hook == nil {
		return nil
	}
	return hook(ctx, n)
}
