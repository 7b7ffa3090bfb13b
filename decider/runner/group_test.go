package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type group = runner.Group[command, account, event]

// slow makes each call of st take a millisecond.
func slow(st *spy) *spy {
	st.onAppend = func(_ context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
		time.Sleep(time.Millisecond / 2)
		defer time.Sleep(time.Millisecond / 2)
		return do()
	}
	st.onRead = func(_ context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
		defer time.Sleep(time.Millisecond)
		return do()
	}
	return st
}

// result is the result of a call to a group.
type result struct {
	out outcome
	err error
}

// together handles cmds on account "a" in one batch, after a batch that opens the
// account, and returns the result of each. Command i has the ID "c<i>" unless its options
// set another one.
func together(t *testing.T, g *group, st *spy, cmds []command, opts ...[]runner.Option) []result {
	t.Helper()
	gate := make(chan struct{})
	outer := st.onRead
	st.onRead = func(ctx context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
		<-gate
		if outer != nil {
			return outer(ctx, n, do)
		}
		return do()
	}
	results := make([]result, len(cmds))
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = g.Handle(t.Context(), "a", touch{}) })
	synctest.Wait()
	for i, c := range cmds {
		var o []runner.Option
		if i < len(opts) {
			o = opts[i]
		}
		wg.Go(func() { results[i].out, results[i].err = g.Handle(t.Context(), "a", c, o...) })
		synctest.Wait()
	}
	close(gate)
	wg.Wait()
	return results
}

func TestGroupKeepsCallsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(newAccounts(st))
		defer g.Close()
		st.calls()
		results := together(t, g, st, []command{
			deposit{5}, open{"bob"}, withdraw{2, 2}, withdraw{2, 1}, deposit{unencodable}, touch{}, deposit{3}, drain{},
		}, []runner.Option{runner.Metadata(store.Metadata{ActorID: "ann"})})
		wants := []struct {
			version uint64
			events  []event
			err     error
		}{
			{2, []event{deposited{5}}, nil},
			{0, nil, errOpen},
			{4, []event{withdrawn{2}, withdrawn{2}}, nil},
			{0, nil, errTooLittle},
			{0, nil, errUnregistered},
			{4, nil, nil},
			{5, []event{deposited{3}}, nil},
			{6, []event{withdrawn{4}}, nil},
		}
		all, recorded := history(t, st.Store, "a")
		for i, want := range wants {
			got := results[i]
			if !errors.Is(got.err, want.err) || got.out.Version != want.version || !slices.Equal(got.out.Events, want.events) {
				t.Errorf("call %d = %+v, %v, want %+v", i, got.out, got.err, want)
			}
			if state := bank.Fold(account{}, all[:want.version]...); want.err == nil && got.out.State != state {
				t.Errorf("call %d: state %+v, want %+v", i, got.out.State, state)
			}
		}
		if a, b := recorded[1].Meta.ActorID, recorded[2].Meta.ActorID; a != "ann" || b != "" {
			t.Errorf("actors %q and %q, want those of the calls", a, b)
		}
		if appends, _ := st.calls(); len(appends) != 1 {
			t.Errorf("%d appends, want one for all", len(appends))
		}
	})
}

// On a hot stream a group is at least 20 times as fast as retrying, measured in virtual
// time with a round trip of 1 ms to the store.
func TestGroupOnAHotStream(t *testing.T) {
	t.Parallel()
	const writers, commands = 64, 10
	measure := func(t *testing.T, handler func(r *accounts) func(context.Context, string, command, ...runner.Option) (outcome, error)) time.Duration {
		t.Helper()
		var took time.Duration
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			handle := handler(newAccounts(slow(st)))
			began := time.Now()
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for range commands {
						if _, err := handle(t.Context(), "a", deposit{1}, runner.MaxAttempts(10_000)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			took = time.Since(began)
			if at := load(t, newAccounts(st), "a"); at.Version != writers*commands+1 {
				t.Errorf("version = %d, want %d", at.Version, writers*commands+1)
			}
		})
		return took
	}
	alone := measure(t, func(r *accounts) func(context.Context, string, command, ...runner.Option) (outcome, error) {
		return r.Handle
	})
	grouped := measure(t, func(r *accounts) func(context.Context, string, command, ...runner.Option) (outcome, error) {
		return runner.NewGroup(r).Handle
	})
	t.Logf("%d commands: %v by retrying, %v in a group, %.0f times", writers*commands, alone, grouped, float64(alone)/float64(grouped))
	if alone < 20*grouped {
		t.Errorf("%v by retrying, %v in a group: less than 20 times", alone, grouped)
	}
}

