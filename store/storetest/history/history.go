// Package history records the calls of a store, and checks whether a store that
// executes one call at a time could have given the same results.
package history

import (
	"context"
	"fmt"
	"sync"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// Op is one call of a store as its caller saw it: an append, or a read if Expected is
// zero.
type Op struct {
	Client int   // the caller; see [WithClient]
	Call   int64 // when the call began, on a clock that all clients share
	Return int64 // when the call ended, after Call; 0 if it never ended

	Stream   store.Stream
	Expected store.Expected    // for an append
	IDs      []string          // the events to append
	Appended store.Appended    // the result of the append, unless Err is set
	Read     store.ReadOptions // for a read
	Page     store.Page        // the result of the read, unless Err is set; its events need only an ID and a Version

	Err error // an append whose error is not definite may have happened, or may happen later
}

// String returns op for messages, such as "B reads from 1: head 3".
func (op *Op) String() string {
	return ClientName(op.Client) + " " + op.what() + ": " + op.result()
}

func (op *Op) what() string {
	if op.Expected == 0 {
		if op.Read.Backward {
			return fmt.Sprintf("reads back from %d", op.Read.From)
		}
		return fmt.Sprintf("reads from %d", op.Read.From)
	}
	return fmt.Sprintf("appends %d at %s", len(op.IDs), op.Expected)
}

func (op *Op) result() string {
	conflict, isConflict := judge.IsA[*store.ConflictError](op.Err, store.ErrConflict)
	duplicate, isDuplicate := judge.IsA[*store.DuplicateError](op.Err, store.ErrDuplicate)
	switch {
	case op.Return == 0:
		return "no answer"
	case isConflict:
		return fmt.Sprintf("conflict, version %d", conflict.Actual)
	case isDuplicate:
		return fmt.Sprintf("duplicate of version %d", duplicate.Version)
	case op.Err != nil:
		return op.Err.Error()
	case op.Expected == 0:
		return fmt.Sprintf("head %d", op.Page.Head)
	case op.Appended.Replayed:
		return fmt.Sprintf("version %d, replayed", op.Appended.Version)
	}
	return fmt.Sprintf("version %d", op.Appended.Version)
}

// ClientName returns A for client 0, B for 1 and so on, and ? for a call without a
// client.
func ClientName(client int) string {
	switch {
	case client < 0:
		return "?"
	case client < 26:
		return string(rune('A' + client))
	}
	return fmt.Sprintf("client %d", client)
}

type clientKey struct{}

// WithClient returns a context for the calls of a client. Clients are numbered from 0.
// Calls with other contexts have no client, which is client −1.
func WithClient(ctx context.Context, client int) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

// ClientOf returns the client of the calls with ctx, or −1 if they have none.
func ClientOf(ctx context.Context) int {
	if client, ok := ctx.Value(clientKey{}).(int); ok {
		return client
	}
	return -1
}

// Recorder is a store that records its calls and their results; [Record] creates it. It
// is as safe for concurrent use as the store that it wraps.
type Recorder struct {
	inner store.Store
	told  func(op Op) // called with each finished Op; or nil

	mu    sync.Mutex
	clock int64 // time of the last call or return; guarded by mu
	ops   []Op  // guarded by mu
}

var _ store.Store = (*Recorder)(nil)

// Record returns st as a store that records its calls.
func Record(st store.Store) *Recorder { return &Recorder{inner: st} }

// OnReturn makes the Recorder call told after each call. Call OnReturn at most once,
// before the first call.
func (r *Recorder) OnReturn(told func(op Op)) { r.told = told }

// Append is store.Store.Append, recorded.
func (r *Recorder) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	op := Op{Client: ClientOf(ctx), Stream: s, Expected: e, IDs: make([]string, len(events))}
	for i := range events {
		op.IDs[i] = events[i].ID
	}
	i := r.begin(&op)
	appended, err := r.inner.Append(ctx, s, e, events)
	r.end(i, func(op *Op) { op.Appended, op.Err = appended, err })
	return appended, err
}

// Read is store.Store.Read, recorded.
func (r *Recorder) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	op := Op{Client: ClientOf(ctx), Stream: s, Read: o}
	op.Read.Buffer = nil
	i := r.begin(&op)
	page, err := r.inner.Read(ctx, s, o)
	kept := page
	kept.Events = make([]store.Recorded, len(page.Events))
	for i := range page.Events {
		kept.Events[i].ID, kept.Events[i].Version = page.Events[i].ID, page.Events[i].Version
	}
	r.end(i, func(op *Op) { op.Page, op.Err = kept, err })
	return page, err
}

// begin records that op was called, and returns its index.
func (r *Recorder) begin(op *Op) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	op.Call = r.clock
	r.ops = append(r.ops, *op)
	return len(r.ops) - 1
}

// end records that the call with index i has returned.
func (r *Recorder) end(i int, outcome func(op *Op)) {
	r.mu.Lock()
	r.clock++
	r.ops[i].Return = r.clock
	outcome(&r.ops[i])
	op := r.ops[i]
	r.mu.Unlock()
	if r.told != nil {
		r.told(op)
	}
}

// Ops returns the calls so far, in the order in which they began. A call that has not
// returned yet has a Return of 0.
func (r *Recorder) Ops() []Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Op(nil), r.ops...)
}

// History returns the calls so far, and the events that st has in stream s, for
// [Check]. Call it when nothing can happen anymore; for late appends, call the Land
// method of a faults.Faulty first. The store st must be the recorded store, or a store
// below it that does not fail.
func (r *Recorder) History(ctx context.Context, st store.Store, s store.Stream) (History, error) {
	all, err := judge.ReadStream(ctx, st, s)
	if err != nil {
		return History{}, err
	}
	h := History{Stream: s, Ops: r.Ops(), Final: make([]string, len(all))}
	for i := range all {
		h.Final[i] = all[i].ID
	}
	return h, nil
}
