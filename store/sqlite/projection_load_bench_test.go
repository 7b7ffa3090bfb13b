package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

func deposit() []store.Event {
	return []store.Event{{
		ID: store.NewID(), Type: "Deposited", Schema: 1, ContentType: "application/json", Data: []byte(`{"Cents":5}`),
	}}
}

func summed(log, target *sqlite.Store, name string) *projection.Projection[*sqlite.Tx, move] {
	add := func(s int64, m move) int64 { return s + m.Cents }
	return projection.Documents(log, target, name, moves(), decider.View[int64, move]{Evolve: add}, balance).WithoutLease()
}

// following runs p until the benchmark ends.
func following(b *testing.B, p *projection.Projection[*sqlite.Tx, move]) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
}

// BenchmarkProjectionWriters measures 32 writers that append to their own streams:
// alone, with a projection that follows, and with an inline projection.
func BenchmarkProjectionWriters(b *testing.B) {
	for _, way := range []string{"alone", "followed", "inline"} {
		b.Run(way, func(b *testing.B) {
			st := open(b, filepath.Join(b.TempDir(), "events.db"))
			to := store.Store(st)
			if way != "alone" {
				p := summed(st, st, "writers")
				following(b, p)
				if way == "inline" {
					to = projection.Inline(st, p)
				}
			}
			var writers atomic.Int64
			b.SetParallelism(16) // per processor; two processors make 32
			b.RunParallel(func(pb *testing.PB) {
				stream := store.Stream{Type: "Account", ID: fmt.Sprint("w-", writers.Add(1))}
				for pb.Next() {
					if _, err := to.Append(b.Context(), stream, store.Any, deposit()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkWaitFor measures the time from Append to the return of WaitFor, for the
// running projection and for one in a process that does not run it, which asks the
// target.
func BenchmarkWaitFor(b *testing.B) {
	for _, where := range []string{"here", "elsewhere"} {
		b.Run(where, func(b *testing.B) {
			st := open(b, filepath.Join(b.TempDir(), "events.db"))
			p := summed(st, st, "waits")
			following(b, p)
			if where == "elsewhere" {
				p = summed(st, st, "waits")
			}
			var took []time.Duration
			for b.Loop() {
				at, err := st.Append(b.Context(), store.Stream{Type: "Account", ID: "a"}, store.Any, deposit())
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				if err := p.WaitFor(b.Context(), at.Position); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			quantiles(b, took)
		})
	}
}

// BenchmarkAppendBesideCatchUp measures an append while a projection goes through a
// backlog again and again: into the same file with transactions of different lengths,
// and into another file.
func BenchmarkAppendBesideCatchUp(b *testing.B) {
	for name, atMost := range map[string]time.Duration{
		"alone": 0, "same file, 2ms": 2 * time.Millisecond, "same file, 10ms": 10 * time.Millisecond,
		"same file, 50ms": 50 * time.Millisecond, "another file": 50 * time.Millisecond,
	} {
		b.Run(name, func(b *testing.B) {
			st := backlogged(b)
			target := st
			if name == "another file" {
				target = open(b, filepath.Join(b.TempDir(), "models.db"))
			}
			if name != "alone" {
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					for n := 0; ctx.Err() == nil; n++ {
						p := slowly(st, target, fmt.Sprint("again-", n)).WithBatch(2048, atMost)
						running, stop := context.WithCancel(ctx)
						go func() { _ = p.WaitFor(running, backlog); stop() }()
						_ = p.Run(running)
					}
				}()
				defer func() { cancel(); <-done }()
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if _, err := st.Append(b.Context(), store.Stream{Type: "Account", ID: "new"}, store.Any, deposit()); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			quantiles(b, took)
		})
	}
}

// slowly is a projection with one statement per event.
func slowly(log, target *sqlite.Store, name string) *projection.Projection[*sqlite.Tx, move] {
	table := fmt.Sprintf("%q", name)
	return projection.New(log, target, name, moves(), func(_ context.Context, tx *sqlite.Tx, e projection.Event[move]) error {
		_, err := tx.Exec(fmt.Sprintf(upsert, table), e.Event.Account, e.Event.Cents)
		return err
	}).WithoutLease().WithSetup(func(_ context.Context, tx *sqlite.Tx) error {
		_, err := tx.Exec(`CREATE TABLE ` + table + ` (id TEXT PRIMARY KEY, cents INTEGER NOT NULL) STRICT`)
		return err
	})
}

// quantiles reports the median and the 99th percentile.
func quantiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
}
