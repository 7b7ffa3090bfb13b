package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// touchy is a runner whose user functions all call touch with their name first.
func touchy(st *memory.Store, touch func(function string)) *accounts {
	d := decider.Decider[command, account, event]{
		Decide:  func(c command, a account) ([]event, error) { touch("Decide"); return decide(c, a) },
		Evolve:  func(a account, e event) account { touch("Evolve"); return evolve(a, e) },
		Initial: func() account { touch("Initial"); return account{} },
	}
	return runner.New("Account", d, store.Store(st), codec.Codec[event](touchyCodec{touch: touch})).
		WithClaims(func(id string, before account, e event, after account) []store.Claim {
			touch("claims")
			if _, ok := e.(opened); ok {
				return []store.Claim{{Key: "owner:" + id}}
			}
			return nil
		}).
		WithCache(runner.Cache[account]{Clone: func(a account) account { touch("Clone"); return a }}).
		WithSnapshots(snapshots{
			Store: touchySnapshots{st, touch}, Schema: "1",
			When:   func(outcome) bool { touch("When"); return true },
			Encode: func(a account) ([]byte, error) { touch("Snapshots.Encode"); return json.Marshal(a) },
			Decode: func(data []byte) (a account, err error) {
				touch("Snapshots.Decode")
				return a, json.Unmarshal(data, &a)
			},
		}).
		WithMetadata(func(context.Context) store.Metadata { touch("Metadata"); return store.Metadata{} })
}

type touchyCodec struct {
	textCodec

	touch func(function string)
}

func (c touchyCodec) Encode(e event) (store.Event, error) {
	c.touch("Encode")
	return c.textCodec.Encode(e)
}

func (c touchyCodec) Decode(dst []event, recorded []store.Recorded) ([]event, error) {
	c.touch("Decode")
	return c.textCodec.Decode(dst, recorded)
}

type touchySnapshots struct {
	*memory.Store

	touch func(function string)
}

func (s touchySnapshots) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	s.touch("SaveSnapshot")
	return s.Store.SaveSnapshot(ctx, snap)
}

// told is an observer that panics on request, and records the other notices.
type told struct {
	notices

	panics func(n runner.Notice) bool
}

func (o *told) Observe(ctx context.Context, n runner.Notice) {
	if o.panics != nil && o.panics(n) {
		panic("observed " + n.Kind.String())
	}
	o.notices.Observe(ctx, n)
}

// Once the events are sent to the store, no user function runs that could fail the
// command, except to save the snapshot.
func TestNothingOfUsersRunsAfterTheAppend(t *testing.T) {
	t.Parallel()
	for name, grouped := range map[string]bool{"runner": false, "group": true} {
		var appended atomic.Bool
		var mu sync.Mutex
		var late []string
		seen := map[string]bool{}
		o := observerFunc(func(n runner.Notice) {
			if n.Kind == runner.EventsAppended {
				appended.Store(true)
			}
		})
		r := touchy(memory.New(), func(function string) {
			mu.Lock()
			defer mu.Unlock()
			if seen[function] = true; appended.Load() && function != "SaveSnapshot" {
				late = append(late, function)
			}
		}).WithObserver(o)
		g := runner.NewGroup(r)
		handle := r.Handle
		if grouped {
			handle = g.Handle
		}
		for _, c := range []command{open{"ann"}, deposit{1}, withdraw{0, 3}} {
			appended.Store(false)
			if _, err := handle(t.Context(), "a", c); err != nil || !appended.Load() {
				t.Fatalf("%s: Handle = %v, appended %t", name, err, appended.Load())
			}
		}
		g.Close() // waits for the last snapshot
		if len(late) > 0 {
			t.Errorf("%s: %v ran after the append", name, late)
		}
		for _, function := range []string{"Decide", "Evolve", "Encode", "Decode", "claims", "Clone", "When", "Snapshots.Encode", "SaveSnapshot", "Metadata"} {
			if !seen[function] {
				t.Errorf("%s: %s did not run at all", name, function)
			}
		}
	}
}

