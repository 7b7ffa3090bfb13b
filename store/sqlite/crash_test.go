package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// childEnv is the file that the child process appends to. If updatesEnv is set, the
// child makes updates instead. If upgradesEnv is set, it only opens the file.
const (
	childEnv    = "EVOLVE_SQLITE_CHILD"
	updatesEnv  = "EVOLVE_SQLITE_UPDATES"
	upgradesEnv = "EVOLVE_SQLITE_UPGRADES"
	locksEnv    = "EVOLVE_SQLITE_LOCKS" // the child reports whether it can write the file
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if os.Getenv(updatesEnv) != "" {
			updateForever(path)
		}
		if os.Getenv(locksEnv) != "" {
			tryLock(path)
		}
		if os.Getenv(upgradesEnv) != "" {
			if _, err := sqlite.Open(path); err != nil {
				fmt.Println("error", err)
			}
			os.Exit(0)
		}
		appendForever(path)
	}
	os.Exit(m.Run())
}

const childWriters, childBatch = 8, 3

// appendForever is the child: it prints a line for each append that succeeded, until it
// is killed.
func appendForever(path string) {
	st, err := sqlite.Open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	lines := make(chan string)
	for i := range childWriters {
		s := store.Stream{Type: "Crash", ID: fmt.Sprintf("%d-%d", os.Getpid(), i)}
		go func() {
			for {
				events := batch(childBatch)
				got, err := st.Append(context.Background(), s, store.Any, events)
				if err != nil {
					lines <- fmt.Sprint("error ", err)
					return
				}
				lines <- fmt.Sprintf("ok %s %d %s", s.ID, got.Version, events[0].ID)
			}
		}()
	}
	for line := range lines {
		fmt.Println(line)
	}
}

func batch(n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = store.Event{ID: store.NewID(), Type: "Happened", Data: []byte(`{"n":1}`)}
	}
	return events
}

// child starts a process that appends to path, with additional environment variables.
// The channel yields its lines, and is closed when the process has ended.
func child(t *testing.T, path string, more ...string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+path), more...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1<<20)
	go func() {
		defer close(lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil { // an incomplete line is not an acknowledgement
				return
			}
			lines <- strings.TrimSpace(line)
		}
	}()
	return cmd, lines
}

func TestCrash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	acked := make(map[string]string) // stream and version of the last event, by the id of the first
	var saved store.Checkpoint
	for range crashes() {
		cmd, lines := child(t, path)
		collect(t, acked, <-lines) // the child works
		time.AfterFunc(rand.N(300*time.Millisecond), func() { _ = cmd.Process.Kill() })
		for line := range lines {
			collect(t, acked, line)
		}
		_ = cmd.Wait() // the child was killed
		checkFile(t, path, acked)
		saved = follow(t, path, saved)
	}
	t.Logf("%d acknowledged appends in %d crashes", len(acked), crashes())
}

// crashes returns how often a test kills its process. Thorough runs kill it more often.
func crashes() int {
	if checks, err := strconv.Atoi(os.Getenv("RAPID_CHECKS")); err == nil && checks >= 1000 {
		return 50
	}
	return 5
}

// follow is a consumer that resumes after the last event it knew before the crash, and
// returns the last event now. No event may be missing or come twice.
func follow(t *testing.T, path string, saved store.Checkpoint) store.Checkpoint {
	t.Helper()
	st, ctx := open(t, path), context.Background()
	from, err := store.Resume(ctx, st, saved)
	if err != nil {
		t.Fatal(err)
	}
	for page, err := range st.Subscribe(ctx, store.LogOptions{From: from}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			e := &page.Events[i]
			if e.Position != saved.Position+1 {
				t.Fatalf("position %d comes after %d", e.Position, saved.Position)
			}
			saved = store.Checkpoint{Position: e.Position, EventID: e.ID}
		}
		if page.End {
			break
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return saved
}

// collect adds a line of a child to acked.
func collect(t *testing.T, acked map[string]string, line string) {
	t.Helper()
	parts := strings.Fields(line)
	if len(parts) != 4 || parts[0] != "ok" {
		t.Fatalf("the child prints %q", line)
	}
	acked[parts[3]] = parts[1] + " " + parts[2]
}

// checkFile checks that the file has every acknowledged append once and completely, no
// part of any other append, and no gap.
func checkFile(t *testing.T, path string, acked map[string]string) {
	t.Helper()
	st := open(t, path)
	versions := make(map[string]uint64)
	ids := make(map[string]string)
	o, position := store.LogOptions{}, uint64(0)
	for {
		page, err := st.ReadAll(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			e := &page.Events[i]
			position++
			versions[e.Stream.ID]++
			if e.Position != position || e.Version != versions[e.Stream.ID] {
				t.Fatalf("event is position %d, version %d of %s; want %d and %d",
					e.Position, e.Version, e.Stream, position, versions[e.Stream.ID])
			}
			if e.Version%childBatch == 1 {
				ids[e.ID] = fmt.Sprintf("%s %d", e.Stream.ID, e.Version+childBatch-1)
			}
		}
		if page.End {
			break
		}
		o.From = page.Next
	}
	for id, want := range acked {
		if ids[id] != want {
			t.Fatalf("the append of %s was acknowledged as %q, but is %q", id, want, ids[id])
		}
	}
	for id, version := range versions {
		if version%childBatch != 0 {
			t.Fatalf("stream %s has %d events: half an append", id, version)
		}
	}
	integrity(t, path)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

func integrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRowContext(context.Background(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Fatalf("integrity_check = %q, %v", result, err)
	}
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	st := open(t, path)
	cmd, lines := child(t, path)
	acked := make(map[string]string)
	collect(t, acked, <-lines)
	theirs := 0
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	own := store.Stream{Type: "Crash", ID: "own"}
	for page, err := range st.Subscribe(ctx, store.LogOptions{From: 1}) {
		if err != nil {
			t.Fatalf("Subscribe, after %d events of the other process: %v", theirs, err)
		}
		for _, e := range page.Events {
			if e.Stream != own {
				theirs++
			}
		}
		events := batch(childBatch)
		got, err := st.Append(ctx, own, store.Any, events)
		if err != nil {
			t.Fatalf("Append next to another process: %v", err)
		}
		acked[events[0].ID] = fmt.Sprintf("%s %d", own.ID, got.Version)
		if theirs > 100 && got.Version > 5*childBatch {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for line := range lines {
		collect(t, acked, line)
	}
	_ = cmd.Wait() // the child was killed
	checkFile(t, path, acked)
}

// tryLock prints whether another process holds the write lock.
func tryLock(path string) {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(0)")
	if err == nil {
		_, err = db.ExecContext(context.Background(), "BEGIN IMMEDIATE; ROLLBACK")
	}
	switch {
	case err == nil:
		fmt.Println("free")
	case strings.Contains(err.Error(), "locked"):
		fmt.Println("busy")
	default:
		fmt.Println(err)
	}
	os.Exit(0)
}
