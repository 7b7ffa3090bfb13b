package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// hand is a hand-written alternative to the store: a table with the same columns and
// indexes, whose positions come from a sequence, and statements on it.
type hand struct{ pool *pgxpool.Pool }

const handTable = `CREATE TABLE event (
  position bigint GENERATED ALWAYS AS IDENTITY, tenant text COLLATE "C" NOT NULL, stream_type text COLLATE "C" NOT NULL,
  stream_id text COLLATE "C" NOT NULL, version bigint NOT NULL, id text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL,
  schema bigint NOT NULL, content_type text COLLATE "C" NOT NULL, time timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), correlation text NOT NULL, causation text NOT NULL, actor text NOT NULL, headers jsonb, data bytea NOT NULL,
  PRIMARY KEY (tenant, position), UNIQUE (tenant, stream_type, stream_id, version), UNIQUE (tenant, id))`

const handColumns = `position, version, id, type, schema, content_type, time, recorded_at, correlation, causation, actor, headers, data`

const handInsert = `INSERT INTO event (tenant, stream_type, stream_id, version, id, type, schema, content_type, time, correlation, causation, actor, data)
SELECT $1, $2, $3, $4::bigint + e.n, e.id, e.type, 0, e.content_type, now(), e.correlation, '', e.actor, e.data
FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[]) WITH ORDINALITY e (id, type, content_type, correlation, actor, data, n)
WHERE coalesce((SELECT max(version) FROM event WHERE tenant = $1 AND stream_type = $2 AND stream_id = $3), 0) = $4`

const handInsertOne = `INSERT INTO event (tenant, stream_type, stream_id, version, id, type, schema, content_type, time, correlation, causation, actor, data)
SELECT $1, $2, $3, $4::bigint + 1, $5, $6, 0, $7, now(), $8, '', $9, $10
WHERE coalesce((SELECT max(version) FROM event WHERE tenant = $1 AND stream_type = $2 AND stream_id = $3), 0) = $4`

// byHand returns the table in a new database.
func byHand(b *testing.B) hand {
	b.Helper()
	return byHandAt(b, postgrestest.URL(b))
}

func byHandAt(b *testing.B, url string) hand {
	b.Helper()
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if _, err := pool.Exec(context.Background(), handTable); err != nil {
		b.Fatal(err)
	}
	return hand{pool}
}

func (h hand) append(ctx context.Context, s store.Stream, version uint64, events []store.Event) error {
	if len(events) == 1 {
		e := &events[0]
		tag, err := h.pool.Exec(ctx, handInsertOne, "default", s.Type, s.ID, int64(version), e.ID, e.Type, e.ContentType, e.Meta.CorrelationID, e.Meta.ActorID, e.Data)
		if err == nil && tag.RowsAffected() != 1 {
			err = store.ErrConflict
		}
		return err
	}
	tag, err := h.pool.Exec(ctx, handInsert, handArguments(s, version, events)...)
	if err == nil && int(tag.RowsAffected()) != len(events) {
		err = store.ErrConflict
	}
	return err
}

// handArguments returns the arguments of handInsert.
func handArguments(s store.Stream, version uint64, events []store.Event) []any {
	n := len(events)
	ids, types, contents, data := make([]string, n), make([]string, n), make([]string, n), make([][]byte, n)
	correlations, actors := make([]string, n), make([]string, n)
	for i := range events {
		e := &events[i]
		ids[i], types[i], contents[i], data[i] = e.ID, e.Type, e.ContentType, e.Data
		correlations[i], actors[i] = e.Meta.CorrelationID, e.Meta.ActorID
	}
	return []any{"default", s.Type, s.ID, int64(version), ids, types, contents, correlations, actors, data}
}

// each reads the events one by one.
func (h hand) each(ctx context.Context, seen func(int), where string, args ...any) error {
	rows, err := h.pool.Query(ctx, "SELECT "+handColumns+", stream_type, stream_id FROM event WHERE tenant = 'default' AND "+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e store.Recorded
		var headers []byte
		err := rows.Scan(&e.Position, &e.Version, &e.ID, &e.Type, &e.Schema, &e.ContentType, &e.Time, &e.RecordedAt,
			&e.Meta.CorrelationID, &e.Meta.CausationID, &e.Meta.ActorID, &headers, &e.Data,
			&e.Stream.Type, &e.Stream.ID)
		if err != nil {
			return err
		}
		seen(1)
	}
	return rows.Err()
}

// ordered is a hand-written alternative with the store's guarantees for positions: they
// have no gaps and are in commit order. It takes the lock first.
type ordered struct{ hand }

const orderedTable = `ALTER TABLE event ALTER position DROP IDENTITY; CREATE TABLE log (head bigint NOT NULL); INSERT INTO log VALUES (0)`