// A Clone that panics when the state of a batch is kept as a snapshot costs only the
// snapshot, and the observer is notified.
func TestCloneThatPanicsInABatch(t *testing.T) {
	t.Parallel()
	failed := 0
	for at := range 8 { // in one of its calls
		o, calls := &told{}, 0
		g := runner.NewGroup(touchy(memory.New(), func(function string) {
			if function == "Clone" {
				if calls++; calls == at {
					panic(errDown)
				}
			}
		}).WithObserver(o))
		if out, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil || out.Version != 1 {
			t.Errorf("call %d: Handle = %+v, %v, want version 1", at, out, err)
		}
		g.Close()
		for _, n := range o.of(runner.SnapshotSaved) {
			if p, ok := errors.AsType[*runner.PanicError](n.Err); ok && p.In == "Cache.Clone" {
				failed++
			}
		}
	}
	if failed != 1 {
		t.Errorf("got %d notices of snapshots whose Clone panicked, want one", failed)
	}
}

// Without snapshots, the observer gets no notice of one, whichever call of Clone panics.
func TestCloneThatPanicsWithoutSnapshots(t *testing.T) {
	t.Parallel()
	for at := range 8 {
		o, calls := &told{}, 0
		g := runner.NewGroup(newAccounts(memory.New()).WithObserver(o).WithCache(runner.Cache[account]{Clone: func(a account) account {
			if calls++; calls == at {
				panic(errDown)
			}
			return a
		}}))
		if out, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil || out.Version != 1 {
			t.Errorf("call %d: Handle = %+v, %v, want version 1", at, out, err)
		}
		g.Close()
		if saved := o.of(runner.SnapshotSaved); len(saved) > 0 {
			t.Errorf("call %d: a notice of a snapshot: %+v", at, saved)
		}
	}
}

type observerFunc func(n runner.Notice)

func (f observerFunc) Observe(_ context.Context, n runner.Notice) { f(n) }

// A snapshot that fails, by an error or a panic, fails no command. The observer is
// notified once.
func TestSnapshotsThatPanicAreTold(t *testing.T) {
	t.Parallel()
	for _, function := range []string{"When", "Snapshots.Encode", "SaveSnapshot"} {
		for _, grouped := range []bool{false, true} {
			o := &told{}
			r := touchy(memory.New(), func(f string) {
				if f == function {
					panic(errDown)
				}
			}).WithObserver(o)
			handle := r.Handle
			var g *group
			if grouped {
				g = runner.NewGroup(r)
				handle = g.Handle
			}
			if out, err := handle(t.Context(), "a", open{"ann"}); err != nil || out.Version != 1 {
				t.Errorf("%s: Handle = %+v, %v, want version 1", function, out, err)
			}
			if grouped {
				g.Close() // waits for the batch
			}
			saved := o.of(runner.SnapshotSaved)
			if len(saved) != 1 {
				t.Errorf("%s: %d notices of the snapshot, want one: %+v", function, len(saved), saved)
				continue
			}
			if p, ok := errors.AsType[*runner.PanicError](saved[0].Err); !ok || !errors.Is(p, errDown) || len(p.Stack) == 0 ||
				!strings.HasPrefix(saved[0].Err.Error(), `save snapshot of `) {
				t.Errorf("%s: notified of %v, want a *PanicError that names the stream", function, saved[0].Err)
			}
		}
	}
	st := memory.New()
	must(t, touchy(st, func(string) {}), "a", open{"ann"})
	o := &told{}
	r := touchy(st, func(f string) {
		if f == "Snapshots.Decode" {
			panic("decode")
		}
	}).WithObserver(o)
	missed := func() string { return fmt.Sprint(o.of(runner.SnapshotMissed)[0].Err) }
	if at, err := r.Load(t.Context(), "a"); err != nil || at.Version != 1 || len(o.of(runner.SnapshotMissed)) != 1 || !strings.HasPrefix(missed(), "load snapshot of ") {
		t.Errorf("Load with a Decode that panics = %+v, %v, notices %+v", at, err, o.all)
	}
}

