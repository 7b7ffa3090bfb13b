package runnertest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
)

// reference is the simplest correct runner or, with a bug, one of many broken ones.
type reference struct {
	bug       bug
	decider   account
	store     store.Store
	codec     codec.Codec[event]
	caches    bool
	snapshots bool
	hook      func(function string)                  // nil: none
	claims    func(id string, e event) []store.Claim // nil: none
	gate      chan struct{}                          // has room for one call
	broken    time.Time                              // of the last panic; guarded by gate
	bare      atomic.Bool                            // claims have panicked

	mu     sync.Mutex
	most   int                       // attempts; guarded by mu
	cache  map[string]loaded         // by aggregate; guarded by mu
	calls  int                       // guarded by mu
	later  map[string][]event        // to be folded into the cached state, by aggregate; guarded by mu
	landed map[string]int            // the number of the call, by command id; guarded by mu
	denied map[string]error          // the rejection, by command id; guarded by mu
	shared map[string]*sharedLoading // by aggregate; guarded by mu
}

type loaded struct {
	State   state
	Version uint64
}

type sharedLoading struct {
	done chan struct{} // closed when at and err are set
	at   loaded
	err  error
}

func openReference(b bug, caches, snapshots bool) runnertest.Open {
	return func(d account, st store.Store, c codec.Codec[event]) runnertest.System {
		return &reference{
			bug: b, decider: d, store: st, codec: c, caches: caches, snapshots: snapshots,
			cache: map[string]loaded{}, landed: map[string]int{}, denied: map[string]error{}, later: map[string][]event{}, shared: map[string]*sharedLoading{},
			gate: make(chan struct{}, 1),
		}
	}
}

// call is a command in progress.
type call struct {
	runnertest.Call
	key     string
	at      loaded
	mine    []event // its events, found in the stream
	mineAt  uint64  // the version of the last of them
	last    []event // its last decision
	batch   []store.Event
	first   *foreseen // at the first append
	next    *foreseen
	shared  bool // the state is that of other callers
	attempt int
	failure error // of the previous attempt
}

// Hook makes the user functions call f.
func (r *reference) Hook(f func(function string)) { r.hook = f }

// Claim makes each event claim the keys that claims returns.
func (r *reference) Claim(claims func(id string, e event) []store.Claim) { r.claims = claims }

// claimed returns the claims of events.
func (r *reference) claimed(c *call, events []event) (claims []store.Claim) {
	if r.bug == "treats a panic of claims as no claims" {
		defer func() { _ = recover() }()
	}
	if r.bug == "claims nothing once claims have panicked" {
		if r.bare.Load() {
			return nil
		}
		defer func() {
			if v := recover(); v != nil {
				r.bare.Store(true)
				panic(v)
			}
		}()
	}
	for _, e := range events {
		if r.claims != nil {
			claims = append(claims, r.claims(c.ID, e)...)
		}
	}
	conflicted := errors.Is(c.failure, store.ErrConflict)
	if r.bug == "claims nothing after a conflict" && conflicted ||
		r.bug == "claims nothing after a lost append" && c.failure != nil && !conflicted {
		return nil
	}
	return claims
}

func (r *reference) call(function string) {
	if r.hook != nil {
		r.hook(function)
	}
}

// guarded calls a function whose panic must not end the call.
func (r *reference) guarded(function string) (err error) {
	if r.bug != "lets an observer end the call" || function != "Observe" {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %v", v)
			}
		}()
	}
	r.call(function)
	return nil
}

func (r *reference) Handle(ctx context.Context, rc runnertest.Call) (out runnertest.Outcome, err error) {
	if r.bug == "stays locked after a panic" || r.bug == "stays locked when the initial state panics" {
		select {
		case r.gate <- struct{}{}:
		case <-ctx.Done():
			return out, ctx.Err()
		}
		if r.bug == "stays locked when the initial state panics" {
			r.decider.Start()
			defer func() { <-r.gate }()
			return r.handle(ctx, rc)
		}
		out, err = r.handle(ctx, rc)
		<-r.gate
		return out, err
	}
	if r.bug == "treats a panic as done" {
		defer func() { _ = recover() }()
	}
	return r.handle(ctx, rc)
}

