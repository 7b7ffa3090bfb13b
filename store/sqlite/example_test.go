package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	st, err := sqlite.Open(filepath.Join(dir, "events.db"), sqlite.WithNormalSync()) // faster, but a power cut may lose the last events
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
// event exactly once, whatever happens in between.
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

// A program that only reads opens the file so that nothing is written, not even a new
// file for a misspelled name.
func ExampleOpenReadOnly() {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "events.db")
	_, err = sqlite.OpenReadOnly(path)
	fmt.Println(errors.Is(err, fs.ErrNotExist))

	st, err := sqlite.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	reader, err := sqlite.OpenReadOnly(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reader.Close()
	opened := []store.Event{{ID: store.NewID(), Type: "AccountOpened"}}
	_, err = reader.Append(context.Background(), store.Stream{Type: "Account", ID: "acc-1"}, store.NoStream, opened)
	fmt.Println(errors.Is(err, sqlite.ErrReadOnly), errors.Is(err, store.ErrRefused))
	// Output:
	// true
	// true true
}

// The store refuses a file of another application and leaves it unchanged.
func ExampleFileError() {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(path, []byte("These are notes, and they are not events at all."), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	_, err = sqlite.Open(path)
	if file, ok := errors.AsType[*sqlite.FileError](err); ok {
		fmt.Println(filepath.Base(file.Path), "is refused:", file.Kind)
	}
	// Output: notes.txt is refused: not a file of this store
}

// An error of your own SQL has the code of SQLite, such as 1555 for a duplicate primary
// key.
func ExampleSQLError() {
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
	err = st.Update(context.Background(), func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("CREATE TABLE bank_owner (name TEXT PRIMARY KEY)"); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO bank_owner VALUES (?), (?)", "Ada", "Ada")
		return err
	})
	if failed, ok := errors.AsType[*sqlite.SQLError](err); ok {
		fmt.Println(failed.Code, failed.Text)
	}
	// Output: 1555 UNIQUE constraint failed: bank_owner.name
}