const orderedInsert = `INSERT INTO event (position, tenant, stream_type, stream_id, version, id, type, schema, content_type, time, correlation, causation, actor, data)
SELECT $11::bigint + e.n, $1, $2, $3, $4::bigint + e.n, e.id, e.type, 0, e.content_type, now(), e.correlation, '', e.actor, e.data
FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[]) WITH ORDINALITY e (id, type, content_type, correlation, actor, data, n)
WHERE coalesce((SELECT max(version) FROM event WHERE tenant = $1 AND stream_type = $2 AND stream_id = $3), 0) = $4`

// orderedByHand returns the table in a new database.
func orderedByHand(b *testing.B) ordered {
	b.Helper()
	h := byHand(b)
	if _, err := h.pool.Exec(context.Background(), orderedTable); err != nil {
		b.Fatal(err)
	}
	return ordered{h}
}

func (h ordered) append(ctx context.Context, s store.Stream, version uint64, events []store.Event) error {
	return pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
		var head int64
		if err := tx.QueryRow(ctx, "UPDATE log SET head = head + $1 RETURNING head - $1", len(events)).Scan(&head); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, orderedInsert, append(handArguments(s, version, events), head)...)
		if err == nil && int(tag.RowsAffected()) != len(events) {
			err = store.ErrConflict
		}
		return err
	})
}

// contender is one of several implementations of the same work.
type contender struct {
	name string
	do   func() error
}

// sideBySide runs the contenders in turns, so that other load on the machine affects
// all of them. It reports the median of each, and the ratio of the first two.
func sideBySide(b *testing.B, contenders ...contender) {
	b.Helper()
	took := make([][]time.Duration, len(contenders))
	for turn := 0; b.Loop(); turn++ {
		for i := range contenders {
			i = (i + turn) % len(contenders)
			began := time.Now()
			if err := contenders[i].do(); err != nil {
				b.Fatalf("%s: %v", contenders[i].name, err)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	medians := make([]float64, len(contenders))
	for i, times := range took {
		slices.Sort(times)
		medians[i] = float64(times[len(times)/2]) / float64(time.Microsecond)
		b.ReportMetric(medians[i], contenders[i].name+"-µs")
	}
	b.ReportMetric(medians[0]/medians[1], "times-by-hand")
	b.ReportMetric(0, "ns/op") // this would be the sum of all
}

// BenchmarkCommand reads the last 100 events of a stream and appends to it.
func BenchmarkCommand(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context()) // a context like that of a request
	defer cancel()
	s := store.Stream{Type: "Account", ID: "acc-1"}
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d events", n), func(b *testing.B) {
			st, h := open(b, postgrestest.URL(b)), byHand(b)
			got, err := st.Append(ctx, s, store.NoStream, batch(100))
			if err := errors.Join(err, h.append(ctx, s, 0, batch(100))); err != nil {
				b.Fatal(err)
			}
			version := uint64(100)
			sideBySide(b, contender{"store", func() error {
				page, err := st.Read(ctx, s, store.ReadOptions{From: got.Version - 99, Limit: 100})
				if err != nil || len(page.Events) != 100 {
					return fmt.Errorf("read %d events, %w", len(page.Events), err)
				}
				got, err = st.Append(ctx, s, store.Exactly(got.Version), batch(n))
				return err
			}}, contender{"by-hand", func() error {
				read := 0
				err := h.each(ctx, func(n int) { read += n }, "stream_type = $1 AND stream_id = $2 AND version >= $3 ORDER BY version LIMIT 100", s.Type, s.ID, int64(version)-99)
				if err != nil || read != 100 {
					return fmt.Errorf("read %d events, %w", read, err)
				}
				version += uint64(n)
				return h.append(ctx, s, version-uint64(n), batch(n))
			}})
		})
	}
}

// BenchmarkAppend appends to one stream, and with 32 writers to one stream each.
func BenchmarkAppend(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context()) // a context like that of a request
	defer cancel()
	s := store.Stream{Type: "Account", ID: "acc-1"}
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d events", n), func(b *testing.B) {
			st, h, o := open(b, postgrestest.URL(b)), byHand(b), orderedByHand(b)
			var versions [3]uint64
			next := func(i int) uint64 {
				versions[i] += uint64(n)
				return versions[i] - uint64(n)
			}
			sideBySide(b, contender{"store", func() error {
				_, err := st.Append(ctx, s, store.Exactly(next(0)), batch(n))
				return err
			}}, contender{"by-hand", func() error {
				return h.append(ctx, s, next(1), batch(n))
			}}, contender{"ordered-by-hand", func() error {
				return o.append(ctx, s, next(2), batch(n))
			}})
		})
	}
	b.Run("32 writers/store", func(b *testing.B) {
		st := open(b, postgrestest.URL(b))
		parallel(b, func(s store.Stream, version uint64) error {
			_, err := st.Append(ctx, s, store.Exactly(version), batch(1))
			return err
		})
	})
	b.Run("32 writers/by hand", func(b *testing.B) {
		h := byHand(b)
		parallel(b, func(s store.Stream, version uint64) error { return h.append(ctx, s, version, batch(1)) })
	})
	b.Run("32 writers/ordered by hand", func(b *testing.B) {
		o := orderedByHand(b)
		parallel(b, func(s store.Stream, version uint64) error { return o.append(ctx, s, version, batch(1)) })
	})
}

