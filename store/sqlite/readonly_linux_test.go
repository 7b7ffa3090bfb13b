package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// asNobody calls do as a user without rights, even if the test runs as root.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	const nobody = 65534
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // not unlocked, so the thread ends with the goroutine
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Errorf("setfsuid: %v", err)
			return
		}
		do()
	}()
	<-done
}

// restricted returns the path of a file with one event. The file and its directory have
// the given permissions.
func restricted(t *testing.T, file, dir fs.FileMode) string {
	t.Helper()
	path := filled(t, 1)
	own := filepath.Dir(path)                      // made by t.TempDir, as is the directory above it
	t.Cleanup(func() { _ = os.Chmod(own, 0o755) }) // otherwise it cannot be removed
	if err := errors.Join(os.Chmod(path, file), os.Chmod(own, dir), os.Chmod(filepath.Dir(own), 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenWithoutRights(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file, dir fs.FileMode
		want      error
	}{
		"a file and a directory without write permission": {0o444, 0o555, sqlite.ErrReadOnly},
		"a directory without write permission":            {0o666, 0o555, sqlite.ErrReadOnly},
		"a file without read permission":                  {0o000, 0o777, sqlite.ErrNoAccess},
		"a directory without search permission":           {0o666, 0o000, sqlite.ErrNoAccess},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := restricted(t, tt.file, tt.dir)
			asNobody(t, func() {
				st, err := sqlite.Open(path)
				var file *sqlite.FileError
				if !errors.As(err, &file) || file.Path != path || !errors.Is(err, tt.want) {
					t.Errorf("Open = %v, want a *FileError that matches %v", err, tt.want)
				}
				if err == nil {
					_ = st.Close()
				}
			})
		})
	}
}

// TestReadOnlyFile checks that a file without write permission, in a writable
// directory, can be read, and that nothing is written.
func TestReadOnlyFile(t *testing.T) {
	t.Parallel()
	path := restricted(t, 0o444, 0o777)
	asNobody(t, func() {
		ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
		st, err := sqlite.Open(path)
		if err != nil {
			t.Errorf("Open = %v", err)
			return
		}
		defer st.Close()
		var file *sqlite.FileError
		if _, err := st.Append(ctx, s, store.Any, batch(1)); !errors.As(err, &file) || !errors.Is(err, sqlite.ErrReadOnly) || !errors.Is(err, store.ErrRefused) {
			t.Errorf("Append = %v, want a *FileError that matches ErrReadOnly and ErrRefused", err)
		}
		if page, err := st.Read(ctx, s, store.ReadOptions{}); err != nil || page.Head != 1 || len(page.Events) != 1 {
			t.Errorf("Read = %+v, %v, want the event", page, err)
		}
	})
}

// TestFullDisk fills a disk of its own. The store must stay readable, have everything
// that it acknowledged and nothing else, and continue when there is space again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs the right to mount a file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	st := open(t, filepath.Join(dir, "events.db"))
	version := uint64(0)
	for {
		got, err := st.Append(ctx, s, store.Exactly(version), batch(20))
		if err != nil {
			var file *sqlite.FileError
			if !errors.As(err, &file) || !errors.Is(err, sqlite.ErrFull) || !errors.Is(err, store.ErrRefused) || version == 0 {
				t.Fatalf("Append to a full disk, after %d events = %v, want ErrFull and ErrRefused", version, err)
			}
			break
		}
		version = got.Version
	}
	seen := uint64(0)
	for e, err := range store.Events(ctx, st, s, 0) {
		seen++
		if err != nil || e.Version != seen {
			t.Fatalf("event %d on a full disk = version %d, %v", seen, e.Version, err)
		}
	}
	if head, err := st.Head(ctx); seen != version || head != version || err != nil {
		t.Fatalf("on a full disk there are %d events, and Head is %d, %v; want %d", seen, head, err, version)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if got, err := st.Append(ctx, s, store.Exactly(version), batch(1)); err != nil || got.Version != version+1 {
		t.Fatalf("Append when there is space again = %+v, %v; want version %d", got, err, version+1)
	}
}

// TestOpenReadOnlyWithoutRights checks that a file in a directory without write
// permission can be read, and that nothing is left next to it. If another program
// writes to the file, reads must fail and must not mix two states.
func TestOpenReadOnlyWithoutRights(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	path := restricted(t, 0o444, 0o555)
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED except as root: a writer beside a reader that has no rights to the file")
	}
	var st *sqlite.Store
	asNobody(t, func() {
		var err error
		if st, err = sqlite.OpenReadOnly(path); err != nil {
			t.Errorf("OpenReadOnly = %v", err)
			return
		}
		if page, err := st.Read(ctx, s, store.ReadOptions{}); err != nil || page.Head != 1 || len(page.Events) != 1 {
			t.Errorf("Read = %+v, %v, want the event", page, err)
		}
		if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
			t.Errorf("%q exists now", files)
		}
	})
	if t.Failed() {
		return
	}
	defer st.Close()
	other, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Append(ctx, s, store.Exactly(1), batch(1)); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"while another program writes", "after another program has written"} {
		if _, err := st.Read(ctx, s, store.ReadOptions{}); !errors.Is(err, sqlite.ErrMoved) {
			t.Errorf("Read %s = %v, want ErrMoved", when, err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoLog checks that a file is refused where SQLite cannot keep a log for it.
func TestNoLog(t *testing.T) {
	t.Parallel()
	err := sqlite.UseLogWithout(filepath.Join(t.TempDir(), "events.db"))
	if err == nil || !strings.Contains(err.Error(), "cannot be changed to WAL") {
		t.Errorf("a file without a log: %v", err)
	}
}
