package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// execute runs query on the file at path with the driver.
func execute(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// filled returns the path of a closed file with n events in stream A/1.
func filled(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	st := open(t, path)
	if _, err := st.Append(context.Background(), store.Stream{Type: "A", ID: "1"}, store.NoStream, batch(n)); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		make func(t *testing.T) string
		want error
	}{
		"another application's file": {func(t *testing.T) string {
			t.Helper()
			path := filepath.Join(t.TempDir(), "other.db")
			execute(t, path, "CREATE TABLE a (b)")
			return path
		}, sqlite.ErrOtherFile},
		"a file that is not a database": {func(t *testing.T) string {
			t.Helper()
			path := filepath.Join(t.TempDir(), "text")
			if err := os.WriteFile(path, make([]byte, 5000), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, sqlite.ErrOtherFile},
		"a newer schema": {func(t *testing.T) string {
			t.Helper()
			path := filled(t, 1)
			execute(t, path, "PRAGMA user_version=4")
			return path
		}, sqlite.ErrNewerSchema},
		"a truncated file": {func(t *testing.T) string {
			t.Helper()
			path := filled(t, 1000)
			if err := os.Truncate(path, 20_480); err != nil {
				t.Fatal(err)
			}
			return path
		}, sqlite.ErrCorrupt},
		"a missing directory": {func(t *testing.T) string {
			t.Helper()
			return filepath.Join(t.TempDir(), "missing", "events.db")
		}, fs.ErrNotExist},
		"an empty path": {func(*testing.T) string { return "" }, store.ErrInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := tt.make(t)
			before, _ := os.ReadFile(path)
			if _, err := sqlite.Open(path); !errors.Is(err, tt.want) {
				t.Errorf("Open(%q) = %v, want %v", path, err, tt.want)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Errorf("Open(%q) changed the file", path)
			}
		})
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	st := open(t, filepath.Join(t.TempDir(), "events.db"))
	sqlite.Write(st, "PRAGMA max_page_count=60")
	version := uint64(0)
	for {
		got, err := st.Append(ctx, s, store.Exactly(version), batch(20))
		if err != nil {
			var file *sqlite.FileError
			if !errors.As(err, &file) || !errors.Is(err, sqlite.ErrFull) || !errors.Is(err, store.ErrRefused) {
				t.Fatalf("Append to a full file = %v, want ErrFull and ErrRefused", err)
			}
			break
		}
		version = got.Version
	}
	sqlite.Write(st, "PRAGMA max_page_count=100000")
	got, err := st.Append(ctx, s, store.Exactly(version), batch(1))
	if err != nil || got.Version != version+1 || got.Position != version+1 {
		t.Fatalf("Append when there is space again = %+v, %v; want version and position %d", got, err, version+1)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	path := filled(t, 3)
	at := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC)
	st := open(t, path, sqlite.WithNormalSync(), sqlite.WithClock(func() time.Time { return at }))
	got, err := st.Append(ctx, s, store.Exactly(3), batch(1))
	if want := (store.Appended{Version: 4, Position: 4}); err != nil || got != want {
		t.Fatalf("Append after reopening = %+v, %v; want %+v", got, err, want)
	}
	page, err := st.Read(ctx, s, store.ReadOptions{From: 4})
	if err != nil || len(page.Events) != 1 || !page.Events[0].RecordedAt.Equal(at) {
		t.Fatalf("Read = %+v, %v; want an event recorded at %v", page, err, at)
	}
	value := batch(1)
	value[0].Data, value[0].Value = nil, 1
	if _, err := st.Append(ctx, s, store.Any, value); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Append of a Value = %v, want ErrInvalid", err)
	}
}

func TestAppendGivenUp(t *testing.T) {
	t.Parallel()
	st, s := open(t, filepath.Join(t.TempDir(), "events.db")), store.Stream{Type: "A", ID: "1"}
	release := sqlite.Hold(st)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := st.Append(ctx, s, store.Any, batch(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append whose context ended in the queue =  %v, want DeadlineExceeded", err)
	}
	release()
	got, err := st.Append(context.Background(), s, store.Any, batch(1))
	if err != nil || got.Version != 1 {
		t.Errorf("Append after an append that ended in the queue =  %+v, %v; want version 1", got, err)
	}
}

// TestPragmas checks the settings of the connections on which the guarantees of the
// store depend.
func TestPragmas(t *testing.T) {
	t.Parallel()
	const full, normal, off, on, whatever = 2, 1, 0, 1, -1
	for name, tt := range map[string]struct {
		options     []sqlite.Option
		synchronous int
	}{
		"by default":       {nil, full},
		"with normal sync": {[]sqlite.Option{sqlite.WithNormalSync()}, normal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := open(t, filepath.Join(t.TempDir(), "events.db"), tt.options...)
			for pragma, want := range map[string]struct{ writer, reader int }{
				"synchronous":          {tt.synchronous, whatever},
				"query_only":           {off, on},
				"foreign_keys":         {on, on},
				"fullfsync":            {on, on},
				"checkpoint_fullfsync": {on, on},
				"busy_timeout":         {5, 30_000},
				"journal_size_limit":   {64 << 20, whatever},
				"page_size":            {4096, 4096},
			} {
				writer, readers := sqlite.Ask(st, "PRAGMA "+pragma, 8)
				if writer != want.writer {
					t.Errorf("%s of the writer = %d, want %d", pragma, writer, want.writer)
				}
				for _, reader := range readers {
					if reader != want.reader && want.reader != whatever {
						t.Errorf("%s of a reader = %d, want %d", pragma, reader, want.reader)
					}
				}
			}
		})
	}
}

// TestReadersCannotWrite checks that no SQL on a reader's connection can change
// anything.
func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	st := open(t, filepath.Join(t.TempDir(), "events.db"))
	if err := sqlite.ByReader(st, "INSERT INTO tenant (name) VALUES ('x')"); err == nil {
		t.Error("a reader has written")
	}
}

// TestRefusedLeavesNothing checks that an append that is refused halfway leaves no
// rows.
func TestRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "events.db")
	st := open(t, path)
	first := batch(3)
	if _, err := st.Append(ctx, store.Stream{Type: "A", ID: "1"}, store.NoStream, first); err != nil {
		t.Fatal(err)
	}
	for _, expected := range []store.Expected{store.NoStream, store.Any} {
		events := append(batch(5), first[1])
		if _, err := st.Append(ctx, store.Stream{Type: "A", ID: "2"}, expected, events); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("Append of a recorded id =  %v, want ErrDuplicate", err)
		}
		for table, want := range map[string]int{"stream": 1, "event": 3} {
			if n, _ := sqlite.Ask(st, "SELECT count(*) FROM "+table, 0); n != want {
				t.Errorf("after a refused append there are %d rows of %s, want %d", n, table, want)
			}
		}
	}
	got, err := st.Append(ctx, store.Stream{Type: "A", ID: "2"}, store.NoStream, batch(1))
	if err != nil || got != (store.Appended{Version: 1, Position: 4}) {
		t.Errorf("Append after a refused one = %+v, %v", got, err)
	}
}

// TestOpenTogether opens new files several times at the same moment, as the processes of a
// program do that are started together.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 40 {
		path := filepath.Join(dir, fmt.Sprint(n, ".db"))
		var all sync.WaitGroup
		together := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-together
				st, err := sqlite.Open(path)
				if err != nil {
					t.Errorf("Open of a new file: %v", err)
					return
				}
				if err := st.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		close(together)
		all.Wait()
	}
}
