package storetest_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

// backend is the simplest possible store: slices behind one mutex. It has at most one
// bug, which it names; see bugs_test.go.
type backend struct {
	bug     string
	calls   atomic.Int64 // calls of Append in progress
	mu      sync.Mutex
	closed  bool              // guarded by mu
	closes  int               // calls of Close; guarded by mu
	wake    chan struct{}     // closed and replaced by each change, guarded by mu
	tenants map[string]*plain // guarded by mu
	pauses  int               // guarded by mu
	reads   int               // of logs; guarded by mu
	refuses *atomic.Bool
	loses   *loses       // one of the calls fails; nil: none
	inTx    func() error // the error of the next call of a transaction; nil: none
	quiet   bool         // because of a bug, appends wake nobody; guarded by mu
}

// plain is the store of one tenant. All fields but the first are guarded by mu.
type plain struct {
	*backend
	position    uint64
	log         []*store.Recorded
	streams     map[store.Stream][]*store.Recorded
	ids         map[string]*store.Recorded
	reserved    map[string]bool         // for a bug
	held        map[string]store.Event  // for a bug
	created     map[store.Stream]uint64 // for a bug
	snapshots   map[snapshotKey]store.Snapshot
	checkpoints map[string]store.Checkpoint
	holders     map[string]store.Stream // by key
	freed       map[string]store.Stream // for a bug
	leases      map[string]store.Lease
	docs        map[docKey]store.Document
	turn        *turn                 // held by a transaction, and shared by other writers
	cache       map[uint64]store.Page // for a bug
	lentValues  []any                 // for a bug
}

func newPlain(bug string) *plain {
	b := &backend{bug: bug, refuses: new(atomic.Bool), wake: make(chan struct{}), tenants: make(map[string]*plain)}
	return b.tenant(store.DefaultTenant)
}

func (b *backend) is(bug string) bool { return b.bug == bug }

// pause lets other goroutines in where a bug forgets the lock. It returns when one more
// goroutine is here, however slow the machine is, or when it has looked ten times.
func (b *backend) pause() {
	b.pauses++
	for mine, looks := b.pauses, 0; b.pauses == mine && looks < 10; looks++ {
		b.mu.Unlock()
		time.Sleep(50 * time.Microsecond)
		b.mu.Lock()
	}
}

// letPass holds back every second append, whose positions begin after first, until readers
// of the log have seen later positions, or until it has looked 20 times.
func (p *plain) letPass(first uint64) {
	if p.pauses++; p.pauses%2 == 0 {
		return
	}
	const enough = 6
	for looks, since := 0, p.reads; looks < 20 && p.reads < since+enough; looks++ {
		if n := len(p.log); n == 0 || p.log[n-1].Position <= first {
			since = p.reads
		}
		p.mu.Unlock()
		time.Sleep(50 * time.Microsecond)
		p.mu.Lock()
	}
}

func (b *backend) tenant(id string) *plain {
	p, ok := b.tenants[id]
	if ok {
		return p
	}
	p = &plain{
		backend: b, streams: make(map[store.Stream][]*store.Recorded), ids: make(map[string]*store.Recorded),
		reserved: make(map[string]bool), held: make(map[string]store.Event), created: make(map[store.Stream]uint64),
		snapshots: make(map[snapshotKey]store.Snapshot), checkpoints: make(map[string]store.Checkpoint),
		holders: make(map[string]store.Stream), freed: make(map[string]store.Stream), leases: make(map[string]store.Lease),
		cache: make(map[uint64]store.Page), docs: make(map[docKey]store.Document), turn: &turn{},
	}
	if first := b.tenants[store.DefaultTenant]; first != nil {
		p.leak(first)
	}
	if !b.is("a tenant is new each time") || len(b.tenants) == 0 {
		b.tenants[id] = p
	}
	return p
}

// leak shares data with the first tenant if a bug does not keep it apart.
func (p *plain) leak(first *plain) {
	switch p.bug {
	case "tenants share streams":
		p.streams = first.streams
	case "tenants share ids":
		p.ids = first.ids
	case "tenants share snapshots":
		p.snapshots = first.snapshots
	case "tenants share checkpoints":
		p.checkpoints = first.checkpoints
	case "tenants share claims":
		p.holders = first.holders
	case "tenants share leases":
		p.leases = first.leases
	case "tenants share documents":
		p.docs = first.docs
	}
}

func (p *plain) Tenant(id string) (store.Store, error) {
	if err := store.ValidateTenant(id); err != nil && !p.is("tenants are not validated") {
		return nil, err
	}
	id = p.letter("tenants", id)
	if p.is("the default tenant is a different one") {
		id += "!"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tenant(id), nil
}

func (p *plain) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closes++
	if len(p.log) > 0 && (p.closes > 1 && p.is("Close works only once") || p.closes > 4 && p.is("Close works only four times")) {
		return store.ErrClosed
	}
	p.closed = !p.is("Close does nothing")
	if len(p.log) == 0 || !p.is("subscriptions survive Close") {
		p.notify()
	}
	return nil
}

func (p *plain) notify() {
	close(p.wake)
	p.wake = make(chan struct{})
}

// ready returns the reason why nothing can be done, or nil.
func (p *plain) ready(ctx context.Context) error {
	switch {
	case ctx.Err() != nil && p.is("context hidden"):
		return errors.New("timeout")
	case ctx.Err() != nil && !p.is("context ignored"):
		return ctx.Err()
	case p.closed && p.is("closed untyped"):
		return errors.New("closed")
	case p.closed:
		return store.ErrClosed
	}
	return p.loses.next()
}