// A group that is the only writer of a stream reads it once, because it knows what it
// appended. Each command costs the round trip of its append, and at most that of the
// batch before.
func TestGroupReadsOnce(t *testing.T) {
	t.Parallel()
	for _, writers := range []int{1, 32} {
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			st.calls()
			g := runner.NewGroup(newAccounts(slow(st)))
			defer g.Close()
			var mu sync.Mutex
			var took []time.Duration
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for range 20 {
						began := time.Now()
						if _, err := g.Handle(t.Context(), "a", deposit{1}); err != nil {
							t.Error(err)
						}
						mu.Lock()
						took = append(took, time.Since(began))
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			appends, reads := st.calls()
			if len(reads) != 1 {
				t.Errorf("%d writers: %d reads, want one", writers, len(reads))
			}
			slices.Sort(took)
			p50 := took[len(took)/2]
			t.Logf("%d writers, 1 ms from the store: p50 %v, %d appends", writers, p50, len(appends))
			if most := min(writers, 2); p50 > time.Duration(most)*time.Millisecond {
				t.Errorf("%d writers: p50 is %v, want at most %d round trips", writers, p50, most)
			}
		})
	}
}

// The state that a group knows may be old. A rejection, or a command with nothing to do,
// is checked against the stream, and an append that conflicts is decided again.
func TestGroupLooksBeforeItRefuses(t *testing.T) {
	t.Parallel()
	st := newSpy()
	g := runner.NewGroup(newAccounts(st))
	defer g.Close()
	other := newAccounts(st.Store)
	handle := func(c command) (outcome, error) { return g.Handle(t.Context(), "a", c) }
	if _, err := handle(open{"ann"}); err != nil {
		t.Fatal(err)
	}
	must(t, other, "a", deposit{5})
	st.calls()
	if out, err := handle(withdraw{5, 1}); err != nil || out.Version != 3 {
		t.Errorf("a withdrawal of what others deposited = %+v, %v, want version 3", out, err)
	}
	must(t, other, "a", deposit{7})
	if out, err := handle(touch{}); err != nil || out.State.Balance != 7 || out.Version != 4 {
		t.Errorf("nothing to do = %+v, %v, want the balance 7 at version 4", out, err)
	}
	if appends, reads := st.calls(); len(appends) != 1 || len(reads) != 2 {
		t.Errorf("%d appends and %d reads, want the append of the withdrawal, and a read for each command", len(appends), len(reads))
	}
	must(t, other, "a", withdraw{7, 1})
	st.calls()
	if _, err := handle(withdraw{7, 1}); !errors.Is(err, errTooLittle) {
		t.Errorf("a withdrawal of what others took = %v, want %v", err, errTooLittle)
	}
	appends, reads := st.calls()
	if len(appends) != 1 || len(reads) != 1 {
		t.Errorf("%d appends and %d reads, want the append that finds the others and a read", len(appends), len(reads))
	}
	must(t, other, "a", deposit{1})
	if out, err := handle(deposit{1}); err != nil || out.State.Balance != 2 {
		t.Errorf("a deposit = %+v, %v, want the balance 2", out, err)
	}
}

func TestGroupConflictDecidesAllAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		rival(t, st, 2)
		g := runner.NewGroup(newAccounts(st))
		defer g.Close()
		results := together(t, g, st, []command{deposit{5}, withdraw{7, 1}, withdraw{100, 1}, drain{}},
			nil, nil, nil, []runner.Option{runner.MaxAttempts(2)})
		checkHistory(t, st.Store, opened{"ann"}, deposited{1}, deposited{1}, deposited{5}, withdrawn{7})
		for i, want := range []error{nil, nil, errTooLittle, runner.ErrExhausted} {
			if !errors.Is(results[i].err, want) {
				t.Errorf("call %d = %v, want %v", i, results[i].err, want)
			}
		}
		if got := results[1].out; got.Attempts != 3 || got.Version != 5 {
			t.Errorf("call 1 = %+v, want version 5 at the third attempt", got)
		}
		var exhausted *runner.ExhaustedError
		if !errors.As(results[3].err, &exhausted) || exhausted.Attempts != 2 {
			t.Errorf("call 3 = %v, want exhausted after 2 attempts", results[3].err)
		}
	})
}

