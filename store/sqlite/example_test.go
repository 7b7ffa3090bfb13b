package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

func Example() {
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

// A projection keeps its rows and its checkpoint together, so that it handles each
// event once, whatever happens in between.
func ExampleStore_Update() {
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
	opened := []store.Event{{ID: "e-1", Type: "AccountOpened"}}
	if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: "acc-1"}, store.NoStream, opened); err != nil {
		fmt.Println(err)
	}

	handle := func(e store.Recorded) error {
		return st.Update(ctx, func(tx *sqlite.Tx) error {
			_, err := tx.Exec("CREATE TABLE IF NOT EXISTS accounts_opened (id TEXT PRIMARY KEY)")
			if err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO accounts_opened VALUES (?)", e.Stream.ID); err != nil {
				return err
			}
			from, err := tx.LoadCheckpoint("accounts")
			if err != nil {
				return err
			}
			return tx.SaveCheckpoint("accounts", from, store.Checkpoint{Position: e.Position, EventID: e.ID})
		})
	}
	page, err := st.ReadAll(ctx, store.LogOptions{})
	fmt.Println(err)
	for _, e := range page.Events {
		fmt.Println(handle(e))
	}
	fmt.Println(st.LoadCheckpoint(ctx, "accounts"))
	// Output:
	// <nil>
	// <nil>
	// {1 e-1} <nil>
}
