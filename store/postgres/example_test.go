package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
)

func Example() {
	ctx := context.Background()
	st, err := postgres.Open(ctx, exampleURL()) // "postgres://user:secret@host/database"
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()

	account := store.Stream{Type: "Account", ID: "acc-1"}
	appended, err := st.Append(ctx, account, store.NoStream, []store.Event{
		{ID: store.NewID(), Type: "AccountOpened", Data: []byte(`{"owner":"Ada"}`)},
		{ID: store.NewID(), Type: "Deposited", Data: []byte(`{"cents":500}`)},
	})
	fmt.Println("version", appended.Version, err)
	for e, err := range store.Events(ctx, st, account, 0) {
		fmt.Println(e.Position, e.Type, string(e.Data), err)
	}
	// Output:
	// version 2 <nil>
	// 1 AccountOpened {"owner":"Ada"} <nil>
	// 2 Deposited {"cents":500} <nil>
}

// token returns a password that is valid for some minutes.
func token(context.Context) (string, error) { return "", nil }

// Your own pool can request a new password for each connection.
func ExampleConfigure() {
	ctx, url := context.Background(), exampleURL()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) (err error) {
		c.Password, err = token(ctx)
		return err
	}
	postgres.Configure(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	st, err := postgres.New(ctx, pool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	head, err := st.Head(ctx)
	fmt.Println("head", head, err)
	// Output: head 0 <nil>
}

// A read model and its checkpoint are committed together, and many statements take one
// round trip.
func ExampleStore_Update() {
	ctx := context.Background()
	st, err := postgres.Open(ctx, exampleURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	cents := 0
	err = st.Update(ctx, func(tx *postgres.Tx) error {
		if err := tx.SaveCheckpoint("balances", store.Checkpoint{}, store.Checkpoint{Position: 2, EventID: "e2"}); err != nil {
			return err // another process got there first
		}
		tx.Queue("CREATE TABLE balance (account text PRIMARY KEY, cents int)")
		if err := tx.Flush(); err != nil {
			return err
		}
		for _, amount := range []int{500, -200} {
			tx.Queue("INSERT INTO balance VALUES ($1, $2) ON CONFLICT (account) DO UPDATE SET cents = balance.cents + excluded.cents", "acc-1", amount)
		}
		return tx.QueryRow(ctx, "SELECT cents FROM balance").Scan(&cents)
	})
	fmt.Println(cents, err)
	// Output: 300 <nil>
}

func ExampleStore_WithTx() {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(exampleURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	postgres.Configure(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	st, err := postgres.New(ctx, pool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()

	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE balance (account text, cents int)"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO balance VALUES ('acc-1', 500)"); err != nil {
			return err
		}
		_, err := st.WithTx(ctx, tx).Append(store.Stream{Type: "Account", ID: "acc-1"}, store.NoStream, []store.Event{
			{ID: store.NewID(), Type: "Deposited", Data: []byte(`{"cents":500}`)},
		})
		return err
	})
	head, _ := st.Head(ctx)
	fmt.Println("head", head, err)
	// Output:
	// head 1 <nil>
}

// Options come after the URL.
func ExampleOption() {
	ctx := context.Background()
	options := []postgres.Option{postgres.WithSchema("bank"), postgres.WithPollOnly(time.Second)}
	st, err := postgres.Open(ctx, exampleURL(), options...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	head, err := st.Head(ctx)
	fmt.Println("head", head, err)
	// Output: head 0 <nil>
}

// An error of the server has a kind, which errors.Is finds, and a code.
func ExampleError() {
	_, err := postgres.Open(context.Background(), "postgres://ann@127.0.0.1:1/bank") // nothing listens there
	fmt.Println(errors.Is(err, postgres.ErrUnavailable))
	if failed, ok := errors.AsType[*postgres.Error](err); ok {
		fmt.Printf("code %q, refused %t\n", failed.Code, failed.Refused)
	}
	// Output:
	// true
	// code "", refused false
}

// Queued statements run together. The error says which of them failed.
func ExampleQueueError() {
	ctx := context.Background()
	st, err := postgres.Open(ctx, exampleURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	err = st.Update(ctx, func(tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE balance (account text PRIMARY KEY, cents int)"); err != nil {
			return err
		}
		tx.Queue("INSERT INTO balance VALUES ($1, $2)", "acc-1", 500)
		tx.Queue("INSERT INTO balances VALUES ($1, $2)", "acc-2", 300)
		return nil
	})
	if failed, ok := errors.AsType[*postgres.QueueError](err); ok {
		fmt.Println("statement", failed.Index, failed.SQL)
	}
	// Output: statement 1 INSERT INTO balances VALUES ($1, $2)
}
