package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// hand writes a file of the store without the store: the same rows in the same tables,
// with database/sql.
type hand struct {
	insert, begin *sql.Stmt
	position      int64
	versions      map[int64]int64 // by stream
}

// append appends an event to a stream if the stream is still at the version that it
// was.
func (h *hand) append(ctx context.Context, b *testing.B, stream int64) {
	b.Helper()
	e := batch(1)[0]
	id, err := hex.DecodeString(strings.ReplaceAll(e.ID, "-", ""))
	if err != nil {
		b.Fatal(err)
	}
	version := h.versions[stream]
	got, err := h.insert.ExecContext(ctx, 1<<40|(h.position+1), stream, version+1, id, e.Data, stream, version)
	if err != nil {
		b.Fatal(err)
	}
	if n, err := got.RowsAffected(); n != 1 || err != nil {
		b.Fatal(n, err)
	}
	h.versions[stream]++
	h.position++
}

// open begins a stream with an event.
func (h *hand) open(ctx context.Context, b *testing.B, conn *sql.Conn, stream int64) {
	b.Helper()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		b.Fatal(err)
	}
	if _, err := h.begin.ExecContext(ctx, stream, "acc-"+strconv.FormatInt(stream, 10)); err != nil {
		b.Fatal(err)
	}
	h.append(ctx, b, stream)
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		b.Fatal(err)
	}
}

const insertByHand = `INSERT INTO event (seq, tenant, stream, version, id, kind, time, recorded_at, meta, data)
SELECT ?, 1, ?, ?, ?, 1, 0, 0, '', ? WHERE (SELECT coalesce(max(version), 0) FROM event WHERE stream = ?) = ?`

// byHand returns the file at path, with tenant 1 and stream 1, using the driver and the
// pragmas of the store.
func byHand(b *testing.B, path, synchronous string) (*hand, *sql.Conn) {
	b.Helper()
	if err := open(b, path).Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path+"?_pragma=synchronous("+synchronous+")&_pragma=foreign_keys(1)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, query := range []string{
		"INSERT INTO tenant VALUES (1, 'default')", "INSERT INTO stream VALUES (1, 1, 'Account', 'acc-1')",
		"INSERT INTO kind VALUES (1, 'Happened', 0, 'application/octet-stream')",
	} {
		if _, err := conn.ExecContext(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
	prepare := func(query string) *sql.Stmt {
		stmt, err := conn.PrepareContext(b.Context(), query)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { stmt.Close() })
		return stmt
	}
	return &hand{
		insert: prepare(insertByHand), begin: prepare("INSERT INTO stream (id, tenant, type, name) VALUES (?, 1, 'Account', ?)"),
		versions: make(map[int64]int64),
	}, conn
}

// sideBySide alternates between the store and hand-written SQL, so that other load on
// the machine affects both. It reports the median of each, and their ratio.
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
	b.ReportMetric(0, "ns/op") // this would be the sum of both
}

// BenchmarkAppend appends to one stream, to a new stream each time, and with 32 writers
// to one stream each. With normal sync, it does not measure the disk.
func BenchmarkAppend(b *testing.B) {
	ctx, s := context.Background(), store.Stream{Type: "Account", ID: "acc-1"}
	for synchronous, options := range map[string][]sqlite.Option{"FULL": nil, "NORMAL": {sqlite.WithNormalSync()}} {
		b.Run("1 event, "+synchronous, func(b *testing.B) {
			st := open(b, filepath.Join(b.TempDir(), "events.db"), options...)
			h, _ := byHand(b, filepath.Join(b.TempDir(), "hand.db"), synchronous)
			sideBySide(b, func() {
				if _, err := st.Append(ctx, s, store.Any, batch(1)); err != nil {
					b.Fatal(err)
				}
			}, func() { h.append(ctx, b, 1) })
		})
		b.Run("new stream, "+synchronous, func(b *testing.B) {
			st := open(b, filepath.Join(b.TempDir(), "events.db"), options...)
			h, conn := byHand(b, filepath.Join(b.TempDir(), "hand.db"), synchronous)
			n, stream := 0, int64(1)
			sideBySide(b, func() {
				n++
				if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: "acc-" + strconv.Itoa(n)}, store.NoStream, batch(1)); err != nil {
					b.Fatal(err)
				}
			}, func() {
				stream++
				h.open(ctx, b, conn, stream)
			})
		})
	}
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
	h, _ := byHand(b, path, "FULL")
	reads := readsByHand(b, path, "stream = 1 AND version >= ? ORDER BY version")
	for range 100 {
		h.append(ctx, b, 1)
	}
	sideBySide(b, func() {
		page, e := st.Read(ctx, s, store.ReadOptions{From: got.Version - 99, Limit: 100})
		if err != nil || e != nil || len(page.Events) != 100 {
			b.Fatal(err, e, len(page.Events))
		}
		got, err = st.Append(ctx, s, store.Exactly(got.Version), batch(1))
	}, func() {
		if n := reads(h.versions[1] - 99); n != 100 {
			b.Fatal(n)
		}
		h.append(ctx, b, 1)
	})
}

// BenchmarkRead reads a stream, and the log, of EVOLVE_SCAN_EVENTS events, or 10,000 if
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
	log := readsByHand(b, path, "seq >= (1 << 40) + ? ORDER BY seq")
	run("log/by hand", func() (int, error) { return log(1), nil })
}

// readsByHand returns a function that reads events of the file at path in one query.
// The parameter of where is the number to begin at.
func readsByHand(b *testing.B, path, where string) func(from int64) int {
	b.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	stmt, err := db.PrepareContext(context.Background(), `SELECT seq, version, id, kind, time, recorded_at, meta, data FROM event WHERE `+where)
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
			var at, recorded, kind int64
			var meta string
			err := rows.Scan(&e.Position, &e.Version, &e.ID, &kind, &at, &recorded, &meta, &e.Data)
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
