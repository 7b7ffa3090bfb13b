package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

var errUndo = errors.New("roll back")

// everything writes everything that a Tx can write, and a row of the caller's table.
func everything(ctx context.Context, st *postgres.Store, tx pgx.Tx) error {
	in := st.WithTx(ctx, tx)
	if _, err := tx.Exec(ctx, "INSERT INTO mine VALUES (1)"); err != nil {
		return err
	}
	got, err := in.AppendClaiming(stream(1), store.NoStream, batch(2), []store.Claim{{Key: "seat"}})
	if err != nil {
		return err
	}
	if err := in.SaveSnapshot(store.Snapshot{Stream: stream(1), Schema: "v1", Version: 2, Data: []byte("state")}); err != nil {
		return err
	}
	return in.SaveCheckpoint("consumer", store.Checkpoint{}, store.Checkpoint{Position: got.Position, EventID: "e"})
}

func TestWithTx(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{"commit": nil, "roll back": errUndo} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := within(t), postgrestest.URL(t)
			pool := newPool(t, url)
			st, err := postgres.New(ctx, pool)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			execute(t, url, "CREATE TABLE mine (n int)")
			err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				if err := everything(ctx, st, tx); err != nil {
					return err
				}
				if head, err := st.Head(ctx); err != nil || head != 0 {
					t.Errorf("Head() before the commit = %d, %v; want 0", head, err)
				}
				return end
			})
			if !errors.Is(err, end) {
				t.Fatal(err)
			}
			want := 1
			if end != nil {
				want = 0
			}
			if got := written(t, st, pool); got != [6]int{want, 2 * want, 2 * want, want, want, want} {
				t.Errorf("after the %s, the counts of row, head, version, holder, snapshot, checkpoint are %v", name, got)
			}
			if got := appendTo(t, st, stream(2), 1); got.Position != uint64(2*want+1) {
				t.Errorf("Append after the %s = position %d, want %d", name, got.Position, 2*want+1)
			}
		})
	}
}

// written counts the things that everything writes.
func written(t *testing.T, st *postgres.Store, pool *pgxpool.Pool) (n [6]int) {
	t.Helper()
	one := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	ctx := within(t)
	err1 := pool.QueryRow(ctx, "SELECT count(*) FROM mine").Scan(&n[0])
	head, err2 := st.Head(ctx)
	page, err3 := st.Read(ctx, stream(1), store.ReadOptions{})
	_, held, err4 := st.Holder(ctx, "seat")
	_, saved, err5 := st.LoadSnapshot(ctx, stream(1), "v1")
	at, err6 := st.LoadCheckpoint(ctx, "consumer")
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		t.Fatal(err)
	}
	n[1], n[2], n[3], n[4], n[5] = int(head), int(page.Head), one(held), one(saved), one(at.EventID == "e")
	return n
}

// TestWithTxRefused checks that a refusal leaves the transaction unchanged, and that it
// can continue.
func TestWithTxRefused(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, pool := open(t, url), newPool(t, url)
	taken := batch(1)
	if _, err := st.AppendClaiming(ctx, stream(1), store.NoStream, taken, []store.Claim{{Key: "seat"}}); err != nil {
		t.Fatal(err)
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		in := st.WithTx(ctx, tx)
		if _, err := in.Append(stream(1), store.NoStream, batch(1)); !isConflict(err, 1) {
			t.Errorf("Append to an existing stream with NoStream =  %v, want a conflict", err)
		}
		if _, err := in.Append(stream(2), store.Any, taken); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("Append of a recorded id =  %v, want ErrDuplicate", err)
		}
		if _, err := in.AppendClaiming(stream(2), store.Any, batch(1), []store.Claim{{Key: "seat"}}); !errors.Is(err, store.ErrClaimed) {
			t.Errorf("AppendClaiming of a held key =  %v, want ErrClaimed", err)
		}
		if got, err := in.Append(stream(1), store.NoStream, taken); err != nil || !got.Replayed {
			t.Errorf("Append again = %+v, %v; want a replay", got, err)
		}
		if err := in.SaveCheckpoint("c", store.Checkpoint{Position: 1}, store.Checkpoint{Position: 2}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("SaveCheckpoint from a wrong checkpoint =  %v, want ErrConflict", err)
		}
		if _, err := in.Append(stream(1), store.Any, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Append of no events =  %v, want ErrInvalid", err)
		}
		_, err := in.Append(stream(1), store.Exactly(1), batch(1))
		return err
	})
	if head, e := st.Head(ctx); err != nil || e != nil || head != 2 {
		t.Errorf("the transaction ended with %v, and Head() = %d, %v; want 2", err, head, e)
	}
}