// A batch in which no command may try again ends after a conflict, and after a lost answer.
func TestGroupThatMayNotTryAgain(t *testing.T) {
	t.Parallel()
	st := newSpy()
	rival(t, st, 1)
	g := runner.NewGroup(newAccounts(st))
	if _, err := g.Handle(t.Context(), "a", deposit{5}, runner.MaxAttempts(1)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Handle = %v, want a conflict", err)
	}
	g.Close()
	if appends, reads := st.calls(); len(appends) != 1 || len(reads) != 1 {
		t.Errorf("%d appends and %d reads, want one of each", len(appends), len(reads))
	}
	st.onAppend = down(1000)
	g = runner.NewGroup(newAccounts(st))
	if _, err := g.Handle(t.Context(), "a", deposit{5}, runner.MaxAttempts(1)); !errors.Is(err, runner.ErrUnknownOutcome) {
		t.Errorf("Handle = %v, want an unknown outcome", err)
	}
	g.Close()
	if appends, _ := st.calls(); len(appends) != 1 {
		t.Errorf("%d appends, want one", len(appends))
	}
}

// A command that was recorded before is answered alone. The other commands do not notice.
func TestGroupReplays(t *testing.T) {
	t.Parallel()
	for name, cached := range map[string]bool{"restarted": false, "cached": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := newSpy()
				r := newAccounts(st)
				if cached {
					r = r.WithCache(runner.Cache[account]{})
				}
				must(t, r, "a", open{"ann"}, runner.CommandID("open"))
				must(t, r, "a", deposit{5}, runner.CommandID("deposit"))
				must(t, r, "a", drain{}, runner.CommandID("drain"))
				g := runner.NewGroup(r)
				defer g.Close()
				id := func(id string) []runner.Option { return []runner.Option{runner.CommandID(id)} }
				results := together(t, g, st, []command{deposit{1}, open{"ann"}, deposit{5}, drain{}, deposit{2}, drain{}},
					id("new"), id("open"), id("deposit"), id("drain"), nil, id("new drain"))
				appends, _ := st.calls()
				for _, a := range appends {
					if len(a.ids) == 1 && a.err != nil {
						t.Errorf("a command that the store had named as recorded was sent alone: %v", a.err)
					}
				}
				events, _ := history(t, st.Store, "a")
				if len(events) != 6 {
					t.Errorf("events %v, want 6", events)
				}
				wants := []result{
					{out: outcome{Events: []event{deposited{1}}}},
					{out: outcome{Events: []event{opened{"ann"}}, Replayed: true}},
					{out: outcome{Events: []event{deposited{5}}, Replayed: true}},
					{out: outcome{Events: []event{withdrawn{5}}, Replayed: true}},
					{out: outcome{Events: []event{deposited{2}}}},
					{out: outcome{Events: []event{withdrawn{3}}}},
				}
				for i, got := range results {
					if got.err != nil || got.out.Replayed != wants[i].out.Replayed || !slices.Equal(got.out.Events, wants[i].out.Events) {
						t.Errorf("call %d = %+v, %v, want %+v", i, got.out, got.err, wants[i].out)
					}
				}
			})
		})
	}
}

