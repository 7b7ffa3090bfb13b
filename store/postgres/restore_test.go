package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// copyDatabase restores a dump of one database into another, empty one.
func copyDatabase(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{"pg_dump", "psql"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("NOT TESTED: %v", err)
		}
	}
	var dump bytes.Buffer
	for _, cmd := range []*exec.Cmd{
		exec.CommandContext(t.Context(), "pg_dump", "--no-owner", "--dbname", from),
		exec.CommandContext(t.Context(), "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", to),
	} {
		var said bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = &dump, &dump, &said
		if cmd.Args[0] == "psql" {
			cmd.Stdout = &said
		} else {
			cmd.Stdin = nil
		}
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v: %s", cmd.Args[0], err, said.Bytes())
		}
	}
}

// TestDumpAndRestore checks that a consumer continues where it was after a restore into
// a newer cluster, and that a new consumer sees everything.
func TestDumpAndRestore(t *testing.T) {
	t.Parallel()
	ctx, from := within(t), postgrestest.URL(t)
	younger := postgrestest.Start(t)
	st := open(t, from)
	for range 50 { // raises the transaction ids far above those of the newer cluster
		err := pgx.BeginFunc(ctx, connect(t, from), func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SELECT pg_current_xact_id()")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, st, stream(1), 5)
	claims := []store.Claim{{Key: "seat"}}
	if _, err := st.AppendClaiming(ctx, stream(1), store.Exactly(5), batch(1), claims); err != nil {
		t.Fatal(err)
	}
	page, err := st.ReadAll(ctx, store.LogOptions{From: 4, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	at := store.Checkpoint{Position: 4, EventID: page.Events[0].ID}
	if err := st.SaveCheckpoint(ctx, "consumer", store.Checkpoint{}, at); err != nil {
		t.Fatal(err)
	}

	to := younger.URL(t)
	copyDatabase(t, from, to)
	restored := open(t, to)
	appended := appendTo(t, restored, stream(1), 1)
	if appended.Version != 7 || appended.Position != 7 {
		t.Errorf("Append after the restore = %+v, want version and position 7", appended)
	}
	if _, err := restored.AppendClaiming(ctx, stream(2), store.Any, batch(1), claims); !errors.Is(err, store.ErrClaimed) {
		t.Errorf("AppendClaiming of a held key after the restore = %v, want ErrClaimed", err)
	}
	saved, err := restored.LoadCheckpoint(ctx, "consumer")
	if err != nil || saved != at {
		t.Fatalf("LoadCheckpoint after the restore = %+v, %v; want %+v", saved, err, at)
	}
	resume, err := store.Resume(ctx, restored, saved)
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[uint64][]uint64{0: upTo(7), resume: {5, 6, 7}} {
		var got []uint64
		for page, err := range restored.Subscribe(ctx, store.LogOptions{From: from}) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Events {
				got = append(got, page.Events[i].Position)
			}
			if page.End {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("Subscribe from %d after the restore yielded %v, want %v", from, got, want)
		}
	}
}

// TestLossyFailover checks that if a backup that lacks the last events takes over, a
// consumer that has seen them gets an error, both before and after other events have
// taken their positions.
func TestLossyFailover(t *testing.T) {
	t.Parallel()
	ctx, from, to := within(t), postgrestest.URL(t), postgrestest.URL(t)
	st := open(t, from)
	appendTo(t, st, stream(1), 5)
	copyDatabase(t, from, to)
	appendTo(t, st, stream(1), 2)
	page, err := st.ReadAll(ctx, store.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	backup := open(t, to)
	check := func(position uint64, want error) {
		t.Helper()
		c := store.Checkpoint{Position: position, EventID: page.Events[position-1].ID}
		if from, err := store.Resume(context.Background(), backup, c); !errors.Is(err, want) || err == nil && from != position+1 {
			t.Errorf("Resume from position %d of the lost log = %d, %v; want %v", position, from, err, want)
		}
	}
	check(7, store.ErrLogDiverged)
	check(5, nil)
	appendTo(t, backup, stream(2), 10)
	check(7, store.ErrLogDiverged)
	check(5, nil)
}