// parallel runs 32 writers, each of which appends to its own stream.
func parallel(b *testing.B, add func(s store.Stream, version uint64) error) {
	b.Helper()
	parallelFrom(b, 0, add)
}

// parallelFrom is parallel, on streams with numbers above first.
func parallelFrom(b *testing.B, first int64, add func(s store.Stream, version uint64) error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(16)
	var writers atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		s := store.Stream{Type: "Account", ID: strconv.FormatInt(first+writers.Add(1), 10)}
		for version := uint64(0); pb.Next(); version++ {
			if err := add(s, version); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(writers.Load()), "writers")
}

// scanEnv is the number of events in the log of BenchmarkRead.
const scanEnv = "EVOLVE_SCAN_EVENTS"

// BenchmarkRead reads a stream of 10,000 events, and a log of 100,000 events or the
// number in the variable. By hand it is one query whose rows are not kept.
func BenchmarkRead(b *testing.B) {
	const long = 10_000
	total := 10 * long
	if text := os.Getenv(scanEnv); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil || total < long {
			b.Fatalf("%s=%s: want a number, of at least %d", scanEnv, text, long)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	url, s := postgrestest.URL(b), store.Stream{Type: "Account", ID: "0"}
	st, h := open(b, url), byHandAt(b, url)
	for n := range total / long {
		if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: strconv.Itoa(n)}, store.NoStream, batch(long)); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := h.pool.Exec(ctx, "INSERT INTO event ("+handColumns+", tenant, stream_type, stream_id) OVERRIDING SYSTEM VALUE SELECT "+
		handColumns+", tenant, stream_type, stream_id FROM evolve.event ORDER BY position"); err != nil {
		b.Fatal(err)
	}
	if _, err := h.pool.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	readers := []struct {
		name string
		want int
		read func(seen func(int)) error
	}{
		{"stream/store", long, func(seen func(int)) error {
			for _, err := range store.Events(ctx, st, s, 0) {
				if err != nil {
					return err
				}
				seen(1)
			}
			return nil
		}},
		{"stream/by hand", long, func(seen func(int)) error {
			return h.each(ctx, seen, "stream_type = $1 AND stream_id = $2 ORDER BY version", s.Type, s.ID)
		}},
		{"log/store", total / long * long, func(seen func(int)) error {
			for o := (store.LogOptions{}); ; {
				page, err := st.ReadAll(ctx, o)
				if seen(len(page.Events)); err != nil || page.End {
					return err
				}
				o.From = page.Next
			}
		}},
		{"log/subscribed", total / long * long, func(seen func(int)) error {
			for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
				if seen(len(page.Events)); err != nil || page.End {
					return err
				}
			}
			return nil
		}},
		{"log/by hand", total / long * long, func(seen func(int)) error {
			return h.each(ctx, seen, "position >= $1 ORDER BY position", 0)
		}},
	}
	for _, r := range readers {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			runtime.GC()
			heap, peak := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}, uint64(0)
			for b.Loop() {
				read := 0
				err := r.read(func(n int) {
					if read/256 != (read+n)/256 {
						metrics.Read(heap)
						peak = max(peak, heap[0].Value.Uint64())
					}
					read += n
				})
				if err != nil || read != r.want {
					b.Fatalf("read %d events, %v; want %d", read, err, r.want)
				}
			}
			b.ReportMetric(float64(r.want)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		})
	}
}

// BenchmarkNews measures the time from an append until another store yields its page.
func BenchmarkNews(b *testing.B) {
	ctx := context.Background()
	url := postgrestest.URL(b)
	writer, reader := open(b, url), open(b, url)
	come := make(chan struct{})
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	go func() {
		for page, err := range reader.Subscribe(ctx, store.LogOptions{}) {
			if err != nil {
				return
			}
			for range page.Events {
				come <- struct{}{}
			}
		}
	}()
	for b.Loop() {
		if _, err := writer.Append(ctx, store.Stream{Type: "A", ID: "1"}, store.Any, batch(1)); err != nil {
			b.Fatal(err)
		}
		<-come
	}
}
