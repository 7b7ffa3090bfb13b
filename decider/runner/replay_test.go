package runner_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// variants are runners that know an account in different ways: all must return the
// recorded outcome of a command that was recorded before.
func variants(t *testing.T, st store.Store, snaps store.Snapshots) map[string]*accounts {
	t.Helper()
	plain := newAccounts(st)
	cached := plain.WithCache(runner.Cache[account]{})
	if _, err := cached.Load(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	return map[string]*accounts{
		"restarted": plain,
		"cached":    cached,
		"snapshot":  plain.WithSnapshots(runner.Snapshots[account, event]{Store: snaps, Schema: "1", Every: 1}),
	}
}

// A command ID that was recorded is answered with Replayed, whatever the command would
// decide now, by every kind of runner and with every option.
func TestCommandIDReplays(t *testing.T) {
	t.Parallel()
	landed := map[string]struct {
		cmd    command
		events []event
		first  uint64
	}{
		"rejected now":        {open{"ann"}, []event{opened{"ann"}}, 1},
		"the same events now": {deposit{5}, []event{deposited{5}}, 2},
		"other events now":    {drain{}, []event{withdrawn{5}}, 3},
		"of several events":   {withdraw{3, 3}, []event{withdrawn{3}, withdrawn{3}, withdrawn{3}}, 5},
		"fewer events now":    {withdraw{1, 1}, []event{withdrawn{1}}, 8},
	}
	options := map[string][]runner.Option{
		"plain":        nil,
		"AnyCached":    {runner.AnyCached()},
		"AssumeEmpty":  {runner.AssumeEmpty()},
		"LoadFrom 6":   {runner.LoadFrom(loaded{account{"ann", 4, 6}, 6})},
		"expecting 99": {runner.ExpectVersion(99)},
		"expecting 0":  {runner.ExpectVersion(0), runner.AssumeEmpty()},
		"expecting 9":  {runner.ExpectVersion(9), runner.MaxAttempts(1)},
	}
	prepare := func(t *testing.T) (*spy, *memory.Store) {
		t.Helper()
		st, snaps := newSpy(), memory.New()
		r := newAccounts(st).WithSnapshots(runner.Snapshots[account, event]{Store: snaps, Schema: "1", Every: 1})
		must(t, r, "a", open{"ann"}, runner.CommandID("rejected now"))
		must(t, r, "a", deposit{5}, runner.CommandID("the same events now"))
		must(t, r, "a", drain{}, runner.CommandID("other events now"))
		must(t, r, "a", deposit{10})
		must(t, r, "a", withdraw{3, 3}, runner.CommandID("of several events"))
		must(t, r, "a", withdraw{1, 1}, runner.CommandID("fewer events now"))
		must(t, r, "a", deposit{0})
		return st, snaps
	}
	for id, was := range landed {
		for name, opts := range options {
			t.Run(id+"/"+name, func(t *testing.T) {
				t.Parallel()
				st, snaps := prepare(t)
				for kind, r := range variants(t, st, snaps) {
					before, _ := history(t, st.Store, "a")
					out, err := r.Handle(t.Context(), "a", was.cmd, append(opts, runner.CommandID(id))...)
					if err != nil {
						t.Fatalf("%s: Handle = %v", kind, err)
					}
					checkOutcome(t, st.Store, "a", out, out.Attempts, true, was.events...)
					checkHistory(t, st.Store, before...)
					if want := was.first + uint64(len(was.events)) - 1; out.Position != want {
						t.Errorf("%s: position = %d, want %d", kind, out.Position, want)
					}
				}
			})
		}
	}
}

// A recorded command that the load finds is not decided, nor sent.
func TestCommandIDIsFoundFirst(t *testing.T) {
	t.Parallel()
	st := newSpy()
	must(t, newAccounts(st), "a", open{"ann"})
	must(t, newAccounts(st), "a", deposit{5}, runner.CommandID("once"))
	st.calls()
	d := bank
	d.Decide = func(command, account) ([]event, error) { panic("decided again") }
	out := must(t, runner.New("Account", d, store.Store(st), textCodec{}), "a", deposit{5}, runner.CommandID("once"))
	checkOutcome(t, st.Store, "a", out, 1, true, deposited{5})
	if appends, _ := st.calls(); len(appends) != 0 {
		t.Errorf("%d appends, want none", len(appends))
	}
}

// If the events of a recorded command cannot be read, the error says that they may be
// recorded.
func TestCommandIDThatCannotBeReadAgain(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]struct {
		codec codec.Codec[event]
		read  int // that fails
		want  error
	}{
		"the store fails": {textCodec{}, 2, errDown},
		"the codec fails": {failingCodec{textCodec{}}, 0, errUnregistered},
	} {
		st := newSpy()
		at := must(t, newAccounts(st), "a", open{"ann"}, runner.CommandID("once")).Loaded
		st.calls()
		st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
			if n == fails.read {
				return store.Page{}, errDown
			}
			return do()
		}
		var opts []runner.Option
		if fails.read == 0 {
			opts = append(opts, runner.LoadFrom(at)) // so that the load does not need the codec
		}
		r := runner.New("Account", bank, store.Store(st), fails.codec)
		out, err := r.Handle(t.Context(), "a", open{"ann"}, append(opts, runner.CommandID("once"), runner.MaxAttempts(1))...)
		if !errors.Is(err, fails.want) || !errors.Is(err, runner.ErrUnknownOutcome) {
			t.Errorf("%s: Handle = %+v, %v, want %v, and an unknown outcome", name, out, err, fails.want)
		}
	}
}

