package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// numbersIn returns the rows of the table mine, sorted.
func numbersIn(t *testing.T, url string) []int {
	t.Helper()
	rows, err := connect(t, url).Query(context.Background(), "SELECT n FROM mine ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	return numbers
}

// TestUpdateOfMyTables checks that rows that the caller writes with SQL are committed
// or rolled back with the rest.
func TestUpdateOfMyTables(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url)
	execute(t, url, "CREATE TABLE mine (n int)")
	for _, end := range []error{nil, errUndo} {
		err := st.Update(ctx, func(tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO mine VALUES (1)"); err != nil {
				return err
			}
			tx.Queue("INSERT INTO mine VALUES ($1)", 2)
			var n int
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM mine").Scan(&n); err != nil || n != 2 && n != 9 {
				t.Errorf("a query sees %d rows, %v; want it to see the queued statements too", n, err)
			}
			tx.Queue("INSERT INTO mine VALUES (3)")
			err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
				_, err := inner.Exec(ctx, "INSERT INTO mine VALUES (4)")
				return errors.Join(err, errUndo)
			})
			if !errors.Is(err, errUndo) {
				t.Errorf("a nested transaction = %v", err)
			}
			tx.Queue("INSERT INTO mine VALUES (5)")
			if n, err := tx.CopyFrom(ctx, pgx.Identifier{"mine"}, []string{"n"}, pgx.CopyFromRows([][]any{{6}})); n != 1 || err != nil {
				t.Errorf("CopyFrom = %d, %v", n, err)
			}
			b := &pgx.Batch{}
			b.Queue("INSERT INTO mine VALUES (7)")
			tx.Queue("INSERT INTO mine VALUES (8)")
			if err := tx.SendBatch(ctx, b).Close(); err != nil {
				t.Error(err)
			}
			if err := errors.Join(tx.Commit(ctx), tx.Rollback(ctx)); err == nil || !strings.Contains(err.Error(), "Update") {
				t.Errorf("Commit and Rollback in an Update = %v, want an error that says what ends the transaction", err)
			}
			if tx.Queued() != 4 {
				t.Errorf("Queued() = %d, want 4", tx.Queued())
			}
			return end
		})
		if !errors.Is(err, end) || err != nil && err != end { //nolint:errorlint // as it is
			t.Fatalf("Update = %v, want %v", err, end)
		}
		if got := numbersIn(t, url); !slices.Equal(got, []int{1, 2, 3, 5, 6, 7, 8}) {
			t.Errorf("after an Update that ended with %v the table has %v", end, got)
		}
	}
}

// TestQueueFails checks that the error names a queued statement that fails, and that
// nothing is written, whether the server refuses to plan or execute it, or pgx refuses
// to send it, and whatever was called afterwards.
func TestQueueFails(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url)
	execute(t, url, "CREATE TABLE mine (n int CHECK (n < 100))")
	for name, tt := range map[string]struct {
		sql  string
		args []any
		code string
	}{
		"syntax":    {"INSERT INTO mine VALUE (1)", nil, "42601"},
		"no table":  {"INSERT INTO yours VALUES ($1)", []any{1}, "42P01"},
		"refused":   {"INSERT INTO mine VALUES ($1)", []any{100}, "23514"},
		"arguments": {"INSERT INTO mine VALUES ($1 + 0)", []any{struct{}{}}, ""},
	} {
		for after, do := range map[string]func(tx *postgres.Tx) error{
			"nothing":     func(*postgres.Tx) error { return nil },
			"Flush":       (*postgres.Tx).Flush,
			"Exec":        func(tx *postgres.Tx) error { _, err := tx.Exec(ctx, "SELECT 1"); return err },
			"Query":       func(tx *postgres.Tx) error { rows, err := tx.Query(ctx, "SELECT 1"); return closed(rows, err) },
			"QueryRow":    func(tx *postgres.Tx) error { return tx.QueryRow(ctx, "SELECT 1").Scan(new(int)) },
			"Begin":       func(tx *postgres.Tx) error { _, err := tx.Begin(ctx); return err },
			"SendBatch":   func(tx *postgres.Tx) error { return tx.SendBatch(ctx, &pgx.Batch{}).Close() },
			"error lost":  func(tx *postgres.Tx) error { _ = tx.Flush(); return nil },
			"then append": func(tx *postgres.Tx) error { _, err := tx.Append(stream(1), store.Any, batch(1)); return err },
		} {
			err := st.Update(ctx, func(tx *postgres.Tx) error {
				for n := range 3 {
					tx.Queue("INSERT INTO mine VALUES ($1)", n)
				}
				if err := tx.Flush(); err != nil {
					return err
				}
				tx.Queue("INSERT INTO mine VALUES ($1)", 4)
				tx.Queue(tt.sql, tt.args...)
				tx.Queue("INSERT INTO mine VALUES ($1)", 6)
				return do(tx)
			})
			var failed *postgres.QueueError
			var pg interface{ SQLState() string }
			if !errors.As(err, &failed) || failed.Index != 4 || failed.SQL != tt.sql || tt.code != "" && (!errors.As(err, &pg) || pg.SQLState() != tt.code) {
				t.Errorf("%s, then %s: Update = %v (%#v), want a *QueueError about statement 4 with code %s", name, after, err, failed, tt.code)
			}
			if got := numbersIn(t, url); len(got) > 0 {
				t.Fatalf("%s, then %s: the table has %v", name, after, got)
			}
		}
	}
	if head, err := st.Head(ctx); head != 0 || err != nil {
		t.Errorf("Head() = %d, %v; want 0", head, err)
	}
	if err := (&postgres.QueueError{Index: 2, SQL: strings.Repeat("x", 1000), Err: errUndo}).Error(); len(err) > 200 || !strings.Contains(err, "statement 2") {
		t.Errorf("the error of a long statement is %q", err)
	}
}

