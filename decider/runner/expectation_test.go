package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// TestExpectations checks every expectation on a stream that others may move between the
// decision and the append.
func TestExpectations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		st := newSpy()
		version := rapid.Uint64Range(0, 3).Draw(t, "version")
		versions := rapid.SliceOfN(rapid.Uint64Range(0, 5), 0, 3).Draw(t, "versions")
		not := rapid.Bool().Draw(t, "not")
		moves := rapid.IntRange(0, 2).Draw(t, "moves")
		move := func() {
			if _, err := st.Store.Append(context.Background(), stream("a"), store.Any, []store.Event{{ID: store.NewID(), Type: "Deposited", Data: []byte("1")}}); err != nil {
				t.Fatal(err)
			}
		}
		for range version {
			move()
		}
		st.onAppend = func(_ context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
			if n <= moves {
				move()
			}
			return do()
		}
		holds := func(v uint64) bool { return slices.Contains(versions, v) != not }
		opt := runner.ExpectOneOf(versions...)
		if not {
			opt = runner.ExpectNoneOf(versions...)
		}
		var want bool
		actual := version // the version that it is appended to, or fails at
		for i := 0; ; i++ {
			if want = holds(actual); !want || i == moves {
				break
			}
			actual++
		}
		deposits := func(account) (int, []event, error) { return 0, []event{deposited{5}}, nil }
		_, out, err := runner.Transact(context.Background(), newAccounts(st), "a", deposits, opt)
		if want && (err != nil || out.Version != actual+1) {
			t.Fatalf("Transact = version %d, %v, want %d", out.Version, err, actual+1)
		}
		conflict, ok := errors.AsType[*store.ConflictError](err)
		if !want && (!ok || !errors.Is(err, store.ErrConflict) || conflict.Actual != actual || conflict.Stream != stream("a")) {
			t.Fatalf("Transact = %v, want a conflict with version %d", err, actual)
		}
	})
}

func TestExpectationTexts(t *testing.T) {
	t.Parallel()
	r := newAccounts(memory.New())
	must(t, r, "a", open{"ann"})
	for want, opt := range map[string]runner.Option{
		"store: conflict: Account/a is at version 1, not 7":                           runner.ExpectVersion(7),
		"store: conflict: Account/a exists, at version 1":                             runner.ExpectVersion(0),
		"runner: conflict: Account/a is at version 1, want one of 7, 8":               runner.ExpectOneOf(7, 8),
		"runner: conflict: Account/a is at version 1, but no version is acceptable":   runner.ExpectOneOf(),
		"runner: conflict: Account/a is at version 1, but must not be at one of 1":    runner.ExpectNoneOf(1),
		"runner: conflict: Account/a is at version 1, but must not be at one of 0, 1": runner.ExpectNoneOf(0, 1),
	} {
		if _, err := r.Handle(t.Context(), "a", deposit{1}, opt); err == nil || err.Error() != want {
			t.Errorf("Handle = %v, want %q", err, want)
		}
	}
	if _, err := r.Handle(t.Context(), "b", open{"bob"}, runner.ExpectNoneOf(0)); err == nil || err.Error() != "store: conflict: Account/b does not exist" {
		t.Errorf("Handle = %v, want an error that says it does not exist", err)
	}
	if _, err := r.Load(t.Context(), "a", runner.ExpectNoneOf(0)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Load with an expectation = %v, want invalid", err)
	}
}

// TestFingerprint checks that a command ID with another fingerprint is refused, wherever
// it is found, and that the original command is replayed.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	type handler = func(context.Context, string, command, ...runner.Option) (outcome, error)
	for name, handle := range map[string]func(st store.Store) handler{
		"by a runner":       func(st store.Store) handler { return newAccounts(st).Handle },
		"from a cache":      func(st store.Store) handler { return newAccounts(st).WithCache(runner.Cache[account]{}).Handle },
		"in a group":        func(st store.Store) handler { return runner.NewGroup(newAccounts(st)).Handle },
		"in another region": func(st store.Store) handler { return newAccounts(oneByOne{st}).Handle },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newSpy()
			id := []runner.Option{runner.CommandID("c-1"), runner.Metadata(store.Metadata{Headers: map[string]string{"k": "v"}})}
			first, second := append(id, runner.Fingerprint("first")), append(slices.Clone(id), runner.Fingerprint("second"))
			must(t, newAccounts(st), "a", open{"ann"})
			h := handle(st)
			if _, err := h(t.Context(), "a", deposit{5}, first...); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				for i, cmd := range []command{deposit{5}, deposit{6}, withdraw{1000, 1}, touch{}} {
					_, err := h(t.Context(), "a", cmd, second...)
					reused, ok := errors.AsType[*runner.ReusedError](err)
					if !ok || reused.CommandID != "c-1" || reused.Version != 2 || reused.Stream != stream("a") || errors.Is(err, runner.ErrUnknownOutcome) {
						t.Errorf("command %d with another fingerprint = %v, want a *ReusedError", i, err)
					}
				}
				if out, err := h(t.Context(), "a", deposit{6}, first...); err != nil || !out.Replayed || out.Events[0] != (deposited{5}) {
					t.Errorf("the same fingerprint = %+v, %v, want it replayed", out, err)
				}
				if out, err := h(t.Context(), "a", deposit{5}, id...); err != nil || !out.Replayed {
					t.Errorf("no fingerprint = %+v, %v, want it replayed", out, err)
				}
				h = handle(st) // in a new process
			}
			_, recorded := history(t, st.Store, "a")
			if got := recorded[1].Meta.Headers; len(got) != 2 || got[runner.FingerprintHeader] != "first" || got["k"] != "v" {
				t.Errorf("headers %v, want the fingerprint in addition to those of the call", got)
			}
			if _, err := h(t.Context(), "a", deposit{1}, runner.Fingerprint("f")); err != nil {
				t.Errorf("a fingerprint without a command id: %v", err)
			}
			if _, err := h(t.Context(), "a", deposit{1}, runner.CommandID("c-2"), runner.Fingerprint("f")); err != nil {
				t.Errorf("another command id: %v", err)
			}
		})
	}
}

// oneByOne returns pages of one event.
type oneByOne struct{ store.Store }

func (s oneByOne) Read(ctx context.Context, name store.Stream, o store.ReadOptions) (store.Page, error) {
	o.Limit = 1
	return s.Store.Read(ctx, name, o)
}

func TestReusedErrorText(t *testing.T) {
	t.Parallel()
	err := &runner.ReusedError{Stream: stream("a"), CommandID: "c\n1", Version: 7}
	if got := err.Error(); !strings.HasSuffix(got, `command id "c\n1" belongs to another command, recorded at version 7 of Account/a`) {
		t.Errorf("Error() = %s", got)
	}
}
