package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// errNo is an error of a caller.
var errNo = errors.New("no")

// number returns the number that query yields in tx.
func number(tx *sqlite.Tx, query string, args ...any) (n int, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}

// counting returns a store with a table of numbers.
func counting(tb testing.TB) *sqlite.Store {
	tb.Helper()
	return countingAt(tb, filepath.Join(tb.TempDir(), "events.db"))
}

// countingAt is counting for a new file at path.
func countingAt(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	st := open(tb, path)
	err := st.Update(context.Background(), func(tx *sqlite.Tx) error {
		_, err := tx.Exec("CREATE TABLE bank_number (stream TEXT, n INTEGER CHECK (n >= 0), PRIMARY KEY (stream, n))")
		return err
	})
	if err != nil {
		tb.Fatalf("Update that creates a table = %v", err)
	}
	return st
}

// whole writes everything that an update can write, for the nth time.
func whole(tx *sqlite.Tx, s store.Stream, n int) error {
	before, err := tx.LoadCheckpoint("view")
	if err != nil {
		return err
	}
	a, err := tx.Append(s, store.Exactly(uint64(2*n)), batch(1))
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO bank_number VALUES (?, ?)", s.ID, n); err != nil {
		return err
	}
	claims := []store.Claim{{Key: fmt.Sprint("k-", n)}, {Key: fmt.Sprint("k-", n-1), Release: true}}
	if a, err = tx.AppendClaiming(s, store.Exactly(a.Version), batch(1), claims); err != nil {
		return err
	}
	if err := tx.SaveSnapshot(store.Snapshot{Stream: s, Schema: "v1", Version: a.Version}); err != nil {
		return err
	}
	return tx.SaveCheckpoint("view", before, store.Checkpoint{Position: a.Position, EventID: strconv.Itoa(n)})
}