// A panic of the observer, whenever it happens, does not affect the caller. The observer
// is notified of each of its panics.
func TestObserverThatPanicsChangesNothing(t *testing.T) {
	t.Parallel()
	for kind := runner.StreamLoaded; kind <= runner.BatchHandled; kind++ {
		for _, grouped := range []bool{false, true} {
			st, panicked := newSpy(), 0
			o := &told{panics: func(n runner.Notice) bool {
				if n.Kind == kind {
					panicked++
				}
				return n.Kind == kind
			}}
			rival(t, st, 1)
			r := newAccounts(st).WithObserver(o).WithSnapshots(snapshots{Store: memory.New(), Schema: "1", Every: 1})
			handle := r.Handle
			var g *group
			if grouped {
				g = runner.NewGroup(r)
				handle = g.Handle
			}
			out, err := handle(t.Context(), "a", withdraw{0, 2})
			if err != nil || out.Version != 4 {
				t.Errorf("%s: Handle = %+v, %v, want version 4", kind, out, err)
			}
			if grouped {
				g.Close()
			}
			failed := o.of(runner.ObserverFailed)
			if len(failed) != panicked || panicked == 0 && kind != runner.BatchHandled && kind != runner.SnapshotMissed {
				t.Errorf("%s: %d notices of panics, want %d", kind, len(failed), panicked)
			}
			for _, n := range failed {
				p, ok := errors.AsType[*runner.PanicError](n.Err)
				if !ok || p.In != "Observer.Observe" || p.Value != "observed "+kind.String() || n.Stream != stream("a") {
					t.Errorf("%s: notices %+v", kind, n)
				}
			}
		}
	}
}

// An observer that panics again, when it is notified of its panic, is logged by the default
// logger of the process. One that does not is not.
//
//nolint:paralleltest // it replaces that logger
func TestObserverThatPanicsTwiceIsLogged(t *testing.T) {
	var text bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	defer slog.SetDefault(before)
	once := &told{panics: func(n runner.Notice) bool { return n.Kind == runner.CommandHandled }}
	must(t, newAccounts(memory.New()).WithObserver(once), "a", open{"ann"})
	if text.Len() > 0 {
		t.Errorf("logged %q, though the observer was notified of its panic", &text)
	}
	always := &told{panics: func(n runner.Notice) bool { return n.Kind == runner.CommandHandled || n.Kind == runner.ObserverFailed }}
	must(t, newAccounts(memory.New()).WithObserver(always), "a", open{"ann"})
	if !strings.Contains(text.String(), "panic in Observer.Observe: observed command handled") {
		t.Errorf("logged %q, want the panic", &text)
	}
}

// A panic while nothing is recorded reaches the caller unchanged. A panic while events
// may be recorded is an unknown outcome.
func TestPanicInDoubt(t *testing.T) {
	t.Parallel()
	jitter := runner.Retry{Jitter: func(time.Duration) time.Duration { panic("jitter") }}
	t.Run("after conflicts", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		rival(t, st, 3)
		if text := panics(t, func() { _, _ = newAccounts(st).WithRetry(jitter).Handle(t.Context(), "a", deposit{5}) }); text != "jitter" {
			t.Errorf("panic %q, want the panic of Jitter", text)
		}
	})
	for name, grouped := range map[string]bool{"after lost answers": false, "after lost answers in a group": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			st.calls()
			st.onAppend = down(1000)
			r := newAccounts(st).WithRetry(jitter)
			handle := r.Handle
			if grouped {
				handle = runner.NewGroup(r).Handle
			}
			out, err := handle(t.Context(), "a", deposit{5}, runner.CommandID("c"))
			unknown, ok := errors.AsType[*runner.UnknownOutcomeError](err)
			p, isPanic := errors.AsType[*runner.PanicError](err)
			if !ok || unknown.CommandID != "c" || !isPanic || p.Value != "jitter" || out.Version != 0 {
				t.Errorf("Handle = %+v, %v, want an unknown outcome because of a panic", out, err)
			}
		})
	}
}