func isConflict(err error, actual uint64) bool {
	var conflict *store.ConflictError
	return errors.As(err, &conflict) && conflict.Actual == actual && store.Definite(err)
}

// TestBehindTx checks that an append waits for a transaction that holds the log. If its
// context ends, its outcome is unknown, and repeating it settles the outcome.
func TestBehindTx(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, pool := open(t, url), newPool(t, url)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.WithTx(ctx, tx).Append(stream(1), store.Any, batch(1)); err != nil {
		t.Fatal(err)
	}
	events := batch(1)
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := st.Append(short, stream(2), store.NoStream, events); !errors.Is(err, context.DeadlineExceeded) || store.Definite(err) {
		t.Fatalf("Append behind a transaction that holds the log =  %v, want DeadlineExceeded", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := st.Append(ctx, stream(2), store.NoStream, events)
	if err != nil || got.Version != 1 || got.Position != 2 {
		t.Errorf("Append again, when the transaction has ended = %+v, %v; want version 1 at position 2", got, err)
	}
}

// TestGrace checks that an answer that arrives soon after the context of its call has
// ended is accepted, which saves the connection.
func TestGrace(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, pool := open(t, url), newPool(t, url)
	for try := 1; ; try++ { // the machine may be too slow for the first attempts
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.WithTx(ctx, tx).Append(stream(1), store.Any, batch(1)); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithCancel(ctx)
		ended := make(chan error)
		go func() {
			_, err := st.Append(short, stream(2), store.Any, batch(1))
			ended <- err
		}()
		for waitingForLocks(ctx, t, pool) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		if err = <-ended; err == nil {
			return
		}
		if !errors.Is(err, context.Canceled) || try == 20 {
			t.Fatalf("Append that was cancelled just before it was done = %v, at attempt %d", err, try)
		}
	}
}

// TestLockTimeout checks that an append waits for the log only for a limited time, and
// then returns ErrBusy.
func TestLockTimeout(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	open(t, url)
	pool := newPool(t, url)
	var limited string
	if err := pool.QueryRow(ctx, "SELECT proconfig::text FROM pg_proc WHERE oid = 'evolve.append'::regproc").Scan(&limited); err != nil || !strings.Contains(limited, "lock_timeout=10s") {
		t.Errorf("the function has the settings %s, %v; want lock_timeout=10s", limited, err)
	}
	execute(t, url, "ALTER FUNCTION evolve.append SET lock_timeout = '20ms'")
	execute(t, url, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = 20', current_database()); END $$")
	st := open(t, url) // leaves an existing lock_timeout unchanged
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := st.WithTx(ctx, tx).Append(stream(1), store.Any, batch(1)); err != nil {
		t.Fatal(err)
	}
	_, err1 := st.Append(ctx, stream(2), store.Any, batch(1))
	_, err2 := st.AppendClaiming(ctx, stream(2), store.Any, batch(1), []store.Claim{{Key: "seat"}})
	for _, err := range []error{err1, err2} {
		if !errors.Is(err, postgres.ErrBusy) || !store.Definite(err) {
			t.Errorf("Append behind a transaction that holds the log =  %v, want ErrBusy, definite", err)
		}
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if got := appendTo(t, st, stream(2), 1); got.Position != 1 {
		t.Errorf("Append when the transaction was rolled back = %+v, want position 1", got)
	}
}

// TestIsolation checks that in a transaction that sees only the state at its beginning,
// an append fails if others have appended since then, and is not based on stale data.
func TestIsolation(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, pool := open(t, url), newPool(t, url)
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, st, stream(1), 1)
	if _, err := st.WithTx(ctx, tx).Append(stream(1), store.NoStream, batch(1)); !errors.Is(err, postgres.ErrBusy) {
		t.Errorf("Append on an old snapshot = %v, want ErrBusy", err)
	}
}
