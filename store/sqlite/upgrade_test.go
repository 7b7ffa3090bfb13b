package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// version1 returns the path of a file as the first version of this package wrote it,
// with three events in stream A/1, a snapshot and a checkpoint.
func version1(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	schema, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, path, "PRAGMA journal_mode=WAL; "+string(schema)+`;
INSERT INTO tenant VALUES (1, 'default');
INSERT INTO stream VALUES (1, 1, 'A', '1');
INSERT INTO event VALUES (1, 1, 1, 1, 'e-1', 'T', 1, 'text/plain', 1, 1, '', x'31'),
  (1, 2, 1, 2, 'e-2', 'T', 1, 'text/plain', 2, 2, '', x'32'), (1, 3, 1, 3, 'e-3', 'T', 1, 'text/plain', 3, 3, '', x'33');
INSERT INTO snapshot VALUES (1, 'A', '1', 'v1', 2, x'3939');
INSERT INTO checkpoint VALUES (1, 'view', 3, 'e-3');
PRAGMA application_id=1165380711; PRAGMA user_version=1`)
	return path
}

// TestUpgrade checks that a file of the previous version is upgraded by one of several
// stores that open it at once, and keeps its data.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	path := version1(t)
	stores := make([]*sqlite.Store, 4)
	var all sync.WaitGroup
	for i := range stores {
		all.Go(func() {
			st, err := sqlite.Open(path)
			if err != nil {
				t.Errorf("Open of a file of version 1, concurrently with others: %v", err)
				return
			}
			stores[i] = st
			t.Cleanup(func() {
				if err := st.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	st, other := stores[0], stores[1]
	version := uint64(0)
	for e, err := range store.Events(ctx, st, s, 0) {
		version++
		if want := fmt.Sprint("e-", version); err != nil || e.ID != want || e.Version != version || e.Position != version || string(e.Data) != want[2:] {
			t.Fatalf("event %d of the old file = %+v, %v", version, e, err)
		}
	}
	if snap, ok, err := st.LoadSnapshot(ctx, s, "v1"); version != 3 || !ok || err != nil || string(snap.Data) != "99" {
		t.Errorf("the old file has %d events and the snapshot %+v, %t, %v", version, snap, ok, err)
	}
	if c, err := st.LoadCheckpoint(ctx, "view"); err != nil || c != (store.Checkpoint{Position: 3, EventID: "e-3"}) {
		t.Errorf("the old file has the checkpoint %+v, %v", c, err)
	}
	got, err := st.AppendClaiming(ctx, s, store.Exactly(3), batch(1), []store.Claim{{Key: "k"}})
	if err != nil || got != (store.Appended{Version: 4, Position: 4}) {
		t.Errorf("AppendClaiming to the old file = %+v, %v", got, err)
	}
	if holder, ok, err := other.Holder(ctx, "k"); err != nil || !ok || holder != s {
		t.Errorf("Holder in the old file = %v, %t, %v", holder, ok, err)
	}
	if lease, err := st.AcquireLease(ctx, "view", "a", time.Hour); err != nil || lease.Fence != 1 {
		t.Errorf("AcquireLease in the old file = %+v, %v", lease, err)
	}
	var now int
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&now); err != nil || now != 3 {
		t.Errorf("user_version = %d, %v, want 3", now, err)
	}
	integrity(t, path)
}

// TestGroupOfClaims checks that a refused claim fails no other write of its group, and
// that a later claim in a group sees the earlier ones.
func TestGroupOfClaims(t *testing.T) {
	t.Parallel()
	st := open(t, filepath.Join(t.TempDir(), "events.db"))
	release := sqlite.Hold(st) // so that all writes are in one group
	const n = 20
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			s := store.Stream{Type: "A", ID: strconv.Itoa(i)}
			_, errs[i] = st.AppendClaiming(context.Background(), s, store.NoStream, batch(2), []store.Claim{{Key: fmt.Sprint("k-", i/2)}})
		})
	}
	sqlite.WaitQueued(st, n)
	release()
	all.Wait()
	for i := 0; i < n; i += 2 {
		if (errs[i] == nil) == (errs[i+1] == nil) {
			t.Errorf("two claims of one key in a group: %v and %v, want one refused", errs[i], errs[i+1])
		}
	}
	if head, err := st.Head(context.Background()); head != n || err != nil {
		t.Errorf("Head = %d, %v, want %d: half of the appends", head, err, n)
	}
}