// beginner is an observer that is also notified when work begins.
type beginner struct {
	told

	begun []runner.Notice
}

type spanKey struct{}

func (b *beginner) Begin(ctx context.Context, n runner.Notice) context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = append(b.begun, n)
	if n.Command == "runner_test.touch" && n.Kind == runner.CommandHandled {
		panic("begin")
	}
	return context.WithValue(ctx, spanKey{}, fmt.Sprint(n.Kind, " ", len(b.begun)))
}

func (b *beginner) Observe(ctx context.Context, n runner.Notice) {
	if span, _ := ctx.Value(spanKey{}).(string); span != "" {
		n.CommandID = span
	}
	b.told.Observe(ctx, n)
}

// The store, the metadata and the observer get the context that Begin returns, until the
// call ends.
func TestBeginner(t *testing.T) {
	t.Parallel()
	st, b := newSpy(), &beginner{}
	span := func(ctx context.Context) string { s, _ := ctx.Value(spanKey{}).(string); return s }
	var spans []string
	note := func(ctx context.Context) { spans = append(spans, span(ctx)) }
	st.onAppend = func(ctx context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
		note(ctx)
		return do()
	}
	st.onRead = func(ctx context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
		note(ctx)
		return do()
	}
	r := newAccounts(st).WithObserver(b).WithMetadata(func(ctx context.Context) store.Metadata {
		return store.Metadata{ActorID: span(ctx)}
	})
	must(t, r, "a", open{"ann"}, runner.CommandID("c"))
	load(t, r, "a")
	if _, err := r.Handle(t.Context(), "a", touch{}); err != nil {
		t.Errorf("Handle with a Begin that panics: %v", err)
	}
	if want := []string{"stream loaded 2", "command handled 1", "stream loaded 3", "stream loaded 5"}; !slices.Equal(spans, want) {
		t.Errorf("the store was called in %q, want %q", spans, want)
	}
	if got := b.begun[0]; got.Stream != stream("a") || got.Command != "runner_test.open" || got.CommandID != "c" || got.Kind != runner.CommandHandled ||
		got.Version != 0 || got.Events != 0 || got.Took != 0 || got.Err != nil {
		t.Errorf("begun with %+v", got)
	}
	if got := b.of(runner.CommandHandled)[0]; got.CommandID != "command handled 1" {
		t.Errorf("observed in the context %q", got.CommandID)
	}
	if failed := b.of(runner.ObserverFailed); len(failed) != 1 {
		t.Errorf("%d notices of the Begin that panics, want one", len(failed))
	}
	_, recorded := history(t, st.Store, "a")
	if got := recorded[0].Meta.ActorID; got != "command handled 1" {
		t.Errorf("the metadata is of %q", got)
	}
}

// A definite answer ends the uncertainty: the first append of a command got no answer and
// was not recorded, the next one conflicts, and the command is then rejected. The result
// is a rejection.
func TestDoubtEnds(t *testing.T) {
	t.Parallel()
	st := newSpy()
	must(t, newAccounts(st), "a", open{"ann"})
	must(t, newAccounts(st), "a", deposit{5})
	st.calls()
	st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
		switch n {
		case 1:
			return store.Appended{}, errDown
		case 2:
			intrude(ctx, t, st.Store, withdraw{5, 1})
		}
		return do()
	}
	_, err := newAccounts(st).Handle(t.Context(), "a", withdraw{5, 1})
	if appends, _ := st.calls(); len(appends) != 2 || !errors.Is(err, runner.ErrRejected) || errors.Is(err, runner.ErrUnknownOutcome) {
		t.Errorf("Handle = %v after %d appends, want a rejection after 2", err, len(appends))
	}
}

