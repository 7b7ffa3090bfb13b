package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// copyFile makes a copy, as a restore does.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rename renames a file, or fails the test.
func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestMoved changes the files at the path of an open store. From the next call on,
// nothing may be acknowledged, and everything acknowledged before must be in the moved
// files.
func TestMoved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(t *testing.T, path string)
		main   bool // the main file is a different one, so reads fail too
	}{
		"renamed":  {func(t *testing.T, path string) { t.Helper(); rename(t, path, path+"x") }, true},
		"deleted":  {func(t *testing.T, path string) { t.Helper(); remove(t, path) }, true},
		"replaced": {func(t *testing.T, path string) { t.Helper(); copyFile(t, path, path+"x"); rename(t, path+"x", path) }, true},
		"the directory renamed": {func(t *testing.T, path string) {
			t.Helper()
			rename(t, filepath.Dir(path), filepath.Dir(path)+"x")
		}, true},
		"its log deleted": {func(t *testing.T, path string) { t.Helper(); remove(t, path+"-wal") }, false},
		"its log replaced": {func(t *testing.T, path string) {
			t.Helper()
			copyFile(t, path+"-wal", path+"x")
			rename(t, path+"x", path+"-wal")
		}, false},
		"its shared memory deleted": {func(t *testing.T, path string) { t.Helper(); remove(t, path+"-shm") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, st := movable(t)
			tt.change(t, path)
			wantMoved(t, path, st, tt.main)
		})
		t.Run(name+", in a directory that has not changed recently", func(t *testing.T) {
			t.Parallel()
			path, st := movable(t)
			quiet := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Dir(path), quiet, quiet); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second relies on the times that the first has noted
				if _, err := st.Append(t.Context(), store.Stream{Type: "A", ID: "2"}, store.Any, batch(1)); err != nil {
					t.Fatal(err)
				}
			}
			tt.change(t, path)
			wantMoved(t, path, st, tt.main)
		})
	}
}

// TestMovedInTheSameTick checks that a store notices a change that leaves the time of the
// directory as it was, because the clock of the file system counts whole seconds.
func TestMovedInTheSameTick(t *testing.T) {
	t.Parallel()
	path, st := movable(t)
	add := func() error {
		_, err := st.Append(t.Context(), store.Stream{Type: "A", ID: "2"}, store.Any, batch(1))
		return err
	}
	for tested := false; !tested; {
		tick := time.Now().Truncate(time.Second)
		touch := func() {
			if err := os.Chtimes(filepath.Dir(path), tick, tick); err != nil {
				t.Fatal(err)
			}
		}
		touch()
		if err := errors.Join(add(), add()); err != nil { // the second relies on the time that the first has noted
			t.Fatal(err)
		}
		rename(t, path, path+"x")
		touch()
		err, since := add(), time.Since(tick)
		if !errors.Is(err, sqlite.ErrMoved) && (err != nil || since < time.Second) {
			t.Fatalf("Append %v after the time of the directory = %v, want ErrMoved", since, err)
		}
		tested = since > 200*time.Millisecond && since < time.Second
		rename(t, path+"x", path)
	}
}

// TestMovedUnnoticed checks that a change that does not affect the directory, such as a
// mount, is noticed after a second.
func TestMovedUnnoticed(t *testing.T) {
	t.Parallel()
	path, st := movable(t)
	quiet := time.Now().Add(-time.Hour)
	touch := func() {
		if err := os.Chtimes(filepath.Dir(path), quiet, quiet); err != nil {
			t.Fatal(err)
		}
	}
	touch()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := 0; ; i++ {
		_, err := st.Append(ctx, store.Stream{Type: "A", ID: "2"}, store.Any, batch(1))
		switch {
		case i == 2 && err == nil:
			rename(t, path, path+"x")
			touch()
		case i > 2 && errors.Is(err, sqlite.ErrMoved):
			return
		case err != nil:
			t.Fatalf("Append %d = %v, want ErrMoved eventually", i, err)
		}
	}
}

// movable returns a store with one event in a directory of its own.
func movable(t *testing.T) (path string, st *sqlite.Store) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "events.db")
	st = open(t, path)
	if _, err := st.Append(t.Context(), store.Stream{Type: "A", ID: "1"}, store.NoStream, batch(1)); err != nil {
		t.Fatal(err)
	}
	return path, st
}

