package postgres_test

import (
	"context"
	"fmt"

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
