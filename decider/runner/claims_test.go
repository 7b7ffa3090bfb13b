package runner_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// words is a decider whose commands are their events: "+k" claims the key k, "-k"
// releases it, and any other word does neither. The state counts them.
func words(st store.Store) *runner.Runner[string, int, string] {
	d := decider.New(
		func(cmd string, _ int) ([]string, error) { return strings.Fields(cmd), nil },
		func(n int, _ string) int { return n + 1 },
	)
	return runner.New("Words", d, st, codec.Values[string]()).WithClaims(func(_ string, _ int, event string, _ int) []store.Claim {
		switch event[0] {
		case '+':
			return []store.Claim{{Key: event[1:]}}
		case '-':
			return []store.Claim{{Key: event[1:], Release: true}}
		}
		return nil
	})
}

// TestClaims checks runners and groups against a plain map of keys to holders.
func TestClaims(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, st := context.Background(), memory.New()
		r := words(st)
		g := runner.NewGroup(r)
		defer g.Close()
		holders := map[string]string{}
		versions := map[string]uint64{}
		word := rapid.SampledFrom([]string{"+a", "-a", "+b", "-b", "x"})
		for range rapid.IntRange(1, 20).Draw(t, "commands") {
			id := rapid.SampledFrom([]string{"s-1", "s-2", "s-3"}).Draw(t, "id")
			events := rapid.SliceOfN(word, 1, 4).Draw(t, "events")
			handle := r.Handle
			if rapid.Bool().Draw(t, "group") {
				handle = g.Handle
			}
			out, err := handle(ctx, id, strings.Join(events, " "))
			after, refused := maps.Clone(holders), ""
			for _, e := range events {
				if e == "x" {
					continue
				}
				if by := after[e[1:]]; by != "" && by != id {
					refused = by
				}
				after[e[1:]] = id
				if e[0] == '-' {
					delete(after, e[1:])
				}
			}
			var claimed *store.ClaimedError
			if refused != "" {
				if !errors.As(err, &claimed) || claimed.Holder.ID != holders[claimed.Key] || claimed.Stream.ID != id || errors.Is(err, runner.ErrUnknownOutcome) {
					t.Fatalf("%s %q = %v, want a *ClaimedError: the holders are %v", id, events, err, holders)
				}
				continue
			}
			versions[id] += uint64(len(events))
			if err != nil || out.Version != versions[id] {
				t.Fatalf("%s %q = version %d, %v; want %d", id, events, out.Version, err, versions[id])
			}
			holders = after
		}
		for _, key := range []string{"a", "b"} {
			if s, held, err := st.Holder(ctx, key); s.ID != holders[key] || held != (holders[key] != "") || err != nil {
				t.Fatalf("Holder(%s) = %v, %v, %v; want %q", key, s, held, err, holders[key])
			}
		}
	})
}

// TestClaimsInAGroup checks that a refused key fails only the command that claims it.
func TestClaimsInAGroup(t *testing.T) {
	t.Parallel()
	ctx, st := t.Context(), memory.New()
	r := words(st)
	if _, err := r.Handle(ctx, "other", "+taken"); err != nil {
		t.Fatal(err)
	}
	g := runner.NewGroup(r)
	defer g.Close()
	const n = 50
	errs := make(chan error, n)
	for i := range n {
		go func() {
			key := fmt.Sprint("k-", i)
			if i == n/2 {
				key = "taken"
			}
			_, err := g.Handle(ctx, "one", "+"+key)
			if (i == n/2) != errors.Is(err, store.ErrClaimed) {
				err = fmt.Errorf("command %d: %w", i, err)
			} else {
				err = nil
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if at, err := r.Load(ctx, "one"); at.Version != n-1 || err != nil {
		t.Errorf("Load = version %d, %v; want %d", at.Version, err, n-1)
	}
}

// TestClaimIsTakenOnce lets many streams claim one key.
func TestClaimIsTakenOnce(t *testing.T) {
	t.Parallel()
	r := words(memory.New())
	const n = 16
	won := make(chan bool, n)
	for i := range n {
		go func() {
			out, err := r.Handle(t.Context(), fmt.Sprint("s-", i), "+key")
			if err != nil && (!errors.Is(err, store.ErrClaimed) || out.Attempts != 0) {
				t.Errorf("Handle: %v", err)
			}
			won <- err == nil
		}()
	}
	winners := 0
	for range n {
		if <-won {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d streams took the key", winners)
	}
}

// TestClaimsOfAReplay checks that a command that was recorded before is answered,
// whichever stream holds its key by now.
func TestClaimsOfAReplay(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), words(memory.New())
	for _, step := range []struct{ id, cmd, command string }{{"s-1", "+key", "c-1"}, {"s-1", "-key", "c-2"}, {"s-2", "+key", "c-3"}} {
		if _, err := r.Handle(ctx, step.id, step.cmd, runner.CommandID(step.command)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := r.Handle(ctx, "s-1", "+key", runner.CommandID("c-1")); err != nil || !out.Replayed {
		t.Errorf("Handle again = %+v, %v; want it replayed", out, err)
	}
}

func TestWithClaimsPanics(t *testing.T) {
	t.Parallel()
	r := words(memory.New())
	for name, f := range map[string]func(){
		"nil":                 func() { r.WithClaims(nil) },
		"a store that cannot": func() { words(struct{ store.Store }{memory.New()}) },
	} {
		if text := panics(t, f); !strings.HasPrefix(text, "runner: WithClaims: ") {
			t.Errorf("%s: panics with %q", name, text)
		}
	}
}

// unhurried is a memory store whose appends take time, so that a batch can form.
type unhurried struct{ *memory.Store }

func (s unhurried) Append(ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	time.Sleep(time.Millisecond)
	return s.Store.Append(ctx, stream, expected, events)
}

// TestClaimsThatPanic checks that a claims function that panics on an event fails only
// the command of that event: nothing of it is recorded, and other commands succeed, also
// in the same batch.
func TestClaimsThatPanic(t *testing.T) {
	t.Parallel()
	for name, grouped := range map[string]bool{"runner": false, "group": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newAccounts(unhurried{memory.New()}).WithClaims(func(_ string, _ account, e event, _ account) []store.Claim {
					if e == (deposited{13}) {
						panic("claims")
					}
					return nil
				})
				g := runner.NewGroup(r)
				defer g.Close()
				handle := r.Handle
				if grouped {
					handle = g.Handle
				}
				if _, err := handle(t.Context(), "a", open{"ann"}); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for _, n := range []int{1, 2, 13, 3, 4} {
					wg.Go(func() {
						if n == 13 {
							if text := panics(t, func() { _, _ = handle(t.Context(), "a", deposit{n}) }); text != "claims" {
								t.Errorf("panic %q, want the panic of the claims", text)
							}
							return
						}
						if _, err := handle(t.Context(), "a", deposit{n}); err != nil {
							t.Errorf("a concurrent call while the claims of another panic = %v", err)
						}
					})
				}
				wg.Wait()
				if at, err := r.Load(t.Context(), "a"); err != nil || at.Version != 5 || at.State.Balance != 10 {
					t.Errorf("Load = %+v, %v, want a balance of 10 at version 5", at, err)
				}
			})
		})
	}
}