// wantMoved fails unless every write is refused, subscriptions end, and, if the main
// file is a different one, reads fail too.
func wantMoved(t *testing.T, path string, st *sqlite.Store, main bool) {
	t.Helper()
	ctx, s := t.Context(), store.Stream{Type: "A", ID: "1"}
	_, err := st.Append(ctx, s, store.Exactly(1), batch(1))
	var file *sqlite.FileError
	if !errors.As(err, &file) || file.Path != path || !errors.Is(err, sqlite.ErrMoved) || !errors.Is(err, store.ErrRefused) {
		t.Errorf("Append = %v, want a *FileError that matches ErrMoved and, because nothing was written, ErrRefused", err)
	}
	err = st.Update(ctx, func(tx *sqlite.Tx) error {
		return tx.SaveCheckpoint("c", store.Checkpoint{}, store.Checkpoint{Position: 1})
	})
	if !errors.Is(err, sqlite.ErrMoved) {
		t.Errorf("Update = %v, want ErrMoved", err)
	}
	if _, err := st.Read(ctx, s, store.ReadOptions{}); errors.Is(err, sqlite.ErrMoved) != main {
		t.Errorf("Read = %v, want ErrMoved: %t", err, main)
	}
	for _, err := range st.Subscribe(ctx, store.LogOptions{}) { // must not continue forever
		if err != nil {
			if !errors.Is(err, sqlite.ErrMoved) {
				t.Errorf("Subscribe = %v, want ErrMoved", err)
			}
			break
		}
	}
}

// TestMovedAndBack checks that a store continues when its file is back.
func TestMovedAndBack(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	path := filepath.Join(t.TempDir(), "events.db")
	st := open(t, path)
	rename(t, path, path+"x")
	if _, err := st.Append(ctx, s, store.NoStream, batch(1)); !errors.Is(err, sqlite.ErrMoved) {
		t.Errorf("Append to a renamed file = %v, want ErrMoved", err)
	}
	rename(t, path+"x", path)
	if got, err := st.Append(ctx, s, store.NoStream, batch(1)); err != nil || got.Version != 1 {
		t.Errorf("Append when the file is back = %+v, %v, want version 1", got, err)
	}
	if page, err := st.Read(ctx, s, store.ReadOptions{}); err != nil || page.Head != 1 {
		t.Errorf("Read when the file is back = %+v, %v", page, err)
	}
}

// TestCloseOfMoved checks that closing a store whose file was replaced does not touch
// the new file and its log.
func TestCloseOfMoved(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	dir := t.TempDir()
	path := filepath.Join(dir, "events.db")
	st, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Append(ctx, s, store.NoStream, batch(1)); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		rename(t, path+end, filepath.Join(dir, "old.db"+end))
	}
	other := open(t, path)
	if _, err := other.Append(ctx, s, store.NoStream, batch(3)); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Errorf("Close of the store whose file was renamed = %v", err)
	}
	if got, err := other.Append(ctx, s, store.Exactly(3), batch(1)); err != nil || got.Version != 4 {
		t.Fatalf("Append to the new file = %+v, %v, want version 4", got, err)
	}
	for name, want := range map[string]uint64{"old.db": 1, "events.db": 4} {
		if head, err := open(t, filepath.Join(dir, name)).Head(ctx); err != nil || head != want {
			t.Errorf("Head of %s = %d, %v, want %d", name, head, err, want)
		}
	}
}

