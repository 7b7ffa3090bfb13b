package runner_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// bankInPlace is bank, and evolves in place.
func bankInPlace() decider.Decider[command, account, event] {
	d := bank
	d.EvolveInPlace = func(a *account, e event) { *a = evolve(*a, e) }
	return d
}

// TestLentValues checks that a runner on a store that lends values does what it does on one
// that does not, whatever else is in the stream.
func TestLentValues(t *testing.T) {
	t.Parallel()
	values := codec.Values[event]()
	inPlace := bankInPlace()
	rapid.Check(t, func(t *rapid.T) {
		m := memory.New()
		var lend, other []*accounts
		for _, d := range []*accounts{runner.New("Account", bank, m, values), runner.New("Account", inPlace, m, values)} {
			lend = append(lend, d, d.WithCache(runner.Cache[account]{}))
		}
		for _, d := range []*accounts{runner.New("Account", bank, plainStore{m}, values), runner.New("Account", inPlace, plainStore{m}, values)} {
			other = append(other, d, d.WithCache(runner.Cache[account]{}))
		}
		for range rapid.IntRange(1, 8).Draw(t, "appends") {
			batch := make([]store.Event, rapid.IntRange(1, 20).Draw(t, "events"))
			for i := range batch {
				batch[i], _ = values.Encode(deposited{i})
				batch[i].ID = store.NewID()
			}
			if rapid.IntRange(0, 5).Draw(t, "of another") == 0 {
				foreign := &batch[rapid.IntRange(0, len(batch)-1).Draw(t, "where")]
				foreign.Value = rapid.SampledFrom([]any{nil, "text", opened{"ann"}}).Draw(t, "value")
			}
			if _, err := m.Append(t.Context(), stream("a"), store.Any, batch); err != nil {
				t.Fatal(err)
			}
			id := runner.CommandID(fmt.Sprint("c", rapid.IntRange(0, 2).Draw(t, "command")))
			for i := range lend {
				got, err := lend[i].Load(t.Context(), "a")
				want, wantErr := other[i].Load(t.Context(), "a")
				if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Fatalf("runner %d: Load = %+v, %v, want %+v, %v", i, got, err, want, wantErr)
				}
				out, err := lend[i].Handle(t.Context(), "a", open{"ann"}, id)
				same, wantErr := other[i].Handle(t.Context(), "a", open{"ann"}, id)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) && !errors.Is(wantErr, errOpen) {
					t.Fatalf("runner %d: Handle = %v, want %v", i, err, wantErr)
				}
				if err == nil && (!same.Replayed || out.Loaded != same.Loaded) {
					t.Fatalf("runner %d: Handle = %+v, and again on the other store %+v", i, out, same)
				}
			}
		}
	})
}

// plainStore is a store without its capabilities.
type plainStore struct{ store.Store }

// lender is a store that counts what is not read as values.
type lender struct {
	*memory.Store

	reads *int
}

func (s lender) Read(ctx context.Context, name store.Stream, o store.ReadOptions) (store.Page, error) {
	*s.reads++
	return s.Store.Read(ctx, name, o)
}

// A stream of values is not read as events.
func TestLentValuesAreNotRead(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]decider.Decider[command, account, event]{"Evolve": bank, "EvolveInPlace": bankInPlace()} {
		reads := 0
		r := runner.New("Account", d, store.Store(lender{memory.New(), &reads}), codec.Values[event]())
		must(t, r, "a", open{"ann"})
		must(t, r, "a", withdraw{0, 3})
		if at := load(t, r, "a"); at.Version != 4 || reads != 0 {
			t.Errorf("%s: Load = %+v with %d reads of events, want version 4 without any", name, at, reads)
		}
	}
}

// failingLender is a store whose values cannot be read.
type failingLender struct{ *memory.Store }

func (failingLender) ReadValues(context.Context, store.Stream, uint64) (store.Values, error) {
	return store.Values{}, errDown
}

// A state from beyond the head of a stream is dropped, and a read that fails is an error,
// also if the store lends values.
func TestLentValuesInDoubt(t *testing.T) {
	t.Parallel()
	m := memory.New()
	r := runner.New("Account", bank, store.Store(m), codec.Values[event]())
	want := must(t, r, "a", open{"ann"}).Loaded
	if got := load(t, r, "a", runner.LoadFrom(loaded{account{"eve", 1e6, 1}, 3})); got != want {
		t.Errorf("Load from beyond the head = %+v, want %+v", got, want)
	}
	r = runner.New("Account", bank, store.Store(failingLender{m}), codec.Values[event]())
	for _, from := range []loaded{{}, want} {
		if got, err := r.Load(t.Context(), "a", runner.LoadFrom(from)); !errors.Is(err, errDown) {
			t.Errorf("Load from version %d = %+v, %v, want %v", from.Version, got, err, errDown)
		}
	}
}

// A codec that does not keep values is never passed by.
func TestLentValuesOfAnotherCodec(t *testing.T) {
	t.Parallel()
	m := memory.New()
	must(t, runner.New("Account", bank, store.Store(m), codec.Values[event]()), "a", open{"ann"})
	decoded := 0
	r := runner.New("Account", bank, store.Store(m), codec.Codec[event](countingCodec{textCodec{}, true, &decoded}))
	if at, err := r.Load(t.Context(), "a"); err == nil || decoded != 1 {
		t.Errorf("Load = %+v, %v, and the codec decoded %d events, want the error of one without data", at, err, decoded)
	}
}