// failingCodec cannot decode anything.
type failingCodec struct{ codec.Codec[event] }

func (failingCodec) Decode(dst []event, _ []store.Recorded) ([]event, error) {
	return dst, errUnregistered
}

// A store whose empty pages never report the end is not read for ever.
func TestEmptyPagesEnd(t *testing.T) {
	t.Parallel()
	st := newSpy()
	must(t, newAccounts(st), "a", open{"ann"}, runner.CommandID("once"))
	st.calls()
	st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
		page, err := do()
		if n > 20 {
			return page, errDown
		}
		page.End = false
		return page, err
	}
	if out := must(t, newAccounts(st), "a", open{"ann"}, runner.CommandID("once")); !out.Replayed || len(out.Events) != 1 {
		t.Errorf("Handle = %+v, want a replay of one event", out)
	}
	if out := must(t, newAccounts(st), "b", open{"ann"}, runner.CommandID("once"), runner.LoadFrom(loaded{})); out.Replayed {
		t.Errorf("Handle = %+v, want a new event", out)
	}
}

// A command that was not recorded is decided like any other command.
func TestCommandIDThatLeftNoTrace(t *testing.T) {
	t.Parallel()
	st, snaps := newSpy(), memory.New()
	for kind, r := range variants(t, st, snaps) {
		id := runner.CommandID(kind)
		if _, err := r.Handle(t.Context(), kind, deposit{1}, id); !errors.Is(err, errNotOpen) {
			t.Errorf("%s: Handle = %v, want %v", kind, err, errNotOpen)
		}
		must(t, r, kind, open{"ann"})
		out := must(t, r, kind, touch{}, id)
		checkOutcome(t, st.Store, kind, out, 1, false)
		out = must(t, r, kind, deposit{1}, id)
		checkOutcome(t, st.Store, kind, out, 1, false, deposited{1})
		// The same ID in another stream is another command.
		checkOutcome(t, st.Store, kind+"2", must(t, r, kind+"2", open{"bob"}, id), 1, false, opened{"bob"})
	}
	if _, err := newAccounts(st).Handle(t.Context(), "a", open{"ann"}, runner.CommandID("")); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Handle with an empty command id = %v, want invalid", err)
	}
}

// One command ID, called many times at once, is recorded once.
func TestCommandIDCalledAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		var wg sync.WaitGroup
		var mu sync.Mutex
		first := 0
		for range 20 {
			wg.Go(func() {
				out := must(t, newAccounts(st), "a", deposit{1}, runner.CommandID("c"))
				mu.Lock()
				defer mu.Unlock()
				if !out.Replayed {
					first++
				}
			})
		}
		wg.Wait()
		if first != 1 {
			t.Errorf("%d calls were not replayed, want 1", first)
		}
		checkHistory(t, st.Store, opened{"ann"}, deposited{1})
	})
}