// In a Group, Begin is called for the batch, and the store and the notices of the batch
// get the context that it returns.
func TestBeginnerOfBatches(t *testing.T) {
	t.Parallel()
	st, b := newSpy(), &beginner{}
	var span string
	var batch context.Context
	st.onAppend = func(ctx context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
		span, _ = ctx.Value(spanKey{}).(string)
		batch = ctx //nolint:fatcontext // to see that it ends
		return do()
	}
	g := runner.NewGroup(newAccounts(st).WithObserver(b))
	if _, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil {
		t.Fatal(err)
	}
	g.Close()
	if batch.Err() == nil {
		t.Error("the context of a batch does not end with it")
	}
	begun := slices.DeleteFunc(b.begun, func(n runner.Notice) bool { return n.Kind != runner.BatchHandled })
	if len(begun) != 1 || begun[0].Stream != stream("a") {
		t.Errorf("Begin got batches %+v, want one of the stream", begun)
	}
	handled := b.of(runner.BatchHandled)
	if len(handled) != 1 || handled[0].Version != 1 || !strings.HasPrefix(handled[0].CommandID, "batch handled ") || span != handled[0].CommandID {
		t.Errorf("notices of batches %+v, and the store was called in %q; want one at version 1, in the same context", handled, span)
	}
}

// The options override the metadata of the context, header by header.
func TestWithMetadata(t *testing.T) {
	t.Parallel()
	st, calls := newSpy(), 0
	shared := map[string]string{"a": "context", "b": "context"}
	r := newAccounts(st).WithMetadata(func(context.Context) store.Metadata {
		calls++
		return store.Metadata{CorrelationID: "context", CausationID: "context", ActorID: "context", Headers: shared}
	})
	rival(t, st, 2)
	must(t, r, "a", deposit{1}, runner.Metadata(store.Metadata{CausationID: "option", Headers: map[string]string{"b": "option", "c": "option"}}))
	_, recorded := history(t, st.Store, "a")
	got := recorded[len(recorded)-1].Meta
	if got.CorrelationID != "context" || got.CausationID != "option" || got.ActorID != "context" ||
		fmt.Sprint(got.Headers) != "map[a:context b:option c:option]" {
		t.Errorf("metadata %+v", got)
	}
	if calls != 1 || fmt.Sprint(shared) != "map[a:context b:context]" {
		t.Errorf("asked %d times, and the caller's headers are now %v", calls, shared)
	}
	must(t, r, "a", deposit{1}, runner.Metadata(store.Metadata{CorrelationID: "option", ActorID: "option"}))
	_, recorded = history(t, st.Store, "a")
	got = recorded[len(recorded)-1].Meta
	if got.CorrelationID != "option" || got.CausationID != "context" || got.ActorID != "option" || fmt.Sprint(got.Headers) != "map[a:context b:context]" {
		t.Errorf("metadata %+v", got)
	}
}

// A group's batch runs in a context of its own, which has the values that WithContext
// gives it and does not end with a caller's context.
func TestGroupWithContext(t *testing.T) {
	t.Parallel()
	st := newSpy()
	type tenant struct{}
	var seen []string
	st.onAppend = func(ctx context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
		value, _ := ctx.Value(tenant{}).(string)
		seen = append(seen, fmt.Sprint(value, " ", ctx.Err()))
		return do()
	}
	plain := runner.NewGroup(newAccounts(st))
	defer plain.Close()
	ctx := context.WithValue(t.Context(), tenant{}, "acme")
	if _, err := plain.Handle(ctx, "a", open{"ann"}); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	g := plain.WithContext(func(callers []context.Context) context.Context {
		return context.WithValue(ended, tenant{}, fmt.Sprint(callers[0].Value(tenant{}), len(callers)))
	})
	if _, err := g.Handle(ctx, "a", deposit{1}); err != nil {
		t.Fatal(err)
	}
	broken := plain.WithContext(func([]context.Context) context.Context { panic("context") })
	if _, err := broken.Handle(ctx, "a", deposit{1}); err != nil {
		t.Errorf("Handle with a WithContext that panics = %v, want it to run alone", err)
	}
	g.Close()
	broken.Close()
	if want := []string{" <nil>", "acme1 <nil>", "acme <nil>"}; !slices.Equal(seen, want) {
		t.Errorf("the store was called in %q, want %q", seen, want)
	}
	if text := panics(t, func() { plain.WithContext(nil) }); text != "runner: WithContext: values must not be nil" {
		t.Errorf("panic %q", text)
	}
}

