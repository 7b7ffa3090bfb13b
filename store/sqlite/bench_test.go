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
	conn    *sql.Conn
	version int64
}

const insertByHand = `INSERT INTO event (tenant, position, stream, version,
id, type, schema, content_type, time, recorded_at, meta, data) VALUES (1, ?, 1, ?, ?, ?, 0, ?, 0, 0, '', ?)`

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
	return &hand{conn: conn}
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
		stmt, err := h.conn.PrepareContext(ctx, insertByHand)
		if err != nil {
			b.Fatal(err)
		}
		defer stmt.Close()
		for b.Loop() {
			h.version++
			e := batch(1)[0]
			if _, err := stmt.ExecContext(ctx, h.version, h.version, e.ID, e.Type, e.ContentType, e.Data); err != nil {
				b.Fatal(err)
			}
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
		db, err := sql.Open("sqlite", path)
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		for b.Loop() {
			if read := readByHand(b, db); read != n {
				b.Fatalf("read %d events, want %d", read, n)
			}
		}
	})
}

// readByHand reads the stream in one query.
func readByHand(b *testing.B, db *sql.DB) int {
	b.Helper()
	rows, err := db.QueryContext(context.Background(), `SELECT position, version, id, type, schema, content_type, time, recorded_at, meta, data
FROM event WHERE stream = 1 ORDER BY version`)
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