// closed closes rows, if there are any, and returns err.
func closed(rows pgx.Rows, err error) error {
	if rows != nil {
		rows.Close()
	}
	return err
}

// TestUpdateAborted checks that an Update whose function hides a failed statement is
// not committed, and returns an error.
func TestUpdateAborted(t *testing.T) {
	t.Parallel()
	ctx, st := within(t), open(t, postgrestest.URL(t))
	err := st.Update(ctx, func(tx *postgres.Tx) error {
		if _, err := tx.Append(stream(1), store.NoStream, batch(1)); err != nil {
			return err
		}
		_, _ = tx.Exec(ctx, "SELECT 1 / 0")
		return nil
	})
	if !errors.Is(err, pgx.ErrTxCommitRollback) || !store.Definite(err) {
		t.Errorf("Update that has hidden an error = %v, want a definite refusal", err)
	}
	if head, err := st.Head(ctx); head != 0 || err != nil {
		t.Errorf("Head() = %d, %v; want 0", head, err)
	}
}

// TestUpdateUnconfirmed checks that a commit of an Update that no standby has confirmed
// has an unknown outcome.
func TestUpdateUnconfirmed(t *testing.T) {
	t.Parallel()
	st, url := withSync(t)
	done, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(done)
		failed <- st.Update(within(t), func(tx *postgres.Tx) error {
			tx.Queue("INSERT INTO mine VALUES (1)")
			return nil
		})
	}()
	cancelWaits(t, url, done)
	if err := <-failed; !errors.Is(err, postgres.ErrUnconfirmed) || store.Definite(err) {
		t.Errorf("Update whose wait for a standby was cancelled = %v, want ErrUnconfirmed", err)
	}
}

// TestUpdateOnLostConnections checks that the function of an Update is called, exactly
// once, even if the connections of the pool are lost.
func TestUpdateOnLostConnections(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, called := open(t, url), 0
	const kill = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	execute(t, url, kill)
	err := st.Update(ctx, func(tx *postgres.Tx) error {
		called++
		return tx.SaveDocuments([]store.Document{{Kind: "k", ID: "1", Data: []byte("1")}})
	})
	if err != nil || called != 1 {
		t.Errorf("Update after all connections were ended = %v, called %d times; want 1", err, called)
	}
	execute(t, url, kill)
	if _, err := st.Head(ctx); err != nil {
		t.Errorf("Head after all connections were ended = %v", err)
	}
	called = 0
	err = st.Update(ctx, func(tx *postgres.Tx) error {
		called++
		_, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	if err == nil || called != 1 {
		t.Errorf("Update whose connection was ended = %v, called %d times; want an error, 1", err, called)
	}
}

// TestUpdateTells checks that subscriptions of this store and of others receive the
// events of an Update after the commit.
func TestUpdateTells(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	other, st := open(t, url), open(t, url, postgres.WithPollOnly(time.Hour))
	postgres.NeverPoll(other)
	for name, reader := range map[string]*postgres.Store{"this store": st, "another store": other} {
		n := 0
		for page, err := range reader.Subscribe(ctx, store.LogOptions{}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n += len(page.Events); n >= 5 {
				break
			}
			err := st.Update(ctx, func(tx *postgres.Tx) error {
				_, err := tx.Append(stream(1), store.Any, batch(1))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestUpgrade checks that a database with version 1 of the schema is upgraded, and that
// nothing in it changes.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	dump, err := os.ReadFile("testdata/v1.sql")
	if err != nil {
		t.Fatal(err)
	}
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	cmd := exec.CommandContext(ctx, psql, "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url)
	cmd.Stdin = bytes.NewReader(dump)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
	if _, err := postgres.Open(ctx, url, postgres.WithoutMigrate()); !errors.Is(err, postgres.ErrNoSchema) {
		t.Errorf("Open of version 1 without migrating = %v, want ErrNoSchema", err)
	}
	st := open(t, url)
	var got []string
	for e, err := range store.Events(ctx, st, stream(1), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintln(e.Position, e.Version, e.ID, e.Type, e.Schema, e.ContentType, string(e.Data), e.Time.Format(time.RFC3339Nano), e.Meta))
	}
	want := []string{
		"1 1 e1 Happened 2 application/json {\"n\":1} 2026-01-02T03:04:05.000006Z {request cause ann map[k:v]}\n",
		"2 2 e2 Happened 2 application/json {\"n\":1} 2026-01-02T03:04:05.000006Z {request cause ann map[k:v]}\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are %q, want %q", got, want)
	}
	at, err := st.LoadCheckpoint(ctx, "consumer")
	if from, e := store.Resume(ctx, st, at); from != 3 || e != nil || err != nil {
		t.Errorf("Resume(%+v) = %d, %v, %v; want 3", at, from, e, err)
	}
	if holder, ok, err := st.Holder(ctx, "seat"); holder != stream(1) || !ok || err != nil {
		t.Errorf("Holder = %v, %t, %v", holder, ok, err)
	}
	if snap, ok, err := st.LoadSnapshot(ctx, stream(1), "v1"); string(snap.Data) != "state" || !ok || err != nil {
		t.Errorf("LoadSnapshot = %+v, %t, %v", snap, ok, err)
	}
	if got := appendTo(t, st, stream(1), 2); got.Version != 4 || got.Position != 6 {
		t.Errorf("Append = %+v, want version 4, position 6", got)
	}
	docs := []store.Document{{Kind: "k", ID: "1", Data: []byte("1")}}
	if err := st.Update(ctx, func(tx *postgres.Tx) error { return tx.SaveDocuments(docs) }); err != nil {
		t.Error(err)
	}
}