// odd is a number whose UnmarshalText fails if it is 13.
type odd struct{ n int }

func (o odd) MarshalText() ([]byte, error) { return fmt.Append(nil, o.n), nil }

func (o *odd) UnmarshalText(text []byte) error {
	if string(text) == "13" {
		panic("thirteen")
	}
	_, err := fmt.Sscan(string(text), &o.n)
	return err
}

// The codecs of package codec check their events when they are made, but cannot try all
// values of a type with its own encoding. A runner reads such events back.
func TestEventsWithCodeOfTheirOwnAreReadBack(t *testing.T) {
	t.Parallel()
	type counted struct{ N odd }
	events := codec.JSON(map[string]counted{"Counted": {}})
	if events.Vouches() || !codec.JSON(map[string]deposited{"Deposited": {}}).Vouches() {
		t.Error("Vouches: want false for a type that marshals itself, and true for one that does not")
	}
	d := decider.New(
		func(n, _ int) ([]counted, error) { return []counted{{odd{n}}}, nil },
		func(sum int, e counted) int { return sum + e.N.n },
	)
	r := runner.New("Counter", d, memory.New(), events)
	if text := panics(t, func() { _, _ = r.Handle(t.Context(), "a", 13) }); text != "thirteen" {
		t.Errorf("Handle panics with %q, want the panic of UnmarshalText", text)
	}
	if _, err := r.Handle(t.Context(), "a", 5); err != nil {
		t.Error(err)
	}
	if at, err := r.Load(t.Context(), "a"); err != nil || at.State != 5 || at.Version != 1 {
		t.Errorf("Load = %+v, %v, want 5 at version 1", at, err)
	}
}

// The context of a batch that WithContext gives values to ends with the batch.
func TestBatchContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		var batch context.Context
		st.onAppend = func(ctx context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
			batch = ctx //nolint:fatcontext // to see that it ends
			return do()
		}
		g := runner.NewGroup(newAccounts(st)).WithContext(func(callers []context.Context) context.Context { return callers[0] })
		if _, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil {
			t.Fatal(err)
		}
		g.Close()
		synctest.Wait()
		if batch.Err() == nil {
			t.Error("the context of a batch does not end with it")
		}
	})
}

// A Transient that panics, in a runner or in a batch, fails only the call whose read
// failed.
func TestTransientThatPanics(t *testing.T) {
	t.Parallel()
	for name, grouped := range map[string]bool{"runner": false, "group": true} {
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		var failing atomic.Bool
		st.onRead = func(_ context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
			if failing.Load() {
				return store.Page{}, errDown
			}
			return do()
		}
		r := newAccounts(st).WithRetry(runner.Retry{Transient: func(error) bool { panic("transient") }})
		g := runner.NewGroup(r)
		defer g.Close()
		handle := r.Handle
		if grouped {
			handle = g.Handle
		}
		failing.Store(true)
		if text := panics(t, func() { _, _ = handle(t.Context(), "a", deposit{1}) }); text != "transient" {
			t.Errorf("%s: panic %q, want the panic of Transient", name, text)
		}
		failing.Store(false)
		if out, err := handle(t.Context(), "a", deposit{2}); err != nil || out.Version != 2 || out.State.Balance != 2 {
			t.Errorf("%s: the next call = %+v, %v, want a balance of 2 at version 2", name, out, err)
		}
	}
}
