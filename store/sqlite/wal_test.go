package sqlite_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// crashed copies the file at path and its log to dir in their current state, as a crash
// of the process that has the file open would leave them.
func crashed(t rapid.TB, path, dir string) string {
	t.Helper()
	to := filepath.Join(dir, "events.db")
	for _, end := range []string{"-wal", ""} {
		data, err := os.ReadFile(path + end)
		if errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(to + end)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+end, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestRestoreOverALog copies a backup over a file whose log is still there, as it is
// after a crash. Opening it must report that and damage nothing; without the log, it
// must open as the backup.
func TestRestoreOverALog(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	// Each case returns a backup with 10 events, and an open store that has a log.
	appendTo := func(t *testing.T, st *sqlite.Store, times int) {
		t.Helper()
		for range times {
			if _, err := st.Append(ctx, s, store.Any, batch(10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, backup := range map[string]func(t *testing.T, path string, st *sqlite.Store) string{
		"made by VACUUM INTO": func(t *testing.T, path string, _ *sqlite.Store) string {
			t.Helper()
			execute(t, path, fmt.Sprintf("VACUUM INTO '%s'", path+".backup"))
			return path + ".backup"
		},
		"made by VACUUM INTO, and opened since then": func(t *testing.T, path string, _ *sqlite.Store) string {
			t.Helper()
			execute(t, path, fmt.Sprintf("VACUUM INTO '%s'", path+".backup"))
			if err := open(t, path+".backup").Close(); err != nil {
				t.Fatal(err)
			}
			return path + ".backup"
		},
		"of another store": func(t *testing.T, _ string, _ *sqlite.Store) string {
			t.Helper()
			return filled(t, 10)
		},
	} {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read-only %t", name, readOnly), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "events.db")
				st := open(t, path)
				appendTo(t, st, 1)
				file := backup(t, path, st)
				appendTo(t, st, 100)
				for range 2 { // with all pages in the log, and then without
					restored := crashed(t, path, t.TempDir())
					copyFile(t, file, restored)
					wantLogRefused(t, restored, readOnly, 10)
					if err := sqlite.ByReader(st, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
						t.Fatal(err)
					}
					appendTo(t, st, 10)
				}
			})
		}
	}
	t.Run("a copy of the closed file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "events.db")
		st, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		appendTo(t, st, 1)
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		copyFile(t, path, path+".backup")
		st = open(t, path)
		appendTo(t, st, 300)
		if err := sqlite.ByReader(st, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			t.Fatal(err)
		}
		appendTo(t, st, 10)
		restored := crashed(t, path, t.TempDir())
		copyFile(t, path+".backup", restored)
		wantLogRefused(t, restored, false, 10)
	})
}

// wantLogRefused fails unless the log next to the file at path is refused, and the file
// has the given number of events without it.
func wantLogRefused(t *testing.T, path string, readOnly bool, events uint64) {
	t.Helper()
	before, _ := os.ReadFile(path)
	log, _ := os.ReadFile(path + "-wal")
	openIt := sqlite.Open
	if readOnly {
		openIt = sqlite.OpenReadOnly
	}
	_, err := openIt(path)
	var file *sqlite.FileError
	if !errors.As(err, &file) || !errors.Is(err, sqlite.ErrCorrupt) {
		t.Fatalf("Open of a backup over a log = %v, want ErrCorrupt", err)
	}
	t.Log(err)
	after, _ := os.ReadFile(path)
	if now, _ := os.ReadFile(path + "-wal"); string(after) != string(before) || string(now) != string(log) {
		t.Fatal("Open of a backup over a log has changed them")
	}
	_ = os.Remove(path + "-wal")
	_ = os.Remove(path + "-shm")
	st := open(t, path)
	if head, err := st.Head(context.Background()); head != events || err != nil {
		t.Errorf("Head of the backup without the log = %d, %v, want %d", head, err, events)
	}
	integrity(t, path)
}

// TestCrashedIsNoRestore checks that the files left by any crash are accepted.
func TestCrashedIsNoRestore(t *testing.T) {
	t.Parallel()
	ctx, parent := context.Background(), t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(parent, "") //nolint:usetesting // one for each check
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "original.db")
		var stores []*sqlite.Store
		openOne := func() {
			st, err := sqlite.Open(path, sqlite.WithNormalSync())
			if err != nil {
				rt.Fatalf("Open = %v", err)
			}
			stores = append(stores, st)
		}
		openOne()
		defer func() {
			for _, st := range stores {
				_ = st.Close()
			}
		}()
		events := uint64(0)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"open", "close", "append", "append", "append", "checkpoint", "truncate", "lease"}).Draw(rt, "step") {
			case "open":
				openOne()
			case "close":
				if err := stores[0].Close(); err != nil {
					rt.Fatal(err)
				}
				if stores = stores[1:]; len(stores) == 0 {
					openOne()
				}
			case "append":
				n := rapid.SampledFrom([]int{1, 10, 1500}).Draw(rt, "events")
				st := stores[rapid.IntRange(0, len(stores)-1).Draw(rt, "store")]
				if _, err := st.Append(ctx, store.Stream{Type: "A", ID: store.NewID()}, store.Any, batch(n)); err != nil {
					rt.Fatal(err)
				}
				events += uint64(n)
			case "checkpoint":
				sqlite.Write(stores[0], "PRAGMA busy_timeout=5")
				if err := sqlite.ByReader(stores[0], "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
					rt.Logf("checkpoint: %v", err)
				}
			case "truncate":
				_ = sqlite.ByReader(stores[0], "PRAGMA wal_checkpoint(TRUNCATE)")
			case "lease":
				if _, err := stores[0].AcquireLease(ctx, "lease", "me", 1<<40); err != nil {
					rt.Fatal(err)
				}
			}
		}
		left := crashed(rt, path, dir)
		if reason, err := sqlite.Doubts(left); reason != "" || err != nil {
			rt.Fatalf("after a crash, the log is mistaken for the log of another file: %s, %v", reason, err)
		}
		st, err := sqlite.Open(left)
		if err != nil {
			rt.Fatalf("Open after a crash = %v", err)
		}
		defer st.Close()
		if head, err := st.Head(ctx); head != events || err != nil {
			rt.Fatalf("Head after a crash = %d, %v, want %d", head, err, events)
		}
	})
}

func FuzzWAL(f *testing.F) {
	path := filepath.Join(f.TempDir(), "events.db")
	st := open(f, path)
	if _, err := st.Append(context.Background(), store.Stream{Type: "A", ID: "1"}, store.Any, batch(3)); err != nil {
		f.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(log, uint16(4096), uint32(4), int64(40960))
	f.Fuzz(func(t *testing.T, log []byte, pageSize uint16, changes uint32, size int64) {
		header := make([]byte, 100)
		binary.BigEndian.PutUint16(header[16:], pageSize)
		header[18], header[19] = 2, 2
		binary.BigEndian.PutUint32(header[24:], changes)
		if err := sqlite.ParseWAL(log, header, size); err != nil {
			t.Errorf("ParseWAL of %d bytes = %v", len(log), err)
		}
	})
}
