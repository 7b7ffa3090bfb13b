package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/evolvego/evolve/store"
)

// hand is a file of the store that is written without it.
type hand struct {
	insert  *sql.Stmt
	version int64
}

// append appends an event, if the version is still the one that it was.
func (h *hand) append(ctx context.Context, b *testing.B) {
	b.Helper()
	e := batch(1)[0]
	got, err := h.insert.ExecContext(ctx, h.version+1, h.version+1, e.ID, e.Type, e.ContentType, e.Data, h.version)
	if err != nil {
		b.Fatal(err)
	}
	if n, err := got.RowsAffected(); n != 1 || err != nil {
		b.Fatal(n, err)
	}
	h.version++
}

const insertByHand = `INSERT INTO event (tenant, position, stream, version,
id, type, schema, content_type, time, recorded_at, meta, data) SELECT 1, ?, 1, ?, ?, ?, 0, ?, 0, 0, '', ?
WHERE (SELECT coalesce(max(version), 0) FROM event WHERE stream = 1) = ?`

// byHand returns the file at path, with tenant 1 and stream 1, on the driver and
// the pragmas of the store.
func byHand(b *testing.B, path string) *hand {
	b.Helper()
	if err := open(b, path).Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path+"?_pragma=synchronous(FULL)&_pragma=foreign_keys(1)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	conn, err := db.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for _, query := range []string{
		"INSERT INTO tenant VALUES (1, 'default', 0)", "INSERT INTO stream VALUES (1, 1, 'Account', 'acc-1')",
	} {
		if _, err := conn.ExecContext(context.Background(), query); err != nil {
			b.Fatal(err)
		}
	}
	insert, err := conn.PrepareContext(context.Background(), insertByHand)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { insert.Close() })
	return &hand{insert: insert}
}

func BenchmarkAppend(b *testing.B) {
	ctx := context.Background()
	b.Run("one writer", func(b *testing.B) {
		b.ReportAllocs()
		st := open(b, filepath.Join(b.TempDir(), "events.db"))
		for b.Loop() {
			if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: "acc-1"}, store.Any, batch(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		h := byHand(b, filepath.Join(b.TempDir(), "events.db"))
		for b.Loop() {
			h.append(ctx, b)
		}
	})
	b.Run("32 writers", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		st := open(b, filepath.Join(b.TempDir(), "events.db"))
		var writers atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			s := store.Stream{Type: "Account", ID: strconv.FormatInt(writers.Add(1), 10)}
			for pb.Next() {
				if _, err := st.Append(ctx, s, store.Any, batch(1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(writers.Load()), "writers")
	})
}

// BenchmarkCommand reads the last 100 events of a stream and appends one.
func BenchmarkCommand(b *testing.B) {
	ctx, s := context.Background(), store.Stream{Type: "Account", ID: "acc-1"}
	b.Run("store", func(b *testing.B) {
		b.ReportAllocs()
		st := open(b, filepath.Join(b.TempDir(), "events.db"))
		got, err := st.Append(ctx, s, store.NoStream, batch(100))
		for b.Loop() {
			page, e := st.Read(ctx, s, store.ReadOptions{From: got.Version - 99, Limit: 100})
			if err != nil || e != nil || len(page.Events) != 100 {
				b.Fatal(err, e, len(page.Events))
			}
			got, err = st.Append(ctx, s, store.Exactly(got.Version), batch(1))
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		path := filepath.Join(b.TempDir(), "events.db")
		h := byHand(b, path)
		reads := readsByHand(b, path)
		for range 100 {
			h.append(ctx, b)
		}
		for b.Loop() {
			if n := reads(h.version - 99); n != 100 {
				b.Fatal(n)
			}
			h.append(ctx, b)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	const n = 10_000
	ctx, s := context.Background(), store.Stream{Type: "Account", ID: "acc-1"}
	path := filepath.Join(b.TempDir(), "events.db")
	st := open(b, path)
	if _, err := st.Append(ctx, s, store.NoStream, batch(n)); err != nil {
		b.Fatal(err)
	}
	b.Run("store", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read := 0
			for _, err := range store.Events(ctx, st, s, 0) {
				if err != nil {
					b.Fatal(err)
				}
				read++
			}
			if read != n {
				b.Fatalf("read %d events, want %d", read, n)
			}
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		read := readsByHand(b, path)
		for b.Loop() {
			if read := read(1); read != n {
				b.Fatalf("read %d events, want %d", read, n)
			}
		}
	})
}

// readsByHand returns what reads the stream at path from a version on, in one query.
func readsByHand(b *testing.B, path string) func(from int64) int {
	b.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	stmt, err := db.PrepareContext(context.Background(), `SELECT position, version, id, type, schema, content_type, time, recorded_at, meta, data
FROM event WHERE stream = 1 AND version >= ? ORDER BY version`)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stmt.Close() })
	return func(from int64) int {
		rows, err := stmt.QueryContext(context.Background(), from)
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		read := 0
		for ; rows.Next(); read++ {
			var e store.Recorded
			var at, recorded int64
			var meta string
			err := rows.Scan(&e.Position, &e.Version, &e.ID, &e.Type, &e.Schema, &e.ContentType, &at, &recorded, &meta, &e.Data)
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
		return read
	}
}
