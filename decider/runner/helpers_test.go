package runner_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type (
	accounts = runner.Runner[command, account, event]
	outcome  = runner.Outcome[account, event]
	loaded   = runner.Loaded[account]
)

// newAccounts returns a runner of the account on st.
func newAccounts(st store.Store) *accounts {
	return runner.New("Account", bank, st, textCodec{})
}

// stream is the stream of account id.
func stream(id string) store.Stream { return store.Stream{Type: "Account", ID: id} }

// appendCall and readCall record the arguments of calls to a spied store.
type appendCall struct {
	expected store.Expected
	ids      []string
	err      error
}

type readCall struct {
	o   store.ReadOptions
	err error
}

// spy is a store that records its calls, and lets a test intervene: before and after run
// around the n-th append or read, counted from 1.
type spy struct {
	store.Store

	onAppend func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error)
	onRead   func(ctx context.Context, n int, do func() (store.Page, error)) (store.Page, error)

	mu      sync.Mutex
	appends []appendCall // guarded by mu
	reads   []readCall   // guarded by mu
	begun   [2]int       // guarded by mu
}

func newSpy() *spy { return &spy{Store: memory.New()} }

func (s *spy) count(kind int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun[kind]++
	return s.begun[kind]
}

func (s *spy) Append(
	ctx context.Context, name store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	n := s.count(0)
	call := appendCall{expected: expected}
	for i := range events {
		call.ids = append(call.ids, events[i].ID)
	}
	events = slices.Clone(events)
	do := func() (store.Appended, error) { return s.Store.Append(ctx, name, expected, events) }
	var a store.Appended
	if s.onAppend != nil {
		a, call.err = s.onAppend(ctx, n, do)
	} else {
		a, call.err = do()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appends = append(s.appends, call)
	return a, call.err
}

func (s *spy) Read(ctx context.Context, name store.Stream, o store.ReadOptions) (store.Page, error) {
	n := s.count(1)
	do := func() (store.Page, error) { return s.Store.Read(ctx, name, o) }
	var page store.Page
	var err error
	if s.onRead != nil {
		page, err = s.onRead(ctx, n, do)
	} else {
		page, err = do()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, readCall{o, err})
	return page, err
}

// calls returns the appends and reads since the last call of calls.
func (s *spy) calls() (appends []appendCall, reads []readCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	appends, reads = s.appends, s.reads
	s.appends, s.reads = nil, nil
	s.begun = [2]int{}
	return appends, reads
}

var errDown = errors.New("store: connection reset")

// must handles c and fails the test if that fails.
func must(t *testing.T, r *accounts, id string, c command, opts ...runner.Option) outcome {
	t.Helper()
	out, err := r.Handle(t.Context(), id, c, opts...)
	if err != nil {
		t.Fatalf("Handle(%s, %#v) = %v", id, c, err)
	}
	return out
}

// intrude handles c on account "a" of st, without the knowledge of the runner under test.
func intrude(ctx context.Context, t *testing.T, st store.Store, c command) {
	t.Helper()
	if _, err := newAccounts(st).Handle(ctx, "a", c); err != nil {
		t.Errorf("intrude with %#v: %v", c, err)
	}
}

// history returns the stored events of account id.
func history(t *testing.T, st store.Store, id string) (events []event, recorded []store.Recorded) {
	t.Helper()
	for e, err := range store.Events(t.Context(), st, stream(id), 0) {
		if err != nil {
			t.Fatalf("read %s: %v", id, err)
		}
		recorded = append(recorded, e)
	}
	events, err := textCodec{}.Decode(nil, recorded)
	if err != nil {
		t.Fatalf("decode %s: %v", id, err)
	}
	return events, recorded
}

// checkHistory fails the test if the stored events of account "a" are not want.
func checkHistory(t *testing.T, st store.Store, want ...event) {
	t.Helper()
	if got, _ := history(t, st, "a"); !slices.Equal(got, want) {
		t.Errorf("events = %v, want %v", got, want)
	}
}

// checkOutcome fails the test if out differs from the expected outcome, with the State
// and Version of the stream.
func checkOutcome(t *testing.T, st store.Store, id string, out outcome, attempts int, replayed bool, events ...event) {
	t.Helper()
	all, recorded := history(t, st, id)
	if want := (loaded{State: bank.Fold(account{}, all...), Version: uint64(len(all))}); out.Loaded != want {
		t.Errorf("Loaded = %+v, want %+v", out.Loaded, want)
	}
	if !slices.Equal(out.Events, events) {
		t.Errorf("Events = %v, want %v", out.Events, events)
	}
	if out.Attempts != attempts || out.Replayed != replayed {
		t.Errorf("Attempts, Replayed = %d, %t, want %d, %t", out.Attempts, out.Replayed, attempts, replayed)
	}
	if len(events) > 0 && !slices.ContainsFunc(recorded, func(e store.Recorded) bool { return e.Position == out.Position }) {
		t.Errorf("Position = %d, which no event of the stream has", out.Position)
	}
}

// panics returns what f panics with, as text.
func panics(t *testing.T, f func()) (text string) {
	t.Helper()
	defer func() {
		text, _ = recover().(string)
	}()
	f()
	t.Error("no panic")
	return ""
}
