package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
)

// flight is a call in progress, and what it knows about its stream.
type flight[S any] struct {
	stream  store.Stream
	command string // its Go type, if anything will use it
	o       options
	key     key
	attempt int // counted from 1
	most    int // attempts

	at    Loaded[S] // the known state; always replaced as a whole
	from  uint64    // the version after which reading began
	began Origin    // the origin of the first state
	fresh bool      // at was the head of the stream during the call
	seen  time.Time // when that was known, for the cache

	mayGuess bool // the call may decide on a cached state that it has not compared with the stream
	guess    bool // at is such a state
	shared   bool // others wrote to the stream after the cached state that the call began with

	watch  string // the ID of the call's first event, if it may be in the stream
	landed uint64 // the version of that event, once it is found
	found  string // the fingerprint of that event
	doubt  bool   // an append without an answer may have recorded its events

	start    time.Time // of the call, if there is an observer
	answered time.Time // when the store answered the last append, if the observer is notified of it
	ended    time.Time // the same, if nothing that takes time came after it; a look at the clock costs as much as the cache

	decided bool   // the command was decided at least once
	base    uint64 // the version that it was last decided on
}

func (r *Runner[C, S, E]) newFlight(id string, o options) flight[S] {
	f := flight[S]{
		stream: store.Stream{Type: r.streamType, ID: id}, o: o, key: key{command: o.command, first: r.firstType},
		attempt: 1, most: r.retry.Attempts,
	}
	if o.attempts > 0 {
		f.most = o.attempts
	}
	if o.command != "" {
		f.watch = f.key.id(f.stream, 0)
	}
	return f
}

// whole reports whether all IDs of the stream, up to at, were compared with watch.
func (f *flight[S]) whole() bool { return f.from == 0 && f.fresh }

// own reports whether the recorded events are the ones that this call decided.
func (f *flight[S]) own() bool { return f.decided && f.landed == f.base+1 }

// again begins the next attempt after err, when its pause is over. It returns an error
// that wraps err if no attempts are left or ctx ends.
func (r *Runner[C, S, E]) again(ctx context.Context, f *flight[S], err error) error {
	if ctx.Err() != nil {
		return ended(ctx, err)
	}
	if f.attempt >= f.most {
		return &ExhaustedError{Attempts: f.attempt, Err: err}
	}
	f.attempt++
	wait := r.retry.wait(f.attempt)
	if r.observer != nil {
		n := f.notice(CommandRetried, f.at.Version, 0, err)
		n.Took = wait
		r.notify(ctx, &n, time.Time{})
	}
	if !pause(ctx, wait) {
		return ended(ctx, err)
	}
	return nil
}

// commit appends encoded after f.at, with claims, until the outcome is certain or no
// attempts are left. If the stream has moved on, it returns a *store.ConflictError, and
// f.at may have moved too.
func (r *Runner[C, S, E]) commit(
	ctx context.Context, f *flight[S], encoded []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if ctx.Err() != nil {
		return store.Appended{}, ended(ctx, nil)
	}
	base := f.at.Version
	for {
		appended, err := r.send(ctx, f, base, encoded, claims)
		moved := errors.Is(err, store.ErrConflict)
		duplicate := errors.Is(err, store.ErrDuplicate)
		switch {
		case err == nil, duplicate, moved: // definite: nothing sent before was recorded elsewhere
			f.doubt = duplicate // by an earlier call, if it can be found
			return appended, err
		case errors.Is(err, store.ErrClaimed) && !f.doubt:
			return appended, err // which says everything
		case store.Definite(err) && !f.doubt:
			return appended, fmt.Errorf("append to %s: %w", f.stream, err)
		}
		f.doubt, f.watch = true, encoded[0].ID
		r.look(ctx, f)
		switch {
		case f.landed != 0:
			return store.Appended{Version: f.landed + uint64(len(encoded)) - 1, Replayed: true}, nil
		case f.at.Version != base: // the event of another writer is in its place
			f.doubt = false
			return store.Appended{}, conflict(f.stream, base, f.at.Version)
		case !store.Definite(err):
			if err = r.again(ctx, f, err); err == nil {
				continue
			}
		}
		return store.Appended{}, r.unknown(f, err)
	}
}

// unknown returns err as the error of a call whose events may be recorded.
func (r *Runner[C, S, E]) unknown(f *flight[S], err error) error {
	return &UnknownOutcomeError{Stream: f.stream, CommandID: f.o.command, Err: err}
}

// look reads the tail for the call's own event after an append without an answer. With a
// command ID it reads the whole stream, because an earlier call may have appended the
// event. If reading fails, nothing is lost, because sending the events again gives the
// answer.
func (r *Runner[C, S, E]) look(ctx context.Context, f *flight[S]) {
	if ctx.Err() != nil || r.read(ctx, f, 0) != nil {
		return
	}
	if f.landed == 0 && f.key.command != "" && !f.whole() {
		_ = r.search(ctx, f)
	}
}

// send makes one append of encoded after version base.
func (r *Runner[C, S, E]) send(
	ctx context.Context, f *flight[S], base uint64, encoded []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if r.observer == nil {
		return r.append(ctx, f.stream, base, encoded, claims)
	}
	began := f.start.Add(r.since(f.start)) // less than another look at the clock
	appended, err := r.append(ctx, f.stream, base, encoded, claims)
	kind := EventsAppended
	if errors.Is(err, store.ErrConflict) {
		kind = ConflictFound
	}
	n := f.notice(kind, appended.Version, len(encoded), err)
	n.Replayed = appended.Replayed
	r.notify(ctx, &n, began)
	f.answered = began.Add(n.Took)
	return appended, err
}

// notice returns a notice about f.
func (f *flight[S]) notice(kind Kind, version uint64, events int, err error) Notice {
	return Notice{
		Kind: kind, Stream: f.stream, Version: version, Events: events, Attempt: f.attempt, Err: err,
		Command: f.command, CommandID: f.o.command,
	}
}