// wantWhole fails unless whole was called n times.
func wantWhole(t rapid.TB, st *sqlite.Store, s store.Stream, n int) {
	t.Helper()
	ctx := context.Background()
	version := uint64(2 * n)
	events := uint64(0)
	for _, err := range store.Events(ctx, st, s, 0) {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if events != version {
		t.Fatalf("the stream has %d events, want %d", events, version)
	}
	if head, err := st.Head(ctx); err != nil || head != version {
		t.Fatalf("Head = %d, %v, want %d", head, err, version)
	}
	if c, err := st.LoadCheckpoint(ctx, "view"); err != nil || c.Position != version {
		t.Fatalf("LoadCheckpoint = %+v, %v, want position %d", c, err, version)
	}
	if snap, _, err := st.LoadSnapshot(ctx, s, "v1"); err != nil || snap.Version != version {
		t.Fatalf("LoadSnapshot = %+v, %v, want version %d", snap, err, version)
	}
	for i := range n + 1 {
		if _, held, err := st.Holder(ctx, fmt.Sprint("k-", i)); err != nil || held != (i == n-1) {
			t.Fatalf("Holder of key %d of %d = %t, %v", i, n, held, err)
		}
	}
	err := st.Update(ctx, func(tx *sqlite.Tx) error {
		if count, err := number(tx, "SELECT count(*) FROM bank_number WHERE stream = ?", s.ID); err != nil || count != n {
			return fmt.Errorf("the table has %d rows, %w; want %d", count, err, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestUpdate checks that an update is made completely or not at all, however it ends.
func TestUpdate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	file := counting(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := store.Stream{Type: "A", ID: store.NewID()}
		tenant, err := file.Tenant(s.ID)
		st, ok := tenant.(*sqlite.Store)
		if !ok {
			rt.Fatalf("Tenant = %T, %v", tenant, err)
		}
		n := 0
		for range rapid.IntRange(1, 8).Draw(rt, "updates") {
			times := rapid.IntRange(0, 3).Draw(rt, "times")
			end := rapid.SampledFrom([]string{"nil", "error", "panic", "statement", "own rollback"}).Draw(rt, "end")
			err := update(ctx, st, func(tx *sqlite.Tx) error {
				for i := range times {
					if err := whole(tx, s, n+i); err != nil {
						return err
					}
				}
				switch end {
				case "error":
					return errNo
				case "panic":
					panic(errNo)
				case "statement": // its error is not passed on
					_, _ = tx.Exec("INSERT INTO bank_number VALUES (?, -1)", s.ID)
					_, _ = tx.Append(s, store.Any, batch(1))
				case "own rollback":
					_, _ = tx.Exec("ROLLBACK")
					_, _ = tx.Exec("INSERT INTO bank_number VALUES (?, 1000)", s.ID)
				}
				return nil
			})
			switch end {
			case "nil":
				n += times
				if err != nil {
					rt.Fatalf("Update = %v", err)
				}
			case "statement":
				if err == nil {
					rt.Fatal("Update in which a statement failed = nil")
				}
			case "own rollback":
				if err == nil {
					rt.Fatal("Update that rolled back = nil")
				}
			default:
				if err != errNo { //nolint:errorlint // as it is
					rt.Fatalf("Update that ended with an error = %v, want that error", err)
				}
			}
			wantWhole(rt, st, s, n)
		}
	})
}

// update is Update that returns a panic as an error.
func update(ctx context.Context, st *sqlite.Store, do func(tx *sqlite.Tx) error) (err error) {
	defer func() {
		if e, ok := recover().(error); ok {
			err = e
		}
	}()
	return st.Update(ctx, do)
}

func TestUpdateRefusals(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	st := counting(t)
	err := st.Update(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Append(s, store.Exactly(3), batch(1)); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Append that expects too much = %v, want ErrConflict", err)
		}
		if _, err := tx.Append(s, 0, batch(1)); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Append with the zero Expected = %v, want ErrInvalid", err)
		}
		if err := tx.SaveCheckpoint("view", store.Checkpoint{Position: 1}, store.Checkpoint{Position: 2}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("SaveCheckpoint from a wrong checkpoint = %v, want ErrConflict", err)
		}
		if err := tx.SaveSnapshot(store.Snapshot{Stream: s, Schema: "v1"}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("SaveSnapshot of version 0 = %v, want ErrInvalid", err)
		}
		return whole(tx, s, 0) // the transaction can continue
	})
	if err != nil {
		t.Fatalf("Update that continues after refusals = %v", err)
	}
	wantWhole(t, st, s, 1)
}

// TestUpdateUnseen checks that nobody sees an update before it is committed, and that
// it sees its own writes.
func TestUpdateUnseen(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	st := counting(t)
	var kept *sqlite.Tx
	err := st.Update(ctx, func(tx *sqlite.Tx) error {
		kept = tx
		if err := whole(tx, s, 0); err != nil {
			return err
		}
		if n, err := number(tx, "SELECT count(*) FROM bank_number WHERE stream = ?", s.ID); n != 1 || err != nil {
			t.Errorf("the update sees %d rows of its own, %v", n, err)
		}
		if c, err := tx.LoadCheckpoint("view"); c.Position != 2 || err != nil {
			t.Errorf("the update sees the checkpoint %+v, %v", c, err)
		}
		if head, err := st.Head(ctx); head != 0 || err != nil {
			t.Errorf("Head during an update = %d, %v, want 0", head, err)
		}
		_, err := tx.Query("SELECT n FROM bank_number") //nolint:sqlclosecheck,rowserrcheck // left open, by mistake
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Exec("SELECT 1"); !errors.Is(err, store.ErrTxDone) {
		t.Errorf("Exec after the update = %v, want ErrTxDone", err)
	}
	wantWhole(t, st, s, 1)
}

// TestUpdateOwnEnd checks that a transaction that was ended by its own SQL is noticed.
func TestUpdateOwnEnd(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, end := range []string{"ROLLBACK", "COMMIT"} {
		st := counting(t)
		err := st.Update(ctx, func(tx *sqlite.Tx) error {
			if _, err := tx.Exec(end); err != nil {
				t.Errorf("Exec(%s) = %v", end, err)
			}
			if _, err := tx.Exec("INSERT INTO bank_number VALUES ('1', 1)"); err == nil {
				t.Errorf("Exec after %s = nil, and commits on its own", end)
			}
			return nil
		})
		if err == nil {
			t.Errorf("Update with %s = nil", end)
		}
		wantWhole(t, st, store.Stream{Type: "A", ID: "1"}, 0)
	}
}

// TestUpdateGivenUp checks that the function of an update whose context ends in the
// queue is not called, whether or not the writer has reached the update.
func TestUpdateGivenUp(t *testing.T) {
	t.Parallel()
	st, s := counting(t), store.Stream{Type: "A", ID: "1"}
	release := sqlite.Hold(st)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := st.Update(ctx, func(*sqlite.Tx) error {
		t.Error("the update's function was called, although its context had ended")
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Update whose context ended in the queue =  %v", err)
	}
	release()
	wantWhole(t, st, s, 0)
}

// TestUpdateBesideAppends checks that failing updates make no other write fail.
func TestUpdateBesideAppends(t *testing.T) {
	t.Parallel()
	ctx, st := context.Background(), counting(t)
	var all sync.WaitGroup
	for i := range 8 {
		s := store.Stream{Type: "A", ID: strconv.Itoa(i)}
		all.Go(func() {
			for n := range uint64(50) {
				if i%2 == 0 {
					if _, err := st.Append(ctx, s, store.Exactly(n), batch(1)); err != nil {
						t.Errorf("Append concurrently with updates = %v", err)
					}
					continue
				}
				err := st.Update(ctx, func(tx *sqlite.Tx) error {
					if _, err := tx.Append(s, store.NoStream, batch(1)); err != nil {
						return err
					}
					return errNo
				})
				if !errors.Is(err, errNo) {
					t.Errorf("Update concurrently with appends = %v", err)
				}
			}
		})
	}
	all.Wait()
	if head, err := st.Head(ctx); head != 200 || err != nil {
		t.Errorf("Head = %d, %v, want 200", head, err)
	}
}

func TestUpdateClosed(t *testing.T) {
	t.Parallel()
	ctx, st := context.Background(), counting(t)
	closed := make(chan error, 1)
	err := st.Update(ctx, func(tx *sqlite.Tx) error {
		go func() { closed <- st.Close() }()
		_, err := tx.Exec("INSERT INTO bank_number VALUES ('1', 1)")
		return err
	})
	if err != nil {
		t.Errorf("Update concurrently with Close = %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close concurrently with an update = %v", err)
	}
	if err := st.Update(ctx, func(*sqlite.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update after Close = %v, want ErrClosed", err)
	}
}

// TestUpdateWaitsForItself checks that a call that would wait for the update it is
// called in fails at once, and that the update continues.
func TestUpdateWaitsForItself(t *testing.T) {
	t.Parallel()
	ctx, st, s := context.Background(), counting(t), store.Stream{Type: "A", ID: "1"}
	err := st.Update(ctx, func(tx *sqlite.Tx) error {
		_, appended := st.Append(ctx, s, store.Any, batch(1))
		_, leased := st.AcquireLease(ctx, "lease", "me", time.Minute)
		for call, err := range map[string]error{
			"Append": appended, "AcquireLease": leased,
			"SaveSnapshot":   st.SaveSnapshot(ctx, store.Snapshot{Stream: s, Schema: "v1", Version: 1}),
			"SaveCheckpoint": st.SaveCheckpoint(ctx, "view", store.Checkpoint{}, store.Checkpoint{Position: 1}),
			"Update":         st.Update(ctx, func(*sqlite.Tx) error { return nil }),
			"Close":          st.Close(),
		} {
			if !errors.Is(err, sqlite.ErrInUpdate) || !store.Definite(err) {
				t.Errorf("%s inside Update = %v, want ErrInUpdate, which is definite", call, err)
			}
		}
		if _, err := st.Read(ctx, s, store.ReadOptions{}); err != nil {
			t.Errorf("Read within Update = %v", err)
		}
		return whole(tx, s, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantWhole(t, st, s, 1)
}

// TestUpdateWhileOthersWait checks that other goroutines wait for an update and are not
// refused.
func TestUpdateWhileOthersWait(t *testing.T) {
	t.Parallel()
	ctx, st, s := context.Background(), counting(t), store.Stream{Type: "A", ID: "1"}
	done := make(chan error)
	err := st.Update(ctx, func(*sqlite.Tx) error {
		go func() {
			_, err := st.Append(ctx, s, store.NoStream, batch(1))
			done <- err
		}()
		sqlite.WaitQueued(st, 1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Append of another goroutine during an update = %v", err)
	}
}

type counted struct{ N int }

// TestUpdateWaitsForARunner checks the same for a command that a runner handles.
func TestUpdateWaitsForARunner(t *testing.T) {
	t.Parallel()
	ctx, st := context.Background(), counting(t)
	d := decider.New(func(n, _ int) ([]counted, error) { return []counted{{n}}, nil },
		func(sum int, e counted) int { return sum + e.N })
	r := runner.New("Count", d, st, codec.JSON(map[string]counted{"Counted": {}}))
	err := st.Update(ctx, func(*sqlite.Tx) error {
		if _, err := r.Handle(ctx, "1", 5); !errors.Is(err, sqlite.ErrInUpdate) {
			t.Errorf("Handle within Update = %v, want ErrInUpdate", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := r.Handle(ctx, "1", 5); err != nil || out.State != 5 {
		t.Errorf("Handle after Update = %+v, %v", out, err)
	}
}