func TestGroupUnknownOutcome(t *testing.T) {
	t.Parallel()
	cmds := []command{deposit{5}, withdraw{2, 2}, open{"bob"}, drain{}}
	want := []event{opened{"ann"}, deposited{5}, withdrawn{2}, withdrawn{2}, withdrawn{1}}
	tests := map[string]struct {
		fault    appendFunc
		replayed bool
	}{
		"landed":       {lost(), true},
		"not recorded": {down(3), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := newSpy()
				must(t, newAccounts(st), "a", open{"ann"})
				st.calls()
				st.onAppend = tt.fault
				g := runner.NewGroup(newAccounts(st))
				defer g.Close()
				results := together(t, g, st, cmds)
				checkHistory(t, st.Store, want...)
				for i, got := range results {
					if i == 2 {
						if !errors.Is(got.err, errOpen) {
							t.Errorf("call 2 = %v, want %v", got.err, errOpen)
						}
						continue
					}
					if got.err != nil || got.out.Replayed != tt.replayed || len(got.out.Events) == 0 {
						t.Errorf("call %d = %+v, %v, want it replayed: %t", i, got.out, got.err, tt.replayed)
					}
				}
			})
		})
	}

	t.Run("another process had recorded one of them", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			st.calls()
			st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
				if n == 1 {
					if _, err := newAccounts(st.Store).Handle(ctx, "a", deposit{5}, runner.CommandID("c")); err != nil {
						t.Error(err)
					}
					return store.Appended{}, errDown
				}
				return do()
			}
			g := runner.NewGroup(newAccounts(st))
			defer g.Close()
			results := together(t, g, st, []command{deposit{5}, drain{}}, []runner.Option{runner.CommandID("c")})
			checkHistory(t, st.Store, opened{"ann"}, deposited{5}, withdrawn{5})
			if got := results[0]; got.err != nil || !got.out.Replayed {
				t.Errorf("call 0 = %+v, %v, want it replayed", got.out, got.err)
			}
			if got := results[1]; got.err != nil || got.out.Replayed || !slices.Equal(got.out.Events, []event{withdrawn{5}}) {
				t.Errorf("call 1 = %+v, %v, want it done", got.out, got.err)
			}
		})
	})

	t.Run("that stays unknown", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			st.calls()
			st.onAppend = down(1000)
			g := runner.NewGroup(newAccounts(st))
			defer g.Close()
			results := together(t, g, st, []command{deposit{5}, deposit{6}, withdraw{7, 1}, withdraw{700, 1}},
				[]runner.Option{runner.CommandID("x")}, []runner.Option{runner.CommandID("y")})
			for i, id := range []string{"x", "y", ""} {
				var unknown *runner.UnknownOutcomeError
				if !errors.As(results[i].err, &unknown) || unknown.CommandID != id || !errors.Is(unknown, errDown) {
					t.Errorf("call %d = %v, want an unknown outcome of %q", i, results[i].err, id)
				}
			}
			if !errors.Is(results[3].err, errTooLittle) {
				t.Errorf("call 3 = %v, want %v", results[3].err, errTooLittle)
			}
		})
	})
}

// An argument that the store refuses fails only the command that has it.
func TestGroupInvalidNeighbour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(newAccounts(st))
		defer g.Close()
		bad := runner.Metadata(store.Metadata{ActorID: "\x00"})
		results := together(t, g, st, []command{deposit{1}, deposit{2}, deposit{3}}, nil, []runner.Option{bad})
		for i, want := range []error{nil, store.ErrInvalid, nil} {
			if !errors.Is(results[i].err, want) || want == nil && results[i].err != nil || errors.Is(results[i].err, runner.ErrUnknownOutcome) {
				t.Errorf("call %d = %v, want %v", i, results[i].err, want)
			}
		}
		if events, _ := history(t, st.Store, "a"); len(events) != 3 {
			t.Errorf("events %v, want 3", events)
		}
	})
}

// A call that panics in a batch is run alone, and the batch goes on without it.
func TestGroupPanicIsRunAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, panicked := bank, false
		d.Decide = func(c command, a account) ([]event, error) {
			if c == (drain{}) && !panicked {
				panicked = true
				panic("once")
			}
			return decide(c, a)
		}
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(runner.New("Account", d, st, textCodec{}))
		defer g.Close()
		st.calls()
		for i, got := range together(t, g, st, []command{deposit{1}, drain{}, deposit{2}}) {
			if got.err != nil {
				t.Errorf("call %d = %v", i, got.err)
			}
		}
		appends, _ := st.calls()
		var sizes []int // the two may race, and then one of them is tried again
		for _, a := range appends {
			if a.err == nil {
				sizes = append(sizes, len(a.ids))
			}
		}
		if slices.Sort(sizes); !slices.Equal(sizes, []int{1, 2}) || !panicked {
			t.Errorf("appended %+v, want the deposits at once, and the one that panicked alone", appends)
		}
	})
}

