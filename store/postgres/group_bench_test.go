package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// groupedInsert is a hand-written statement for many appends at once, each of one
// event: it assigns positions in commit order, and appends to the streams that are at
// their expected versions.
const groupedInsert = `WITH l AS (UPDATE log SET head = head + $1 RETURNING head)
INSERT INTO event (position, tenant, stream_type, stream_id, version, id, type, schema, content_type, time, correlation, causation, actor, data)
SELECT l.head - $1 + e.n, 'default', e.stream_type, e.stream_id, e.version + 1, e.id, e.type, 0, e.content_type, now(), e.correlation, '', e.actor, e.data
FROM l, unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[])
  WITH ORDINALITY e (stream_type, stream_id, version, id, type, content_type, correlation, actor, data, n)
WHERE coalesce((SELECT max(x.version) FROM event x WHERE x.tenant = 'default' AND x.stream_type = e.stream_type AND x.stream_id = e.stream_id), 0) = e.version`

// handGroup groups appends in a hand-written way: one goroutine takes the waiting
// appends and makes them in one statement.
type handGroup struct {
	ordered
	queue chan *handAppend
}

type handAppend struct {
	s       store.Stream
	version uint64
	event   store.Event
	done    chan error
}

func groupedByHand(b *testing.B) handGroup {
	b.Helper()
	h := handGroup{orderedByHand(b), make(chan *handAppend, 1024)}
	var running sync.WaitGroup
	running.Go(h.run)
	b.Cleanup(func() { close(h.queue); running.Wait() })
	return h
}

func (h handGroup) append(ctx context.Context, s store.Stream, version uint64, event store.Event) error {
	a := &handAppend{s, version, event, make(chan error, 1)}
	h.queue <- a
	select {
	case err := <-a.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h handGroup) run() {
	for a := range h.queue {
		group := []*handAppend{a}
		for more := true; more && len(group) < 512; {
			select {
			case a := <-h.queue:
				group = append(group, a)
			default:
				more = false
			}
		}
		err := h.commit(group)
		for _, a := range group {
			a.done <- err
		}
	}
}

func (h handGroup) commit(group []*handAppend) error {
	n := len(group)
	types, ids, versions := make([]string, n), make([]string, n), make([]int64, n)
	columns := make([][]string, 5)
	for i := range columns {
		columns[i] = make([]string, n)
	}
	data := make([][]byte, n)
	for i, a := range group {
		types[i], ids[i], versions[i], data[i] = a.s.Type, a.s.ID, int64(a.version), a.event.Data
		e := &a.event
		columns[0][i], columns[1][i], columns[2][i], columns[3][i], columns[4][i] = e.ID, e.Type, e.ContentType, e.Meta.CorrelationID, e.Meta.ActorID
	}
	tag, err := h.pool.Exec(context.Background(), groupedInsert, n, types, ids, versions,
		columns[0], columns[1], columns[2], columns[3], columns[4], data)
	if err == nil && tag.RowsAffected() != int64(n) {
		err = store.ErrConflict
	}
	return err
}

// BenchmarkGroups runs many writers that append to one stream each, in turns with the
// store and with handGroup. It reports the ratio of appends per second.
func BenchmarkGroups(b *testing.B) {
	for _, writers := range []int{32, 256} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			st, h := open(b, postgrestest.URL(b)), groupedByHand(b)
			var versions [2][]uint64
			for i := range versions {
				versions[i] = make([]uint64, writers)
			}
			adds := [2]func(s store.Stream, version uint64) error{
				func(s store.Stream, version uint64) error {
					_, err := st.Append(ctx, s, store.Exactly(version), batch(1))
					return err
				},
				func(s store.Stream, version uint64) error { return h.append(ctx, s, version, batch(1)[0]) },
			}
			var rates [2][]float64
			for b.Loop() {
				for i, add := range adds {
					rates[i] = append(rates[i], rate(b, versions[i], add))
				}
			}
			ratios := make([]float64, len(rates[0]))
			for i := range ratios {
				ratios[i] = rates[0][i] / rates[1][i]
			}
			for i := range rates {
				slices.Sort(rates[i])
			}
			slices.Sort(ratios)
			b.ReportMetric(rates[0][len(rates[0])/2], "store/s")
			b.ReportMetric(rates[1][len(rates[1])/2], "by-hand/s")
			b.ReportMetric(ratios[len(ratios)/2], "of-by-hand")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// rate runs a writer for each of versions for a moment, and returns the number of
// appends per second.
func rate(b *testing.B, versions []uint64, add func(s store.Stream, version uint64) error) float64 {
	b.Helper()
	const moment = 300 * time.Millisecond
	var stop atomic.Bool
	var made atomic.Int64
	var writing sync.WaitGroup
	began := time.Now()
	for i := range versions {
		writing.Go(func() {
			s := store.Stream{Type: "Account", ID: strconv.Itoa(i)}
			for !stop.Load() {
				if err := add(s, versions[i]); err != nil {
					b.Error(errors.Join(err, fmt.Errorf("append to %s", s)))
					return
				}
				versions[i]++
				made.Add(1)
			}
		})
	}
	time.Sleep(moment)
	stop.Store(true)
	writing.Wait()
	return float64(made.Load()) / time.Since(began).Seconds()
}
