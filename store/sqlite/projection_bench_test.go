package sqlite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

type deposited struct{ Cents int64 }

type move struct {
	Account string
	Cents   int64
}

func moves() codec.Source[move] {
	return codec.Events(codec.From("Account", codec.JSON(map[string]deposited{"Deposited": {}}),
		func(r *store.Recorded, e deposited) move { return move{r.Stream.ID, e.Cents} }))
}

func balance(m move) (string, bool) { return m.Account, true }

const backlog = 20_000

// backlogged returns a store with a backlog in 200 streams.
func backlogged(b *testing.B) *sqlite.Store {
	b.Helper()
	st := open(b, filepath.Join(b.TempDir(), "events.db"))
	for i := range 200 {
		events := make([]store.Event, backlog/200)
		for j := range events {
			events[j] = store.Event{
				ID: store.NewID(), Type: "Deposited", Schema: 1, ContentType: "application/json", Data: []byte(`{"Cents":5}`),
			}
		}
		if _, err := st.Append(b.Context(), store.Stream{Type: "Account", ID: fmt.Sprint("acc-", i)}, store.Any, events); err != nil {
			b.Fatal(err)
		}
	}
	return st
}

const upsert = `INSERT INTO %s (id, cents) VALUES (?, ?) ON CONFLICT DO UPDATE SET cents = cents + excluded.cents`

// BenchmarkProjection compares the catch-up of projections with hand-written SQL, and
// with a subscription alone. All are in one file.
func BenchmarkProjection(b *testing.B) {
	st := backlogged(b)
	builds := 0
	setup := func(b *testing.B) (name, table string) {
		b.Helper()
		builds++
		table = fmt.Sprintf("balance_%d", builds)
		err := st.Update(b.Context(), func(tx *sqlite.Tx) error {
			_, err := tx.Exec(`CREATE TABLE ` + table + ` (id TEXT PRIMARY KEY, cents INTEGER NOT NULL) STRICT`)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		return "build-" + table, table
	}
	per := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(backlog)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("subscribe alone", func(b *testing.B) {
		for b.Loop() {
			for page, err := range st.Subscribe(b.Context(), store.LogOptions{Filter: moves().Filter()}) {
				if err != nil {
					b.Fatal(err)
				}
				if page.End {
					break
				}
			}
		}
		per(b)
	})
	b.Run("by hand", func(b *testing.B) {
		for b.Loop() {
			name, table := setup(b)
			if err := projectByHand(b.Context(), st, name, fmt.Sprintf(upsert, table)); err != nil {
				b.Fatal(err)
			}
		}
		per(b)
	})
	b.Run("projection", func(b *testing.B) {
		for b.Loop() {
			name, table := setup(b)
			sql := fmt.Sprintf(upsert, table)
			reach(b, projection.New(st, st, name, moves(), func(_ context.Context, tx *sqlite.Tx, e projection.Event[move]) error {
				_, err := tx.Exec(sql, e.Event.Account, e.Event.Cents)
				return err
			}))
		}
		per(b)
	})
	b.Run("documents", func(b *testing.B) {
		add := func(s int64, m move) int64 { return s + m.Cents }
		for b.Loop() {
			name, _ := setup(b)
			reach(b, projection.Documents(st, st, name, moves(), decider.View[int64, move]{Evolve: add}, balance))
		}
		per(b)
	})
}

func reach(b *testing.B, p *projection.Projection[*sqlite.Tx, move]) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	p = p.WithoutLease()
	go func() { defer close(done); _ = p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := p.WaitFor(ctx, backlog); err != nil {
		b.Fatal(err)
	}
}

// projectByHand is a projection written without a library: one transaction for each
// page.
func projectByHand(ctx context.Context, st *sqlite.Store, name, sql string) error {
	var at store.Checkpoint
	for page, err := range st.Subscribe(ctx, store.LogOptions{Filter: moves().Filter()}) {
		if err != nil {
			return err
		}
		if n := len(page.Events); n > 0 {
			last := page.Events[n-1]
			to := store.Checkpoint{Position: last.Position, EventID: last.ID}
			err := st.Update(ctx, func(tx *sqlite.Tx) error {
				for i := range page.Events {
					var e deposited
					if err := json.Unmarshal(page.Events[i].Data, &e); err != nil {
						return err
					}
					if _, err := tx.Exec(sql, page.Events[i].Stream.ID, e.Cents); err != nil {
						return err
					}
				}
				return tx.SaveCheckpoint(name, at, to)
			})
			if err != nil {
				return err
			}
			at = to
		}
		if page.End {
			return nil
		}
	}
	return ctx.Err()
}

// BenchmarkProjectionLive measures the time from the call of Append until the read
// model has the event.
func BenchmarkProjectionLive(b *testing.B) {
	add := func(s int64, m move) int64 { return s + m.Cents }
	event := func() []store.Event {
		return []store.Event{{
			ID: store.NewID(), Type: "Deposited", Schema: 1, ContentType: "application/json", Data: []byte(`{"Cents":5}`),
		}}
	}
	for _, way := range []string{"append alone", "followed", "inline"} {
		b.Run(way, func(b *testing.B) {
			st := open(b, filepath.Join(b.TempDir(), "events.db"))
			p := projection.Documents(st, st, "live", moves(), decider.View[int64, move]{Evolve: add}, balance).WithoutLease()
			stream := store.Stream{Type: "Account", ID: "a"}
			to := store.Store(st)
			if way != "append alone" {
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan struct{})
				go func() { defer close(done); _ = p.Run(ctx) }()
				defer func() { cancel(); <-done }()
			}
			if way == "inline" {
				to = projection.Inline(st, p)
			}
			for b.Loop() {
				at, err := to.Append(b.Context(), stream, store.Any, event())
				if err != nil {
					b.Fatal(err)
				}
				if way == "append alone" {
					continue
				}
				if err := p.WaitFor(b.Context(), at.Position); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
