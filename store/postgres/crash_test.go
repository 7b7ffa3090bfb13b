package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// rounds returns n, or 1 with -short, or at least 50 in a thorough run.
func rounds(n int) int {
	if testing.Short() {
		return 1
	}
	if checks, err := strconv.Atoi(os.Getenv("RAPID_CHECKS")); err == nil && checks >= 1000 {
		return max(n, 50)
	}
	return n
}

// add is a command, and also its event; the state is the list of added numbers.
type add struct{ N int }

func adder() decider.Decider[add, []int, add] {
	return decider.New(
		func(c add, state []int) ([]add, error) {
			if slices.Contains(state, c.N) {
				return nil, errors.New("added before")
			}
			return []add{c}, nil
		},
		func(state []int, e add) []int { return append(slices.Clip(state), e.N) },
	)
}

// TestServerCrash crashes and restarts the server under load. Each command must land
// once, whatever its caller was told, and a subscription must miss nothing.
func TestServerCrash(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	url := server.URL(t)
	st := open(t, url)
	numbers := runner.New("Numbers", adder(), st, codec.JSON(map[string]add{"Added": {}}))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()

	const writers, streams = 6, 3
	var writing sync.WaitGroup
	stop := make(chan struct{})
	var landed [writers]int
	for w := range writers {
		writing.Go(func() {
			for n := w; ; n += writers {
				select {
				case <-stop:
					return
				default:
				}
				if err := addUntilItLands(ctx, numbers, strconv.Itoa(w%streams), n); err != nil {
					t.Errorf("command %d: %v", n, err)
					return
				}
				landed[w]++
			}
		})
	}
	seen := make(chan []uint64, 1)
	go func() { seen <- followed(ctx, st, "End") }()
	n := rounds(3)
	for range n {
		time.Sleep(20*time.Millisecond + rand.N(150*time.Millisecond))
		server.Crash(t)
		checkGone(t, st)
		server.Restart(t)
	}
	time.Sleep(50 * time.Millisecond)
	close(stop)
	writing.Wait()

	total := 0
	for s := range streams {
		loaded, err := numbers.Load(ctx, strconv.Itoa(s))
		if err != nil {
			t.Fatal(err)
		}
		want := numbersOf(landed[:], s, streams)
		slices.Sort(loaded.State)
		if !slices.Equal(loaded.State, want) {
			t.Errorf("stream %d has the numbers %v, want %v", s, loaded.State, want)
		}
		total += len(want)
	}
	appendTo(t, st, store.Stream{Type: "End", ID: "1"}, 1)
	if got := positions(t, st); !slices.Equal(got, upTo(total+1)) {
		t.Errorf("the log has the positions %v, want 1 to %d", got, total+1)
	}
	if got := <-seen; !slices.Equal(got, upTo(total+1)) {
		t.Errorf("a subscription yielded the positions %v, want 1 to %d", got, total+1)
	}
	t.Logf("%d commands in %d crashes", total, n)
}

// checkGone checks that every call reports in time that the server is unavailable.
func checkGone(t *testing.T, st *postgres.Store) {
	t.Helper()
	ctx := within(t)
	calls := map[string]func() error{
		"Append": func() error { _, err := st.Append(ctx, stream(1), store.NoStream, batch(1)); return err },
		"Read":   func() error { _, err := st.Read(ctx, stream(1), store.ReadOptions{}); return err },
		"Head":   func() error { _, err := st.Head(ctx); return err },
		"AcquireLease": func() error {
			_, err := st.AcquireLease(ctx, "lease", "owner", time.Hour)
			return err
		},
		"SaveCheckpoint": func() error {
			return st.SaveCheckpoint(ctx, "consumer", store.Checkpoint{}, store.Checkpoint{Position: 1, EventID: "e"})
		},
	}
	for name, call := range calls {
		var typed *postgres.Error
		if err := call(); !errors.Is(err, postgres.ErrUnavailable) || !errors.As(err, &typed) || store.Definite(err) {
			t.Errorf("%s without the server = %v, want ErrUnavailable", name, err)
		}
	}
}

// numbersOf returns the numbers that the writers of stream s have added, sorted.
func numbersOf(landed []int, s, streams int) []int {
	var want []int
	for w, count := range landed {
		for i := range count {
			if w%streams == s {
				want = append(want, w+i*len(landed))
			}
		}
	}
	slices.Sort(want)
	return want
}

// addUntilItLands sends the command until it has certainly landed.
func addUntilItLands(ctx context.Context, numbers *runner.Runner[add, []int, add], stream string, n int) error {
	for {
		_, err := numbers.Handle(ctx, stream, add{n}, runner.CommandID(fmt.Sprint("command ", n)))
		if err == nil || errors.Is(err, runner.ErrRejected) || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // leaves the processor to the starting server
	}
}

// followed returns the positions that a subscription yields, up to an event of a stream
// of type end.
func followed(ctx context.Context, st *postgres.Store, end string) (positions []uint64) {
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil {
			return positions
		}
		for i := range page.Events {
			positions = append(positions, page.Events[i].Position)
			if page.Events[i].Stream.Type == end {
				return positions
			}
		}
	}
	return positions
}

// childEnv is the URL of the database that the child process appends to.
const childEnv = "EVOLVE_POSTGRES_CHILD"

const childWriters, childBatch = 8, 3

// appendForever is the child: it prints a line for each append that succeeded, until it
// is killed.
func appendForever(url string) {
	st, err := postgres.Open(context.Background(), url)
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

// child starts a process that appends to the database at url. The channel yields its
// lines, and is closed when the process has ended.
func child(t *testing.T, url string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+url)
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

// TestClientCrash kills processes and checks that every append they were told about is
// in the log once and completely.
func TestClientCrash(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	acked := make(map[string]string) // stream and version of the last event, by the id of the first
	n := rounds(3)
	for range n {
		cmd, lines := child(t, url)
		other, more := child(t, url)
		collect(t, acked, <-lines) // the child works
		collect(t, acked, <-more)
		time.AfterFunc(rand.N(200*time.Millisecond), func() { _ = cmd.Process.Kill() })
		for line := range lines {
			collect(t, acked, line)
		}
		_ = other.Process.Kill()
		for line := range more {
			collect(t, acked, line)
		}
		_, _ = cmd.Wait(), other.Wait() // the children were killed
		checkLog(t, url, acked)
	}
	t.Logf("%d acknowledged appends in %d crashes", len(acked), n)
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

// checkLog checks that the log has every acknowledged append once and completely, no
// part of any other append, and no gap.
func checkLog(t *testing.T, url string, acked map[string]string) {
	t.Helper()
	st := open(t, url)
	versions := make(map[string]uint64)
	ids := make(map[string]string)
	o, position := store.LogOptions{}, uint64(0)
	for end := false; !end; {
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
		o.From, end = page.Next, page.End
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
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