func (r *reference) handle(ctx context.Context, rc runnertest.Call) (runnertest.Outcome, error) {
	c := &call{Call: rc, key: r.newKey(rc)}
	r.mu.Lock()
	r.calls++
	denied := r.denied[rc.CommandID]
	r.mu.Unlock()
	if denied != nil && r.bug == "remembers rejections" {
		return runnertest.Outcome{}, denied
	}
	if err := ctx.Err(); err != nil && r.bug != "continues after the context has ended" {
		return runnertest.Outcome{}, err
	}
	ctx, end := r.bug.passesOn(ctx)
	defer end()
	if c.Attempts == 0 {
		c.Attempts = 10
	}
	if r.bug == "counts the attempts of earlier calls" {
		r.mu.Lock()
		r.most = max(r.most, c.Attempts)
		c.Attempts = r.most
		r.mu.Unlock()
	}
	if r.bug == "tries at most twice" {
		c.Attempts = min(c.Attempts, 2)
	}
	if r.bug == "a panic fails all callers that wait" {
		came := time.Now()
		r.gate <- struct{}{}
		defer func() { <-r.gate }()
		if came.Before(r.broken) {
			return runnertest.Outcome{}, errBusy
		}
		defer func() {
			if v := recover(); v != nil {
				r.broken = time.Now()
				panic(v)
			}
		}()
	}
	if r.bug == "treats a panic after a conflict as done, one call at a time" {
		r.gate <- struct{}{}
		defer func() {
			if <-r.gate; c.attempt > 1 {
				_ = recover()
			}
		}()
	}
	if err := r.load(ctx, c); err != nil {
		return runnertest.Outcome{}, err
	}
	var err error
	for c.attempt = 1; c.attempt <= c.Attempts || r.bug == "never gives up"; c.attempt++ {
		if c.attempt > 1 {
			if err := r.again(ctx, c, err); err != nil {
				return runnertest.Outcome{}, err
			}
		}
		var out runnertest.Outcome
		var done bool
		if out, done, err = r.try(ctx, c); done {
			return out, err
		}
		c.failure = err
	}
	if r.bug == "returns no error when it gives up" {
		return r.outcome(c, nil), nil
	}
	return runnertest.Outcome{}, fmt.Errorf("gave up: %w", err)
}

// again runs before every attempt except the first.
func (r *reference) again(ctx context.Context, c *call, last error) error {
	if r.bug == "new ids for each attempt" || r.bug == "compares the version after the append" || r.bug == "new ids for each attempt on an old stream" && c.at.Version > 0 {
		c.key = strconv.FormatUint(rand.Uint64(), 16)
	}
	if err := r.pause(ctx, c.attempt); err != nil {
		if r.bug == "hides the error of the context" {
			return last
		}
		return errors.Join(err, last)
	}
	if r.bug == "reads everything again after a conflict" {
		c.at = r.start()
	}
	return r.read(ctx, c)
}

