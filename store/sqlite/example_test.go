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
