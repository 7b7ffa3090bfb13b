package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// Paid is an event of the streams of type "Account".
type Paid struct{ Cents int64 }

// Move is what readers make of Paid; it includes the account.
type Move struct {
	Account string
	Cents   int64
}

// payments defines how a reader decodes the log.
var payments = codec.Events(codec.From("Account", codec.JSON(map[string]Paid{"Paid": {}}),
	func(r *store.Recorded, e Paid) Move { return Move{r.Stream.ID, e.Cents} }))

// balances keeps a table of balances.
func balances(log, target *sqlite.Store) *projection.Projection[*sqlite.Tx, Move] {
	return projection.New(log, target, "balances", payments,
		func(_ context.Context, tx *sqlite.Tx, e projection.Event[Move]) error {
			_, err := tx.Exec(`INSERT INTO balance (id, cents) VALUES (?, ?)
				ON CONFLICT DO UPDATE SET cents = cents + excluded.cents`, e.Event.Account, e.Event.Cents)
			return err
		}).
		WithSetup(func(_ context.Context, tx *sqlite.Tx) error {
			_, err := tx.Exec(`CREATE TABLE balance (id TEXT PRIMARY KEY, cents INTEGER NOT NULL) STRICT`)
			return err
		})
}

// balances2 also counts the payments. Readers use the view balance_now.
func balances2(log, target *sqlite.Store) *projection.Projection[*sqlite.Tx, Move] {
	return projection.New(log, target, "balances", payments,
		func(_ context.Context, tx *sqlite.Tx, e projection.Event[Move]) error {
			_, err := tx.Exec(`INSERT INTO balance_2 (id, cents, payments) VALUES (?, ?, 1)
				ON CONFLICT DO UPDATE SET cents = cents + excluded.cents, payments = payments + 1`, e.Event.Account, e.Event.Cents)
			return err
		}).
		WithVersion(2).
		WithSetup(func(_ context.Context, tx *sqlite.Tx) error {
			_, err := tx.Exec(`CREATE TABLE balance_2 (id TEXT PRIMARY KEY, cents INTEGER NOT NULL, payments INTEGER NOT NULL) STRICT`)
			return err
		}).
		WithReady(func(_ context.Context, tx *sqlite.Tx) error {
			_, err := tx.Exec(`DROP VIEW IF EXISTS balance_now; CREATE VIEW balance_now AS SELECT id, cents, payments FROM balance_2`)
			return err
		})
}

// A table in the file of the events, a new version of it, and the view that readers
// use.
func Example_projection() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	st, err := sqlite.Open(filepath.Join(dir, "events.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()

	one, two := balances(st, st), balances2(st, st)
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- one.Run(ctx) }()

	at, err := st.Append(ctx, store.Stream{Type: "Account", ID: "ann"}, store.NoStream, []store.Event{
		{ID: store.NewID(), Type: "Paid", Schema: 1, ContentType: "application/json", Data: []byte(`{"Cents":500}`)},
		{ID: store.NewID(), Type: "Paid", Schema: 1, ContentType: "application/json", Data: []byte(`{"Cents":20}`)},
	})
	if err == nil {
		err = one.WaitFor(ctx, at.Position)
	}
	fmt.Println(one, err)

	go func() { done <- two.Run(ctx) }()
	if err := two.WaitFor(ctx, at.Position); err != nil {
		fmt.Println(err)
	}
	fmt.Println(sums(ctx, st))
	stop()
	fmt.Println(<-done, <-done)
	// Output:
	// balances@1 <nil>
	// ann 520 2 <nil>
	// context canceled context canceled
}

// sums reads the newest table. A program can read it with database/sql, or any other
// client.
func sums(ctx context.Context, st *sqlite.Store) (row string, err error) {
	err = st.Update(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(`SELECT id, cents, payments FROM balance_2 WHERE id = 'ann'`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var cents, payments int64
			if err := rows.Scan(&id, &cents, &payments); err != nil {
				return err
			}
			row = fmt.Sprintf("%s %d %d", id, cents, payments)
		}
		return rows.Err()
	})
	return row, err
}
