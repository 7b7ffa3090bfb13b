package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
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

const backlog = 20_000

// BenchmarkProjection compares the catch-up of projections with hand-written SQL, and
// with a subscription alone.
func BenchmarkProjection(b *testing.B) {
	st := open(b, postgrestest.URL(b))
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
	builds := 0
	setup := func(b *testing.B) (name, upsert string) {
		b.Helper()
		builds++
		table := fmt.Sprintf("balance_%d", builds)
		err := st.Update(b.Context(), func(tx *postgres.Tx) error {
			_, err := tx.Exec(b.Context(), `CREATE TABLE `+table+` (id text PRIMARY KEY, cents bigint NOT NULL)`)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		return "build-" + table, `INSERT INTO ` + table + ` AS b (id, cents) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET cents = b.cents + excluded.cents`
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
			name, upsert := setup(b)
			if err := projectByHand(b.Context(), st, name, upsert); err != nil {
				b.Fatal(err)
			}
		}
		per(b)
	})
	b.Run("projection", func(b *testing.B) {
		for b.Loop() {
			name, upsert := setup(b)
			reach(b, projection.New(st, st, name, moves(), func(ctx context.Context, tx *postgres.Tx, e projection.Event[move]) error {
				_, err := tx.Exec(ctx, upsert, e.Event.Account, e.Event.Cents)
				return err
			}))
		}
		per(b)
	})
	b.Run("projection, queued", func(b *testing.B) {
		for b.Loop() {
			name, upsert := setup(b)
			reach(b, projection.New(st, st, name, moves(), func(_ context.Context, tx *postgres.Tx, e projection.Event[move]) error {
				tx.Queue(upsert, e.Event.Account, e.Event.Cents)
				return nil
			}))
		}
		per(b)
	})
	b.Run("documents", func(b *testing.B) {
		add := func(s int64, m move) int64 { return s + m.Cents }
		for b.Loop() {
			name, _ := setup(b)
			reach(b, projection.Documents(st, st, name, moves(), decider.View[int64, move]{Evolve: add},
				func(m move) (string, bool) { return m.Account, true }))
		}
		per(b)
	})
}

func reach(b *testing.B, p *projection.Projection[*postgres.Tx, move]) {
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
func projectByHand(ctx context.Context, st *postgres.Store, name, upsert string) error {
	var at store.Checkpoint
	for page, err := range st.Subscribe(ctx, store.LogOptions{Filter: moves().Filter()}) {
		if err != nil {
			return err
		}
		if n := len(page.Events); n > 0 {
			last := page.Events[n-1]
			to := store.Checkpoint{Position: last.Position, EventID: last.ID}
			err := st.Update(ctx, func(tx *postgres.Tx) error {
				for i := range page.Events {
					var e deposited
					if err := json.Unmarshal(page.Events[i].Data, &e); err != nil {
						return err
					}
					if _, err := tx.Exec(ctx, upsert, page.Events[i].Stream.ID, e.Cents); err != nil {
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