// An ID in a long stream is found. It costs extra reads only when the runner has to
// search for it.
func TestCommandIDInALongStream(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{})
	must(t, r, "a", open{"ann"}, runner.CommandID("first"))
	for range 4 {
		_, _, err := runner.Transact(t.Context(), r, "a", func(account) (int, []event, error) {
			events := make([]event, 900)
			for i := range events {
				events[i] = deposited{1}
			}
			return 0, events, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	st.calls()
	must(t, r, "a", deposit{1}, runner.CommandID("other"))
	if _, reads := st.calls(); len(reads) != 0 {
		t.Errorf("%d reads for a new command on a cached state, want none", len(reads))
	}
	out := must(t, r, "a", open{"ann"}, runner.CommandID("first"))
	checkOutcome(t, st.Store, "a", out, 1, true, opened{"ann"})
	if _, err := r.Handle(t.Context(), "a", open{"bob"}, runner.CommandID("third")); !errors.Is(err, errOpen) {
		t.Errorf("Handle = %v, want %v", err, errOpen)
	}
	// A rejection is not reported when the stream cannot be searched.
	st.calls()
	st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
		if n == 3 {
			return store.Page{}, errDown
		}
		return do()
	}
	if _, err := r.Handle(t.Context(), "a", open{"bob"}, runner.CommandID("third")); !errors.Is(err, errDown) {
		t.Errorf("Handle = %v, want %v", err, errDown)
	}
}

// Transact returns the result of the decision whose events are recorded.
func TestTransactReplayed(t *testing.T) {
	t.Parallel()
	st := newSpy()
	must(t, newAccounts(st), "a", open{"ann"})
	transact := func(r *accounts) (int, outcome) {
		t.Helper()
		result, out, err := runner.Transact(t.Context(), r, "a", func(a account) (int, []event, error) {
			return 7 + a.Moves, []event{deposited{5}}, nil
		}, runner.CommandID("c"))
		if err != nil {
			t.Fatal(err)
		}
		return result, out
	}
	st.calls()
	st.onAppend = func(_ context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
		_, _ = do()
		return store.Appended{}, errDown
	}
	if result, out := transact(newAccounts(st)); result != 8 || !out.Replayed {
		t.Errorf("Transact = %d, %+v, want the result 8 of the append whose answer was lost", result, out)
	}
	for kind, r := range variants(t, st, memory.New()) {
		if result, out := transact(r); result != 0 || !out.Replayed {
			t.Errorf("%s: Transact = %d, %+v, want no result of an earlier call", kind, result, out)
		}
	}
}

func TestEventIDs(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

	t.Run("of a command id never change", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		r := newAccounts(st)
		must(t, r, "a", open{"ann"}, runner.CommandID("c1"))
		must(t, r, "a", deposit{4})
		must(t, r, "a", withdraw{2, 2}, runner.CommandID("c2"))
		_, recorded := history(t, st, "a")
		want := map[int]string{0: goldenC1, 2: goldenC2First, 3: goldenC2Second}
		for i, id := range want {
			if recorded[i].ID != id {
				t.Errorf("id of event %d = %q, want %q", i+1, recorded[i].ID, id)
			}
		}
	})

	t.Run("without a command id are in the order of time", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		r := newAccounts(st).WithClock(func() time.Time {
			at = at.Add(time.Millisecond)
			return at
		})
		must(t, r, "a", open{"ann"})
		must(t, r, "a", deposit{4})
		must(t, r, "a", withdraw{2, 2})
		_, recorded := history(t, st, "a")
		for i := 1; i < 3; i++ { // the third and the fourth have the same time
			if before, id := recorded[i-1].ID, recorded[i].ID; before >= id || !strings.HasPrefix(id, "019ca94") {
				t.Errorf("id %q comes after %q", id, before)
			}
		}
	})

	// Different streams, IDs and indexes give different event IDs, wherever one name ends
	// and the next begins. The version does not matter.
	t.Run("are a function of stream, command and index", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			name := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 1, 3, -1)
			type place struct{ typ, id, command string }
			ids := map[string]string{}
			for range 10 {
				p := place{name.Draw(t, "type"), name.Draw(t, "id"), name.Draw(t, "command")}
				st := memory.New()
				r := runner.New(p.typ, bank, st, textCodec{})
				skip := rapid.IntRange(0, 2).Draw(t, "version")
				for range skip {
					_, _, err := runner.Transact(context.Background(), r, p.id, func(account) (int, []event, error) {
						return 0, []event{deposited{1}}, nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				_, _, err := runner.Transact(context.Background(), r, p.id, func(account) (int, []event, error) {
					return 0, []event{deposited{1}, deposited{1}}, nil
				}, runner.CommandID(p.command))
				if err != nil {
					t.Fatal(err)
				}
				page, err := st.Read(context.Background(), store.Stream{Type: p.typ, ID: p.id}, store.ReadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				for i, e := range page.Events[skip:] {
					key := fmt.Sprintf("%q %d", p, i)
					if was, ok := ids[e.ID]; ok && was != key {
						t.Fatalf("id %s belongs to %s and to %s", e.ID, was, key)
					}
					ids[e.ID] = key
				}
				if len(page.Events) != skip+2 || page.Events[skip].ID == page.Events[skip+1].ID {
					t.Fatalf("ids of %v", page.Events)
				}
			}
			seen := map[string]string{}
			for id, key := range ids {
				if other, ok := seen[key]; ok {
					t.Fatalf("%s has the ids %s and %s", key, id, other)
				}
				seen[key] = id
				if !form.MatchString(id) {
					t.Fatalf("%q is not a UUID of version 8", id)
				}
			}
		})
	})

	t.Run("without a command id are new in each call", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		r := newAccounts(st)
		must(t, r, "a", open{"ann"})
		must(t, r, "a", deposit{100})
		for range 20 {
			must(t, r, "a", withdraw{1, 3})
		}
		_, recorded := history(t, st, "a")
		seen := map[string]bool{}
		for i := range recorded {
			id := recorded[i].ID
			if seen[id] || !form.MatchString(id) {
				t.Errorf("id %q occurs twice, or is not a UUID of version 8", id)
			}
			seen[id] = true
		}
	})
}

// The IDs must never change, because they identify commands that are years old.
const (
	goldenC1       = "df540098-b052-8061-bc9f-cb9077d3336a"
	goldenC2First  = "3a3e0037-fa4c-82ac-8f96-a9ca8ab8ef97"
	goldenC2Second = "366a782b-1b99-89d9-9890-d8132b05de24"
)
