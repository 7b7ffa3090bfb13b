package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

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
		"INSERT INTO tenant VALUES (1, 'default')", "INSERT INTO stream VALUES (1, 1, 'Account', 'acc-1')",
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

// sideBySide lets the store and what is done by hand take turns, so that what else the
// machine does falls on both. It reports the median of each, and their ratio.
func sideBySide(b *testing.B, ofStore, byHand func()) {
	b.Helper()
	var took [2][]time.Duration
	for b.Loop() {
		for i, do := range []func(){ofStore, byHand} {
			began := time.Now()
			do()
			took[i] = append(took[i], time.Since(began))
		}
	}
	var medians [2]float64
	for i, name := range []string{"store-µs", "by-hand-µs"} {
		slices.Sort(took[i])
		medians[i] = float64(took[i][len(took[i])/2]) / float64(time.Microsecond)
		b.ReportMetric(medians[i], name)
	}
	b.ReportMetric(medians[0]/medians[1], "times-by-hand")
	b.ReportMetric(0, "ns/op") // of both together
}

// BenchmarkAppend appends to one stream, and with 32 writers to one each.
func BenchmarkAppend(b *testing.B) {
	ctx, s := context.Background(), store.Stream{Type: "Account", ID: "acc-1"}
	b.Run("1 event", func(b *testing.B) {
		st, h := open(b, filepath.Join(b.TempDir(), "events.db")), byHand(b, filepath.Join(b.TempDir(), "hand.db"))
		sideBySide(b, func() {
			if _, err := st.Append(ctx, s, store.Any, batch(1)); err != nil {
				b.Fatal(err)
			}
		}, func() { h.append(ctx, b) })
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
	st := open(b, filepath.Join(b.TempDir(), "events.db"))
	got, err := st.Append(ctx, s, store.NoStream, batch(100))
	path := filepath.Join(b.TempDir(), "hand.db")
	h := byHand(b, path)
	reads := readsByHand(b, path, "stream = 1 AND version >= ? ORDER BY version")
	for range 100 {
		h.append(ctx, b)
	}
	sideBySide(b, func() {
		page, e := st.Read(ctx, s, store.ReadOptions{From: got.Version - 99, Limit: 100})
		if err != nil || e != nil || len(page.Events) != 100 {
			b.Fatal(err, e, len(page.Events))
		}
		got, err = st.Append(ctx, s, store.Exactly(got.Version), batch(1))
	}, func() {
		if n := reads(h.version - 99); n != 100 {
			b.Fatal(n)
		}
		h.append(ctx, b)
	})
}

// BenchmarkRead reads a stream, and the log, of EVOLVE_SCAN_EVENTS events, 10,000 if
// it is not set.
func BenchmarkRead(b *testing.B) {
	n := 10_000
	if set, err := strconv.Atoi(os.Getenv("EVOLVE_SCAN_EVENTS")); err == nil {
		n = set
	}
	ctx, s := context.Background(), store.Stream{Type: "Account", ID: "acc-1"}
	path := filepath.Join(b.TempDir(), "events.db")
	st := open(b, path)
	for left := n; left > 0; left -= 10_000 {
		if _, err := st.Append(ctx, s, store.Any, batch(min(left, 10_000))); err != nil {
			b.Fatal(err)
		}
	}
	run := func(name string, read func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := read(); err != nil || got != n {
					b.Fatalf("read %d events, %v, want %d", got, err, n)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
	run("stream/store", func() (read int, err error) {
		for _, err := range store.Events(ctx, st, s, 0) {
			if err != nil {
				return read, err
			}
			read++
		}
		return read, nil
	})
	stream := readsByHand(b, path, "stream = 1 AND version >= ? ORDER BY version")
	run("stream/by hand", func() (int, error) { return stream(1), nil })
	run("log/store", func() (read int, err error) {
		for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
			read += len(page.Events)
			if err != nil || page.End {
				return read, err
			}
		}
		return read, nil
	})
	log := readsByHand(b, path, "tenant = 1 AND position >= ? ORDER BY position")
	run("log/by hand", func() (int, error) { return log(1), nil })
}

// readsByHand returns what reads the events in the file at path in one query, those
// where what is from a number on.
func readsByHand(b *testing.B, path, where string) func(from int64) int {
	b.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	stmt, err := db.PrepareContext(context.Background(), `SELECT position, version, id, type, schema, content_type, time, recorded_at, meta, data
FROM event WHERE `+where)
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
