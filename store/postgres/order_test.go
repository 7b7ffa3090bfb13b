package postgres_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestLateCommits checks that a reader that polls for events beyond the last position
// it has seen, with plain SQL, misses nothing, however late the appending transactions
// commit.
func TestLateCommits(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, pool := open(t, url), newPool(t, url)
	const slow, fast, each = 3, 4, 10
	var writing sync.WaitGroup
	for i := range slow + fast {
		writing.Go(func() {
			for range each {
				if i >= slow {
					if _, err := st.Append(ctx, stream(i), store.Any, batch(1+i%3)); err != nil {
						t.Error(err)
					}
					continue
				}
				err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
					if _, err := tx.Exec(ctx, "SELECT pg_current_xact_id()"); err != nil { // assigns an early xid
						return err
					}
					time.Sleep(rand.N(5 * time.Millisecond))
					if _, err := st.WithTx(ctx, tx).Append(stream(i), store.Any, batch(2)); err != nil {
						return err
					}
					time.Sleep(rand.N(5 * time.Millisecond))
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	seen := follow(t, connect(t, url), done)
	if all := positions(t, st); !slices.Equal(seen, all) || !slices.Equal(all, upTo(len(all))) {
		t.Errorf("a reader saw the positions %v out of %v", seen, all)
	}
}

// follow reads the events beyond the last position repeatedly until done is closed, and
// then once more.
func follow(t *testing.T, conn *pgx.Conn, done <-chan struct{}) []uint64 {
	t.Helper()
	var seen []uint64
	for last := false; ; {
		cursor := uint64(0)
		if len(seen) > 0 {
			cursor = seen[len(seen)-1]
		}
		rows, err := conn.Query(context.Background(), "SELECT position FROM evolve.event WHERE position > $1 ORDER BY position", cursor)
		if err != nil {
			t.Fatal(err)
		}
		more, err := pgx.CollectRows(rows, pgx.RowTo[uint64])
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, more...)
		if last {
			return seen
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
}

// TestOtherDatabase checks that a transaction that is open in another database of the
// server, or in another table of this database, delays nobody.
func TestOtherDatabase(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url)
	for _, other := range []string{url, postgrestest.URL(t)} {
		conn := connect(t, other)
		if _, err := conn.Exec(ctx, "BEGIN; CREATE TABLE t (n int); INSERT INTO t VALUES (1); SELECT pg_current_xact_id()"); err != nil {
			t.Fatal(err)
		}
	}
	want := 0
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil {
			t.Fatalf("Subscribe next to open transactions, after %d events: %v", want, err)
		}
		want += len(page.Events)
		if want == 10 {
			break
		}
		appendTo(t, st, stream(1), 1)
	}
}

// TestTwoStores checks that several processes can append in turns.
func TestTwoStores(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	stores := []*postgres.Store{open(t, url), open(t, url), open(t, url)}
	const writers, each = 4, 15
	var writing sync.WaitGroup
	for i := range writers * len(stores) {
		writing.Go(func() {
			st, s := stores[i%len(stores)], stream(i/len(stores)) // the streams are shared
			for range each {
				if _, err := st.Append(ctx, s, store.Any, batch(2)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	n := writers * len(stores) * each * 2
	for _, st := range stores {
		if all := positions(t, st); !slices.Equal(all, upTo(n)) {
			t.Errorf("the log has the positions %v, want 1 to %d", all, n)
		}
	}
	page, err := stores[0].Read(ctx, stream(0), store.ReadOptions{})
	if err != nil || page.Head != uint64(n/writers) {
		t.Errorf("Read = head %d, %v; want %d", page.Head, err, n/writers)
	}
}

// TestOneWins checks that if several processes create a stream at once, one wins.
func TestOneWins(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	stores := []*postgres.Store{open(t, url), open(t, url)}
	for round := range 20 {
		var wins [8]bool
		var writing sync.WaitGroup
		for i := range wins {
			writing.Go(func() {
				_, err := stores[i%2].Append(ctx, stream(round), store.NoStream, batch(1))
				wins[i] = err == nil
				if err != nil && !isConflict(err, 1) {
					t.Errorf("Append that lost = %v, want a conflict with version 1", err)
				}
			})
		}
		writing.Wait()
		if n := count(wins[:]); n != 1 {
			t.Fatalf("%d of %d created the stream", n, len(wins))
		}
	}
}

func count(flags []bool) (n int) {
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

// TestLogPerTenant checks that each tenant has the positions 1, 2, 3, …, although
// appends of different tenants are in the same groups.
func TestLogPerTenant(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	stores := []*postgres.Store{open(t, url, postgres.WithLogPerTenant()), open(t, url, postgres.WithLogPerTenant())}
	const tenants, each = 6, 20
	var writing sync.WaitGroup
	for i := range 2 * tenants {
		writing.Go(func() {
			st := tenant(t, stores[i%2], i/2)
			for n := range each {
				if _, err := st.Append(ctx, stream(n%2), store.Any, batch(1+n%3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	for i := range tenants {
		all := positions(t, tenant(t, stores[0], i))
		if !slices.Equal(all, upTo(len(all))) || len(all) < 2*each {
			t.Errorf("tenant %d has the positions %v", i, all)
		}
	}
}

func tenant(t *testing.T, st *postgres.Store, i int) *postgres.Store {
	t.Helper()
	of, err := st.Tenant(string(rune('a' + i)))
	if err != nil {
		t.Fatal(err)
	}
	return of.(*postgres.Store) //nolint:errcheck // it is one, or panics
}

// A page is in the Buffer of the caller if there is room, so that a long stream is read
// without memory for each page.
func TestReadUsesTheBuffer(t *testing.T) {
	t.Parallel()
	st := open(t, postgrestest.URL(t))
	appendTo(t, st, stream(1), 5)
	for room, inside := range map[int]bool{4: false, 5: true, 9: true} {
		buffer := make([]store.Recorded, room)
		page, err := st.Read(within(t), stream(1), store.ReadOptions{Buffer: buffer})
		if err != nil || len(page.Events) != 5 {
			t.Fatalf("Read = %d events, %v", len(page.Events), err)
		}
		if got := &page.Events[0] == &buffer[0]; got != inside {
			t.Errorf("with room for %d events, a page of 5 is in the buffer: %t, want %t", room, got, inside)
		}
	}
}
