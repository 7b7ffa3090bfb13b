package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

const (
	inputs    = 10_000
	instances = 500
)

// filled returns a log with inputs of instances. Every second input leads to a command.
func filled(b *testing.B) *memory.Store {
	b.Helper()
	st := memory.New()
	for n := range inputs {
		event, err := events().Encode(happened{Job: strconv.Itoa(n % instances), Text: strconv.Itoa(n % 2)})
		if err != nil {
			b.Fatal(err)
		}
		event.ID = store.NewID()
		if _, err := st.Append(b.Context(), store.Stream{Type: "Job", ID: strconv.Itoa(n % instances)}, store.Any, []store.Event{event}); err != nil {
			b.Fatal(err)
		}
	}
	return st
}

// counting counts its inputs, and sends a command for every second one.
func counting() decider.Process[happened, int, string] {
	return decider.Process[happened, int, string]{
		Key:    func(e happened) (string, bool) { return e.Job, true },
		Evolve: func(n int, _ happened) int { return n + 1 },
		React: func(_ int, e happened) (r decider.Reaction[string, happened]) {
			if e.Text == "1" {
				r.Send = []string{e.Job}
			}
			return r
		},
	}
}

func receivers(st store.Store) *runner.Runner[string, int, string] {
	d := decider.New(func(cmd string, _ int) ([]string, error) { return []string{cmd}, nil }, func(n int, _ string) int { return n + 1 })
	return runner.New("Got", d, st, codec.JSON(map[string]string{"Got": ""})).WithCache(runner.Cache[int]{})
}

// BenchmarkCatchUp goes through a log with a Runtime, with a handwritten projection that
// loads and saves the states and sends the same commands, and with a loop that keeps the
// states in memory only. ns/op is per input.
func BenchmarkCatchUp(b *testing.B) {
	b.Run("runtime", func(b *testing.B) {
		for n := 0; n < b.N; n += inputs {
			b.StopTimer()
			st := filled(b)
			p := process.New(st, memory.New(), "Counting", counting(), jobs())
			head, err := st.Head(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			done := make(chan error)
			b.StartTimer()
			go func() {
				done <- p.Run(ctx, process.To(receivers(memory.New()), func(c string) (id, cmd string) { return c, c }))
			}()
			if err := p.WaitFor(ctx, head); err != nil {
				b.Fatal(err)
			}
			stop()
			if err := <-done; !errors.Is(err, context.Canceled) {
				b.Fatal(err)
			}
		}
	})
	b.Run("handwritten projection", func(b *testing.B) {
		for n := 0; n < b.N; n += inputs {
			b.StopTimer()
			st := filled(b)
			b.StartTimer()
			onProjection(b, st)
		}
	})
	b.Run("loop", func(b *testing.B) {
		for n := 0; n < b.N; n += inputs {
			b.StopTimer()
			st := filled(b)
			b.StartTimer()
			byHand(b, st)
		}
	})
}

func byHand(b *testing.B, st *memory.Store) {
	b.Helper()
	p, r := counting(), receivers(memory.New())
	states := map[string]int{}
	for page, err := range st.Subscribe(b.Context(), store.LogOptions{}) {
		if err != nil {
			b.Fatal(err)
		}
		found, err := events().Decode(nil, page.Events)
		if err != nil {
			b.Fatal(err)
		}
		for i, e := range found {
			states[e.Job] = p.Evolve(states[e.Job], e)
			for _, cmd := range p.React(states[e.Job], e).Send {
				_, err := r.Handle(b.Context(), cmd, cmd, runner.CommandID(page.Events[i].ID), runner.Metadata(store.Metadata{CausationID: page.Events[i].ID}))
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		if page.End {
			return
		}
	}
}

// onProjection is a handwritten process made of a projection and a runner.
func onProjection(b *testing.B, st *memory.Store) {
	b.Helper()
	target, do, r := memory.New(), counting(), receivers(memory.New())
	p := projection.New(st, target, "counting", jobs(), func(ctx context.Context, tx *memory.Tx, e projection.Event[happened]) error {
		docs, err := tx.LoadDocuments("count", []string{e.Event.Job})
		if err != nil {
			return err
		}
		n := 0
		if docs[0].Data != nil {
			if err := json.Unmarshal(docs[0].Data, &n); err != nil {
				return err
			}
		}
		n = do.Evolve(n, e.Event)
		for _, cmd := range do.React(n, e.Event).Send {
			id := e.Recorded.ID
			if _, err := r.Handle(ctx, cmd, cmd, runner.CommandID(id), runner.Metadata(store.Metadata{CausationID: id})); err != nil {
				return err
			}
		}
		docs[0].Kind, docs[0].ID = "count", e.Event.Job
		if docs[0].Data, err = json.Marshal(n); err != nil {
			return err
		}
		return tx.SaveDocuments(docs)
	})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	head, err := st.Head(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if err := p.WaitFor(ctx, head); err != nil {
		b.Fatal(err)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
}