// Events that a store refuses, and that were decided on an old state, are decided again.
func TestGroupRefusedOnAnOldState(t *testing.T) {
	t.Parallel()
	st := newSpy()
	g := runner.NewGroup(newAccounts(st))
	defer g.Close()
	if _, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil {
		t.Fatal(err)
	}
	must(t, newAccounts(st.Store), "a", deposit{1})
	st.onAppend = func(_ context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
		if n == 2 {
			return store.Appended{}, &store.InvalidError{Field: "events", Reason: "are refused"}
		}
		return do()
	}
	out, err := g.Handle(t.Context(), "a", deposit{2})
	if err != nil || out.Version != 3 {
		t.Errorf("Handle = %+v, %v, want the decision on version 2", out, err)
	}
}

// The observer is told why a batch failed.
func TestGroupTellsOfAFailedBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, seen := newSpy(), &notices{}
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(newAccounts(st).WithObserver(seen))
		st.calls()
		st.onAppend = func(context.Context, int, func() (store.Appended, error)) (store.Appended, error) {
			return store.Appended{}, &store.InvalidError{Field: "events", Reason: "are refused"}
		}
		for i, got := range together(t, g, st, []command{deposit{1}, deposit{2}}) {
			if !errors.Is(got.err, store.ErrInvalid) {
				t.Errorf("call %d = %v, want that its events are refused", i, got.err)
			}
		}
		g.Close()
		batches := seen.of(runner.BatchHandled)
		if last := batches[len(batches)-1]; !errors.Is(last.Err, store.ErrInvalid) || last.Events != 0 {
			t.Errorf("told %+v of the batch, want why it failed", last)
		}
	})
}

// A batch that cannot load its stream fails for each caller, and the observer is told why.
func TestGroupThatCannotLoad(t *testing.T) {
	t.Parallel()
	st, seen := newSpy(), &notices{}
	st.onRead = func(context.Context, int, func() (store.Page, error)) (store.Page, error) {
		return store.Page{}, errDown
	}
	g := runner.NewGroup(newAccounts(st).WithObserver(seen))
	if _, err := g.Handle(t.Context(), "a", open{"ann"}); !errors.Is(err, errDown) {
		t.Errorf("Handle = %v, want %v", err, errDown)
	}
	g.Close()
	if batches := seen.of(runner.BatchHandled); len(batches) != 1 || !errors.Is(batches[0].Err, errDown) {
		t.Errorf("told %+v of the batch, want why it failed", batches)
	}
	if _, reads := st.calls(); len(reads) != 1 {
		t.Errorf("%d reads, want one", len(reads))
	}
}

func TestGroupSnapshotsAndNotices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, snaps, seen := newSpy(), &spySnapshots{Snapshots: memory.New()}, &notices{}
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(newAccounts(st).WithObserver(seen).WithSnapshots(snapshots{Store: snaps, Schema: "1", Every: 5}))
		defer g.Close()
		together(t, g, st, []command{deposit{1}, deposit{2}, deposit{3}, deposit{4}, open{"x"}})
		if !slices.Equal(snaps.saved, []uint64{5}) {
			t.Errorf("saved versions %v, want 5", snaps.saved)
		}
		if got := seen.of(runner.EventsAppended); len(got) != 1 || got[0].Events != 4 {
			t.Errorf("appended %+v, want 4 events at once", got)
		}
		handled := seen.of(runner.CommandHandled)
		var text []string
		for _, n := range handled {
			text = append(text, fmt.Sprintln(n.Command, n.Version, n.Events, n.Attempt, n.Err))
		}
		slices.Sort(text)
		want := `runner_test.deposit 2 1 1 <nil>
runner_test.deposit 3 1 1 <nil>
runner_test.deposit 4 1 1 <nil>
runner_test.deposit 5 1 1 <nil>
runner_test.open 0 0 1 account: already open
runner_test.touch 1 0 1 <nil>
`
		if got := strings.Join(text, ""); got != want {
			t.Errorf("handled %s, want %s", got, want)
		}
	})
}