func TestOpenReadOnly(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	t.Run("creates nothing", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "typo.db")
		if _, err := sqlite.OpenReadOnly(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("OpenReadOnly of a file that does not exist = %v, want fs.ErrNotExist", err)
		}
		if left, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(left) > 0 {
			t.Errorf("OpenReadOnly has created %q", left)
		}
	})
	t.Run("refuses an empty file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "empty.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlite.OpenReadOnly(path); !errors.Is(err, sqlite.ErrOtherFile) {
			t.Errorf("OpenReadOnly of an empty file = %v, want ErrOtherFile", err)
		}
	})
	t.Run("refuses an older schema", func(t *testing.T) {
		t.Parallel()
		path := version1(t)
		before, _ := os.ReadFile(path)
		if _, err := sqlite.OpenReadOnly(path); !errors.Is(err, sqlite.ErrOlderSchema) {
			t.Errorf("OpenReadOnly of a file of version 1 = %v, want ErrOlderSchema", err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Error("OpenReadOnly has changed the file")
		}
	})
	t.Run("reads next to a writer, and writes nothing", func(t *testing.T) {
		t.Parallel()
		path := filled(t, 2)
		ro, err := sqlite.OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ro.Close()
		st := open(t, path)
		if _, err := st.Append(ctx, s, store.Exactly(2), batch(1)); err != nil {
			t.Fatal(err)
		}
		if page, err := ro.Read(ctx, s, store.ReadOptions{}); err != nil || len(page.Events) != 3 {
			t.Errorf("Read next to a writer = %d events, %v, want 3", len(page.Events), err)
		}
		wantReadOnly(t, ro)
	})
	t.Run("follows a writer on a restored backup", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "backup.db")
		execute(t, filled(t, 2), "VACUUM INTO '"+path+"'")
		ro, err := sqlite.OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ro.Close()
		var st *sqlite.Store
		seen := 0
		for page, err := range ro.Subscribe(ctx, store.LogOptions{}) {
			if err != nil {
				t.Fatalf("Subscribe, after %d events = %v", seen, err)
			}
			if seen += len(page.Events); seen == 4 {
				break
			}
			if st == nil {
				st = open(t, path)
			}
			if _, err := st.Append(ctx, s, store.Any, batch(1)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// wantReadOnly fails unless all writes are refused.
func wantReadOnly(t *testing.T, st *sqlite.Store) {
	t.Helper()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	_, appended := st.Append(ctx, s, store.Any, batch(1))
	_, claimed := st.AppendClaiming(ctx, s, store.Any, batch(1), []store.Claim{{Key: "k"}})
	_, leased := st.AcquireLease(ctx, "lease", "me", time.Minute)
	for call, err := range map[string]error{
		"Append": appended, "AppendClaiming": claimed, "AcquireLease": leased,
		"ReleaseLease":   st.ReleaseLease(ctx, store.Lease{Name: "lease", Owner: "me", Fence: 1}),
		"SaveSnapshot":   st.SaveSnapshot(ctx, store.Snapshot{Stream: s, Schema: "v1", Version: 1}),
		"SaveCheckpoint": st.SaveCheckpoint(ctx, "view", store.Checkpoint{}, store.Checkpoint{Position: 1}),
		"Update":         st.Update(ctx, func(*sqlite.Tx) error { return nil }),
	} {
		var file *sqlite.FileError
		if !errors.As(err, &file) || !errors.Is(err, sqlite.ErrReadOnly) || !errors.Is(err, store.ErrRefused) {
			t.Errorf("%s of a read-only store = %v, want a *FileError that matches ErrReadOnly and ErrRefused", call, err)
		}
	}
}

func TestOpenRefusesNames(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", ":memory:", "file:events.db", "file::memory:?cache=shared", "a\x00b"} {
		for name, f := range map[string]func(string, ...sqlite.Option) (*sqlite.Store, error){"Open": sqlite.Open, "OpenReadOnly": sqlite.OpenReadOnly} {
			if _, err := f(path); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s(%q) = %v, want ErrInvalid", name, path, err)
			}
		}
	}
	if left, _ := filepath.Glob("*memory*"); len(left) > 0 {
		t.Errorf("%q exists now", left)
	}
}

// TestOpenRefusesOrphan checks that a log without its file is not deleted.
func TestOpenRefusesOrphan(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	if err := os.WriteFile(path+"-wal", make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, empty := range []bool{false, true} {
		if empty {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sqlite.Open(path); !errors.Is(err, sqlite.ErrCorrupt) {
			t.Errorf("Open of a log without its file (empty: %t) = %v, want ErrCorrupt", empty, err)
		}
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 5000 {
			t.Errorf("the log is now %v, %v", info, err)
		}
	}
}

// TestSymbolicLink checks that a store can be opened through a symbolic link, and that
// the other two files are next to the target.
func TestSymbolicLink(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	path, other := filled(t, 1), filled(t, 1)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Skipf("needs symbolic links: %v", err)
	}
	st := open(t, link)
	if got, err := st.Append(ctx, s, store.Exactly(1), batch(1)); err != nil || got.Version != 2 {
		t.Errorf("Append through a link = %+v, %v", got, err)
	}
	remove(t, link)
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Append(ctx, s, store.Exactly(2), batch(1)); !errors.Is(err, sqlite.ErrMoved) {
		t.Errorf("Append when the link has another target = %v, want ErrMoved", err)
	}
}
