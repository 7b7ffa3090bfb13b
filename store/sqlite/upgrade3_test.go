package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// dump writes all events of the tenants in the format of testdata/version2.txt.
func dump(t *testing.T, to io.Writer, st *sqlite.Store, tenants ...string) {
	t.Helper()
	for _, name := range tenants {
		tenant, err := st.Tenant(name)
		log, ok := tenant.(store.Log)
		if !ok {
			t.Fatalf("Tenant = %T, %v", tenant, err)
		}
		for page, err := range log.Subscribe(context.Background(), store.LogOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				fmt.Fprintf(to, "%s %q %q %d %d %q %q %d %q %q %q %d %d\n", name, e.Stream.Type, e.Stream.ID, e.Version, e.Position,
					e.ID, e.Type, e.Schema, e.ContentType, e.Data, fmt.Sprint(e.Meta), e.Time.UnixMicro(), e.RecordedAt.UnixMicro())
			}
			if page.End {
				break
			}
		}
	}
}

// version2 returns the path of a copy of a file that this package wrote before schema
// version 3.
func version2(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	copyFile(t, "testdata/version2.sqlite", path)
	return path
}

// TestUpgradeOfVersion2 checks that an upgraded file of version 2 has exactly the same
// content, and the schema of a new file.
func TestUpgradeOfVersion2(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := version2(t)
	st := open(t, path)
	want, err := os.ReadFile("testdata/version2.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	dump(t, &got, st, "default", "acme")
	if got.String() != string(want) {
		t.Errorf("after the upgrade the file has\n%s\nwant\n%s", got.String(), want)
	}
	for _, name := range []string{"default", "acme"} {
		tenant, _ := st.Tenant(name)
		st, ok := tenant.(*sqlite.Store)
		if !ok {
			t.Fatalf("Tenant = %T", tenant)
		}
		s := store.Stream{Type: "Account", ID: "acc-3"}
		if snap, ok, err := st.LoadSnapshot(ctx, s, "v1"); !ok || err != nil || snap.Version != 10 || string(snap.Data) != name {
			t.Errorf("LoadSnapshot = %+v, %t, %v", snap, ok, err)
		}
		if holder, ok, err := st.Holder(ctx, "k-3-2"); !ok || err != nil || holder != s {
			t.Errorf("Holder = %v, %t, %v, want %v", holder, ok, err, s)
		}
		if c, err := st.LoadCheckpoint(ctx, "view"); err != nil || c != (store.Checkpoint{Position: 105, EventID: "x"}) {
			t.Errorf("LoadCheckpoint = %+v, %v", c, err)
		}
		page, err := st.Read(ctx, s, store.ReadOptions{})
		if err != nil || len(page.Events) != 15 {
			t.Fatalf("Read = %d events, %v, want 15", len(page.Events), err)
		}
		// Its ids are recorded: the store recognizes the same append, whatever the form of
		// the id.
		for _, e := range page.Events {
			again, err := st.Append(ctx, s, store.Exactly(e.Version-1), []store.Event{e.Event})
			if want := (store.Appended{Version: e.Version, Position: e.Position, Replayed: true}); err != nil || again != want {
				t.Errorf("Append of %q again = %+v, %v, want %+v", e.ID, again, err, want)
			}
		}
		if got, err := st.Append(ctx, s, store.Exactly(15), batch(2)); err != nil || got != (store.Appended{Version: 17, Position: 107}) {
			t.Errorf("Append after the upgrade = %+v, %v", got, err)
		}
	}
	integrity(t, path)
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	open(t, fresh)
	if old, is := schemaOf(t, path), schemaOf(t, fresh); old != is {
		t.Errorf("the schema after the upgrade is\n%s\nand that of a new file\n%s", old, is)
	}
}

// schemaOf returns the SQL of a file without comments and white space.
func schemaOf(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all string
	err = db.QueryRowContext(t.Context(), "SELECT group_concat(type || ' ' || name || ': ' || coalesce(sql, ''), ';' || char(10) ORDER BY name) FROM sqlite_schema").Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	all = regexp.MustCompile(`--.*`).ReplaceAllString(all, "")
	return regexp.MustCompile(`[ \n]+`).ReplaceAllString(all, " ")
}

// TestUpgradeBesideTheOld checks that a process with the previous version that has the
// file open gets errors, and damages nothing.
func TestUpgradeBesideTheOld(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := version2(t)
	db, err := sql.Open("sqlite", path+"?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	insert, err := db.PrepareContext(ctx, `INSERT INTO event (tenant, position, stream, version, id, type, schema, content_type, time, recorded_at, meta, data)
VALUES (1, ?, 1, ?, ?, 'T', 1, 'text/plain', 1, 1, '', x'31')`)
	if err != nil {
		t.Fatal(err)
	}
	defer insert.Close()
	read, err := db.PrepareContext(ctx, "SELECT position FROM event WHERE tenant = 1 ORDER BY position")
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := insert.ExecContext(ctx, 106, 16, "old-1"); err != nil {
		t.Fatalf("the old version before the upgrade: %v", err)
	}
	st := open(t, path)
	if _, err := insert.ExecContext(ctx, 107, 17, "old-2"); err == nil {
		t.Error("the old version has written after the upgrade")
	}
	var position int
	if err := read.QueryRowContext(ctx).Scan(&position); err == nil || errors.Is(err, sql.ErrNoRows) {
		t.Errorf("the old version has read after the upgrade: %v", err)
	}
	if head, err := st.Head(ctx); head != 106 || err != nil {
		t.Errorf("Head = %d, %v, want 106", head, err)
	}
	integrity(t, path)
}

// TestUpgradeRefusesTooHigh checks that numbers that are too large for the new key are
// refused and not cut off.
func TestUpgradeRefusesTooHigh(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a tenant":   "INSERT INTO tenant VALUES (8388608, 'too high')",
		"a position": "UPDATE event SET position = 1099511627776 WHERE tenant = 1 AND position = 105",
	} {
		path := version2(t)
		execute(t, path, script)
		if _, err := sqlite.Open(path); err == nil || !strings.Contains(err.Error(), "too high") {
			t.Errorf("Open of a file with %s that is too high = %v", name, err)
		}
		if _, err := sqlite.OpenReadOnly(path); !errors.Is(err, sqlite.ErrOlderSchema) {
			t.Errorf("OpenReadOnly of it = %v, want ErrOlderSchema, as it is still version 2", err)
		}
	}
}

// TestUpgradeCrash kills processes that upgrade, at any moment. The file must have the
// old version or the new one, with all its data.
func TestUpgradeCrash(t *testing.T) {
	t.Parallel()
	path := version2(t)
	execute(t, path, `WITH RECURSIVE n (i) AS (SELECT 106 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO event SELECT 1, i, 1, i - 90, printf('0192f0c1-7b3a-7c4e-9d2f-%012x', i), 'T', 1, 'text/plain', i, i, '', zeroblob(200) FROM n`)
	for range crashes() {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, upgradesEnv+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(rand.N(150*time.Millisecond), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // it was killed, or had finished
		integrity(t, path)
	}
	st := open(t, path)
	if head, err := st.Head(t.Context()); head != 20_000 || err != nil {
		t.Fatalf("Head = %d, %v, want 20000", head, err)
	}
	position := uint64(0)
	for page, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			position++
			if id := fmt.Sprintf("0192f0c1-7b3a-7c4e-9d2f-%012x", e.Position); e.Position != position || e.Position > 105 && e.ID != id {
				t.Fatalf("event %d of the file is %+v", position, e)
			}
		}
		if page.End {
			break
		}
	}
	if position != 20_000 {
		t.Errorf("the file has %d events, want 20000", position)
	}
}
