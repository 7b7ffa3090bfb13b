package projection_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

const backlog = 20_000

// filled returns a store with a backlog of events in 200 streams.
func filled(tb testing.TB) *memory.Store {
	tb.Helper()
	st := memory.New()
	for i := range backlog / 4 {
		deposit(tb, st, fmt.Sprint("acc-", i%200), 1, 2, 3, 4)
	}
	return st
}

// image is an image, or a projection that is used like one.
type image interface {
	runner
	WaitFor(ctx context.Context, position uint64) error
}

// waiting has the WaitFor method of a projection without its keys.
type waiting[T projection.Tx, E any] struct{ *projection.Projection[T, E] }

func (w waiting[T, E]) WaitFor(ctx context.Context, position uint64) error {
	return w.Projection.WaitFor(ctx, position)
}

// BenchmarkCatchUp compares projections of a backlog with the minimum: a subscription
// whose events are decoded.
func BenchmarkCatchUp(b *testing.B) {
	st := filled(b)
	builds := 0
	catchUp := func(build func(name string) image) func(b *testing.B) {
		return func(b *testing.B) {
			b.Helper()
			for b.Loop() {
				builds++
				p := build(fmt.Sprint("build ", builds))
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan struct{})
				go func() { defer close(done); _ = p.Run(ctx) }()
				if err := p.WaitFor(ctx, backlog); err != nil {
					b.Fatal(err)
				}
				cancel()
				<-done
			}
			b.ReportMetric(float64(backlog)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		}
	}
	b.Run("subscribe and decode", func(b *testing.B) {
		source := moves()
		for b.Loop() {
			var decoded []codec.Decoded[move]
			for page, err := range st.Subscribe(b.Context(), store.LogOptions{Filter: source.Filter()}) {
				if err != nil {
					b.Fatal(err)
				}
				for i := range page.Events {
					if decoded, err = source.Decode(decoded[:0], &page.Events[i]); err != nil {
						b.Fatal(err)
					}
				}
				if page.End {
					break
				}
			}
		}
		b.ReportMetric(float64(backlog)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("image", catchUp(func(string) image { return projection.NewImage(st, moves(), sum) }))
	b.Run("documents", catchUp(func(name string) image {
		return waiting[*memory.Tx, move]{projection.Documents(st, st, name, moves(), sum, byAccount).WithoutLease()}
	}))
	b.Run("empty handler", catchUp(func(name string) image {
		return waiting[*memory.Tx, move]{projection.New(st, st, name, moves(),
			func(context.Context, *memory.Tx, projection.Event[move]) error { return nil }).WithoutLease()}
	}))
}

// BenchmarkLive measures from the call of Append until the event is in the read model.
func BenchmarkLive(b *testing.B) {
	for name, inline := range map[string]bool{"followed": false, "inline": true} {
		b.Run(name, func(b *testing.B) {
			st := memory.New()
			p := projection.Documents(st, st, "live", moves(), sum, byAccount).WithoutLease()
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() { defer close(done); _ = p.Run(ctx) }()
			if err := p.WaitFor(ctx, deposit(b, st, "a", 1).Position); err != nil {
				b.Fatal(err)
			}
			to := store.Store(st)
			if inline {
				to = projection.Inline(st, p)
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				at := deposit(b, to, "a", 1).Position
				if err := p.WaitFor(ctx, at); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			cancel()
			<-done
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
	b.Run("append alone", func(b *testing.B) {
		st := memory.New()
		for b.Loop() {
			deposit(b, st, "a", 1)
		}
	})
}

// BenchmarkBehind reports how much memory a projection holds while 50,000 events wait for a
// slow handler.
func BenchmarkBehind(b *testing.B) {
	st := memory.New()
	for i := range 50_000 / 4 {
		deposit(b, st, fmt.Sprint("acc-", i%200), 1, 2, 3, 4)
	}
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		before := heap()
		reached, leave := make(chan struct{}), make(chan struct{})
		n := 0
		p := projection.New(st, st, store.NewID(), moves(), func(context.Context, *memory.Tx, projection.Event[move]) error {
			if n++; n == 5000 {
				close(reached)
				<-leave
			}
			return nil
		}).WithoutLease()
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = p.Run(ctx) }()
		<-reached
		b.ReportMetric((heap()-before)/(1<<20), "MiB")
		cancel()
		close(leave)
		<-done
	}
}