func (r *reference) pause(ctx context.Context, attempt int) error {
	d := time.Duration(1+rand.IntN(5)) * time.Millisecond
	if attempt == 2 && r.bug != "waits before the second attempt" || r.bug == "does not wait" {
		return ctx.Err()
	}
	if r.bug == "waits although the context has ended" {
		time.Sleep(d)
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try decides and appends. If done is false, the caller retries because of err.
func (r *reference) try(ctx context.Context, c *call) (out runnertest.Outcome, done bool, err error) {
	if len(c.mine) > 0 && !r.overlooks(c) {
		return r.replayed(c), true, nil
	}
	c.mine = nil
	if c.Expected != nil && *c.Expected != c.at.Version && !r.forgetsExpected(c) {
		return out, true, &store.ConflictError{Expected: store.Exactly(*c.Expected), Actual: c.at.Version}
	}
	decide := r.decider.Decide
	if r.bug == "decides by itself" {
		decide = runnertest.Account().Decide
	}
	events, err := decide(c.Command, c.at.State)
	if r.bug == "appends what it decided first" && c.attempt > 1 && c.last != nil {
		events, err = c.last, nil
	}
	if c.attempt > 1 && err == nil {
		events = r.bug.decidesBefore(c, events)
	}
	c.last = events
	if err != nil && r.bug == "rejects a command that it could not look up" {
		return r.lookUp(ctx, c, err)
	}
	switch {
	case err != nil:
		if r.bug == "hides the rejection" {
			err = errors.New(err.Error())
		}
		if c.CommandID != "" {
			r.mu.Lock()
			r.denied[c.CommandID] = err
			r.mu.Unlock()
		}
		return out, r.bug != "retries a rejection", err
	case len(events) == 0 && r.bug != "appends nothing":
		return r.outcome(c, nil), true, nil
	}
	return r.append(ctx, c, events)
}

func (r *reference) forgetsExpected(c *call) bool {
	return r.bug == "ignores the expected version" ||
		r.bug == "retries an expected version" && c.attempt > 1
}

func (r *reference) append(ctx context.Context, c *call, events []event) (out runnertest.Outcome, done bool, err error) {
	batch, err := r.encode(c, events)
	if err == nil && r.bug != "folds after the append" {
		c.next, err = r.foresee(c, batch, events)
		c.first = cmp.Or(c.first, c.next)
	}
	if r.bug == "encodes while it appends" && len(batch) > 0 {
		err = errors.Join(err, nil)
		_, _ = r.store.Append(ctx, streamOf(c.ID), store.Exactly(c.at.Version), batch)
	}
	if err != nil {
		return out, true, err
	}
	appended, err := r.record(ctx, c, batch)
	switch {
	case appended.Replayed && r.bug == "returns the head with the state of its own append":
		err := r.read(ctx, c)
		return runnertest.Outcome{State: c.next.out, Version: c.at.Version, Events: events}, true, err
	case appended.Replayed, errors.Is(err, store.ErrDuplicate):
		if failed := r.read(ctx, c); failed != nil || len(c.mine) == 0 {
			return out, true, errors.Join(err, failed)
		}
		return r.replayed(c), true, nil
	case err == nil:
		out, err = r.appended(ctx, c, batch, events, appended.Version)
		return out, true, err
	case ctx.Err() != nil && r.bug == "hides the error of the context":
		return out, true, errors.New("no answer")
	case ctx.Err() != nil:
		return out, true, errors.Join(ctx.Err(), err)
	case errors.Is(err, store.ErrConflict):
		if r.bug == "forgets a command that conflicted" {
			return r.outcome(c, nil), true, nil
		}
		return out, c.Expected != nil && r.bug != "retries an expected version", err
	case !store.Definite(err) && r.bug == "treats an unknown outcome as done":
		out, err = r.appended(ctx, c, batch, events, c.at.Version+uint64(len(events)))
		return out, true, err
	case !store.Definite(err) && r.bug == "treats an unknown outcome as nothing to do":
		return r.outcome(c, nil), true, nil
	case !store.Definite(err):
		return out, r.bug == "gives up when the outcome is unknown", err
	}
	return out, true, err
}

func (r *reference) record(ctx context.Context, c *call, batch []store.Event) (store.Appended, error) {
	if c.next == nil || len(c.next.claims) == 0 {
		appended, err := r.store.Append(ctx, streamOf(c.ID), r.expected(c), batch)
		if r.bug == "compares the version after the append" && err == nil && appended.Version != c.at.Version+uint64(len(batch)) {
			return store.Appended{}, &store.ConflictError{Expected: store.Exactly(c.at.Version), Actual: appended.Version}
		}
		return appended, err
	}
	claimer := r.store.(store.Claims) //nolint:errcheck // Open guarantees it
	appended, err := claimer.AppendClaiming(ctx, streamOf(c.ID), r.expected(c), batch, c.next.claims)
	if r.bug == "sends again when a key is taken" && errors.Is(err, store.ErrClaimed) {
		return claimer.AppendClaiming(ctx, streamOf(c.ID), r.expected(c), batch, c.next.claims)
	}
	if r.bug == "retries when a key is taken" && errors.Is(err, store.ErrClaimed) {
		err = &store.ConflictError{Stream: streamOf(c.ID)}
	}
	return appended, err
}

// lookUp looks for a rejected command in the whole stream.
func (r *reference) lookUp(ctx context.Context, c *call, rejection error) (out runnertest.Outcome, done bool, err error) {
	c.at = r.start()
	if failed := r.read(ctx, c); failed != nil {
		return out, true, errors.Join(rejection, failed)
	}
	if len(c.mine) > 0 {
		return r.replayed(c), true, nil
	}
	return out, true, rejection
}

func (r *reference) replayed(c *call) runnertest.Outcome {
	out := r.outcome(c, c.mine)
	if r.bug == "replays the initial state" {
		out = runnertest.Outcome{State: r.decider.Start()}
	}
	out.Replayed = true
	return out
}

func (r *reference) expected(c *call) store.Expected {
	if r.bug == "begins a stream at any version" && c.at.Version == 0 || r.bug == "appends at any version" ||
		r.bug == "compares the version after the append" {
		return store.Any
	}
	return store.Exactly(c.at.Version)
}

func (r *reference) encode(c *call, events []event) ([]store.Event, error) {
	if r.bug == "encodes only what it decides first" && len(c.batch) == len(events) {
		return c.batch, nil
	}
	var batch []store.Event
	for i, e := range events {
		encoded, err := r.codec.Encode(e)
		if err != nil {
			return batch, err
		}
		encoded.ID = r.id(c, i)
		batch = append(batch, encoded)
	}
	c.batch = batch
	return batch, nil
}

// foreseen is the expected result of an append.
type foreseen struct {
	events     []event
	at, cached loaded
	out        state
	claims     []store.Claim
	snapshot   []byte // nil: none
}

// foresee runs all user functions before the events are appended.
func (r *reference) foresee(c *call, batch []store.Event, events []event) (*foreseen, error) {
	if r.bug != "does not read back what it writes" {
		recorded := make([]store.Recorded, len(batch))
		for i := range batch {
			recorded[i] = store.Recorded{Event: batch[i], Stream: streamOf(c.ID), Version: c.at.Version + uint64(i) + 1}
		}
		var err error
		if events, err = r.codec.Decode(nil, recorded); err != nil {
			return nil, err
		}
	}
	version := c.at.Version + uint64(len(batch))
	if r.bug == "caches before it folds" && r.caches {
		r.mu.Lock()
		r.cache[c.ID] = loaded{c.at.State, version}
		r.mu.Unlock()
	}
	next := &foreseen{events: events, at: loaded{r.decider.Fold(c.at.State, events...), version}}
	if r.bug != "clones after the append" {
		r.clone(next)
	}
	if r.bug != "calls claims after the append" {
		next.claims = r.claimed(c, events)
	}
	if r.snapshots && r.guarded("Snapshots.Encode") == nil {
		next.snapshot, _ = json.Marshal(next.at)
	}
	return next, nil
}

func (r *reference) clone(next *foreseen) {
	next.out = r.copied(next.at.State)
	if r.caches {
		next.cached = loaded{r.copied(next.at.State), next.at.Version}
	}
}

func (r *reference) appended(ctx context.Context, c *call, batch []store.Event, events []event, version uint64) (runnertest.Outcome, error) {
	before := c.at.State
	if r.bug == "folds after the append" {
		var err error
		if c.next, err = r.foresee(c, batch, events); err != nil {
			return runnertest.Outcome{}, err
		}
	}
	if r.bug == "clones after the append" {
		r.clone(c.next)
	}
	if r.bug == "calls claims after the append" {
		r.claimed(c, events)
	}
	if r.bug == "folds in place after the append" && r.decider.EvolveInPlace != nil {
		s := before
		for _, e := range events {
			r.decider.EvolveInPlace(&s, e)
		}
	}
	c.at = c.next.at
	if r.bug == "saves what it foresaw first" {
		c.next.snapshot, _ = json.Marshal(loaded{c.first.at.State, version})
	}
	r.save(ctx, c)
	r.mu.Lock()
	r.landed[c.key] = r.calls
	if r.caches && c.next.at.Version >= r.cache[c.ID].Version {
		r.cache[c.ID] = r.bug.caches(c, uint64(len(events)))
		if r.bug == "folds later what it returned" {
			r.cache[c.ID], r.later[c.ID] = loaded{before, version - uint64(len(events))}, events
		}
	}
	r.mu.Unlock()
	_ = r.guarded("Observe")
	out := runnertest.Outcome{State: c.next.out, Version: version, Events: events}
	if r.bug == "returns the previous state" {
		out.State = before
	}
	if r.bug == "returns the events that it decided first" {
		out.Events = c.first.events
	}
	return out, nil
}

func (r *reference) outcome(c *call, events []event) runnertest.Outcome {
	r.keepCached(c.ID, c.at)
	if r.bug == "lets callers share what they load together" && c.shared {
		return runnertest.Outcome{State: c.at.State, Version: c.at.Version, Events: events}
	}
	return runnertest.Outcome{State: r.copied(c.at.State), Version: c.at.Version, Events: events}
}

func (r *reference) copied(s state) state {
	if r.bug == "returns its cached state" || r.bug == "lets callers share what they load" {
		return s
	}
	r.call("Clone")
	return s.Clone()
}
