package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// TestBackup follows docs/production.md: it copies a store that is in use, restores the
// copy, and detects that the log is behind what a consumer has seen.
func TestBackup(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), store.Stream{Type: "A", ID: "1"}
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "events.db"), filepath.Join(dir, "backup.db")
	st, err := sqlite.Open(path, sqlite.WithNormalSync())
	if err != nil {
		t.Fatal(err)
	}
	begun, done := make(chan struct{}), make(chan error, 1)
	copied, cancel := context.WithCancel(ctx)
	go func() {
		version := uint64(0)
		for copied.Err() == nil || version < 200 {
			got, err := st.Append(ctx, s, store.Exactly(version), batch(2))
			if err != nil {
				done <- err
				return
			}
			if version = got.Version; version == 100 {
				close(begun)
			}
		}
		done <- nil
	}()
	<-begun
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", backup); err != nil {
		t.Fatalf("backup of a store in use: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("Append during a backup = %v", err)
	}
	if _, err := st.Append(ctx, s, store.Any, batch(2)); err != nil {
		t.Fatal(err)
	}
	seen, err := st.ReadAll(ctx, store.LogOptions{Backward: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := store.Checkpoint{Position: seen.Events[0].Position, EventID: seen.Events[0].ID}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}

	restored := filepath.Join(t.TempDir(), "events.db")
	copyFile(t, backup, restored)
	integrity(t, restored)
	ro, err := sqlite.OpenReadOnly(restored)
	if err != nil {
		t.Fatalf("OpenReadOnly of a backup = %v", err)
	}
	was, err := ro.Head(ctx)
	if err != nil || was < 100 || was%2 != 0 || was >= checkpoint.Position {
		t.Errorf("the backup has %d events, %v, want 100 or more, in whole appends, and fewer than %d", was, err, checkpoint.Position)
	}
	if err := ro.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, restored)
	if _, err := store.Resume(ctx, again, checkpoint); !errors.Is(err, store.ErrLogDiverged) {
		t.Errorf("Resume of a consumer that has read further = %v, want ErrLogDiverged", err)
	}
	if got, err := again.Append(ctx, s, store.Exactly(was), batch(1)); err != nil || got.Position != was+1 {
		t.Errorf("Append to the backup = %+v, %v, want position %d", got, err, was+1)
	}
}
