package grpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

const (
	// received is the maximum number of events that wait for the loop.
	received = 64
	// firstReconnect is the maximum wait before the first reconnect of a subscription.
	firstReconnect = 50 * time.Millisecond
)

// Subscribe is [store.Log.Subscribe]. A page has at most [PageSize] events, and events
// are not held back to fill one.
//
// If the connection breaks or the server goes away, the subscription reconnects with
// back-off, as often as necessary, and resumes after the last event that it has
// received. If that event is no longer there, it ends with an error that matches
// [store.ErrLogDiverged]. If the server cannot be reached at first, or refuses the
// subscription, it ends with an error at once.
//
// With a server that is not from package server, a message only means that there is
// something to read, and the pages come from ReadAll, because such subscriptions may
// lose and repeat events. If the server has no ReadAll either, the events are taken as
// they arrive, and a page counts as caught up (its Head is its last position) when
// nothing has followed for a while.
func (s *Store) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		f := &feed{Store: s, o: o, yield: yield}
		if err := f.run(ctx); err != nil {
			yield(store.Page{}, err)
		}
	}
}

// feed is a subscription.
type feed struct {
	*Store
	o     store.LogOptions // From is the current position
	yield func(store.Page, error) bool

	page     int              // number of events to request at once
	head     uint64           // the highest known position of the log
	last     store.Checkpoint // of the last event that was received
	matched  bool             // the last event matches the filter: a server that filters has it too
	told     bool             // the last page reported that it has caught up
	began    bool             // the server was reached
	verified bool             // the last event was seen again over this connection
	moved    bool             // something arrived since it has connected
	stopped  bool             // the loop wants no more
}

// run returns the reason why the subscription has ended, or nil if the loop wants no
// more.
func (f *feed) run(ctx context.Context) error {
	if err := f.validate(); err != nil {
		return err
	}
	for failures := 0; ; failures++ {
		err := f.connect(ctx, failures)
		switch ended := f.ended(ctx); {
		case f.stopped:
			return nil
		case ended != nil:
			return ended
		case !resumable(err) || !f.began:
			return err
		}
		if f.moved {
			f.moved, failures = false, 0
		} else {
			f.page = max(1, f.page/2) // a page may be larger than what gets through before the connection breaks
		}
		f.told = false
	}
}

func (f *feed) validate() error {
	if f.o.Backward {
		return &store.InvalidError{Field: "backward", Reason: "is not possible for a subscription"}
	}
	if err := f.o.Validate(); err != nil {
		return err
	}
	f.o.Limit, f.o.From, f.page = f.client.limit(f.o.Limit), max(f.o.From, 1), f.client.page
	return nil
}

// ended returns the error of ctx if it has ended, ErrClosed if the store is closed, and
// nil otherwise.
func (f *feed) ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.client.life.Err() != nil {
		return store.ErrClosed
	}
	return nil
}

// resumable reports whether a subscription that has ended with err can continue over
// another connection.
func resumable(err error) bool {
	if errors.Is(err, store.ErrLogDiverged) || errors.Is(err, wire.ErrProtocol) || store.Definite(err) || tooLarge(err) {
		return false
	}
	switch status.Code(err) { //nolint:exhaustive // all others
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.NotFound,
		codes.FailedPrecondition, codes.Unimplemented, codes.OutOfRange, codes.DataLoss:
		return false
	}
	return true
}

// connect runs the subscription over one connection, after this many failures in a row.
func (f *feed) connect(ctx context.Context, failures int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.client.life, cancel)() //nolint:contextcheck // it ends ctx, which inherits
	if failures > 0 {
		_ = backOff(ctx, failures-1, firstReconnect, longest) // Head returns the error of ctx
	}
	head, err := f.Head(ctx)
	paged := !errors.Is(err, errors.ErrUnsupported)
	if err != nil && paged {
		return err
	}
	f.began, f.verified = true, false
	f.head = max(f.head, head)
	if !paged {
		return f.listen(ctx)
	}
	if err := f.readOn(ctx); err != nil || f.stopped { // much faster than one by one
		return err
	}
	if f.client.ours.Load() {
		return f.listen(ctx)
	}
	return f.follow(ctx)
}

// tell yields a page of events, and reports whether the loop continues.
func (f *feed) tell(events []store.Recorded, end bool) bool {
	f.told, f.moved = end, true
	f.stopped = !f.yield(store.Page{Events: events, Head: f.head, Next: f.o.From, End: end}, nil)
	return !f.stopped
}

// resume returns the position from which to request events. It includes the last event
// that was received, to check that the log is the same, unless the server filters it
// out.
func (f *feed) resume() uint64 {
	if f.last.Position > 0 && (f.matched || !f.client.ours.Load()) {
		return f.last.Position
	}
	return f.o.From
}

// same returns an error if e, the first event from resume on, shows that the log is
// another one. Otherwise it reports whether e was received before.
func (f *feed) same(e *store.Recorded) (bool, error) {
	if f.last.Position == 0 {
		return false, nil
	}
	if e.Position == f.last.Position && e.ID == f.last.EventID {
		return true, nil
	}
	diverged := &store.DivergedError{Checkpoint: f.last, Head: max(e.Position, f.head)}
	if e.Position == f.last.Position {
		diverged.Found = e.ID
	}
	return false, diverged
}

// seen records that e has arrived.
func (f *feed) seen(e *store.Recorded) {
	f.last = store.Checkpoint{Position: e.Position, EventID: e.ID}
	f.matched = f.o.Filter.Matches(e)
	f.head = max(f.head, e.Position)
	f.o.From = max(f.o.From, e.Position+1)
}

// receiver is the subscription of one connection, and a goroutine that receives from
// it.
type receiver struct {
	messages chan *eventstorev1.SubscribeResponse
	err      error // set before messages is closed
}

// receive subscribes from position from on, until ctx ends. It leaves out the prefix if
// the server might take it for a pattern.
func (f *feed) receive(ctx context.Context, from uint64, md ...string) (*receiver, error) {
	req := &eventstorev1.SubscribeRequest{TenantId: f.tenant, FromGlobalNonce: reachable(from, true)}
	if f.client.ours.Load() {
		req.AggregateIdPrefix = f.o.Filter.IDPrefix
	}
	if err := f.client.begin(); err != nil {
		return nil, err
	}
	stream, err := f.client.api.Subscribe(outgoing(ctx, md...), req)
	if err != nil {
		f.client.running.Done()
		return nil, err
	}
	r := &receiver{messages: make(chan *eventstorev1.SubscribeResponse, received)}
	go func() { // ends with ctx; Close waits for it
		defer f.client.running.Done()
		defer close(r.messages)
		for {
			m, err := stream.Recv()
			if err != nil {
				r.err = fmt.Errorf("store/grpc: subscribe: %w", err)
				return
			}
			select {
			case r.messages <- m:
			case <-ctx.Done(): // Recv returns its error
			}
		}
	}()
	return r, nil
}
