package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

type added struct{ Command string }

// counter counts its commands, which are also its events.
func counter(st store.Store) *runner.Runner[added, int, added] {
	d := decider.New(
		func(cmd added, _ int) ([]added, error) { return []added{cmd}, nil },
		func(n int, _ added) int { return n + 1 },
	)
	return runner.New("Counter", d, st, codec.JSON(map[string]added{"Added": {}}))
}

// kills is how often the server is killed. A long run kills it more often.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("RAPID_CHECKS")); err == nil && n >= 1000 {
		return 30
	}
	if testing.Short() {
		return 1
	}
	return 4
}

// TestKilledUnderLoad kills the server again and again while clients send commands,
// each until it is acknowledged, and follow the log. In the end, every command must
// have happened once, and the follower must have seen every event once, in order.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, nil, "-listen", "127.0.0.1:0")
	address := p.address
	url := "grpc://" + address

	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan []store.Recorded, 1)
	follower := tenantOf(t, url)
	go func() { seen <- follow(ctx, t, follower) }()

	const workers = 4
	var over atomic.Bool
	acknowledged, done := make(chan struct{}), make(chan int, workers)
	for w := range workers {
		r := counter(tenantOf(t, url))
		go func() { done <- work(ctx, t, r, w, acknowledged, &over) }()
	}
	for range kills() {
		for range 20 {
			<-acknowledged
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.done
		_ = p.cmd.Wait() // the error only says that it was killed
		p = start(t, dir, nil, "-listen", address)
	}
	<-acknowledged
	over.Store(true)
	total := 0
	for range workers {
		total += <-done
	}

	st := tenantOf(t, url)
	if head, err := st.Head(t.Context()); err != nil || head != uint64(total) {
		t.Errorf("the log has %d events, %v; %d commands were acknowledged", head, err, total)
	}
	if err := add(t.Context(), st, last); err != nil {
		t.Fatal(err)
	}
	events := <-seen
	cancel()
	ids := map[string]bool{}
	for i, e := range events {
		if e.Position != uint64(i+1) || ids[e.ID] {
			t.Fatalf("event %d of the follower is at position %d, id %s", i+1, e.Position, e.ID)
		}
		ids[e.ID] = true
	}
	if len(events) != total+1 {
		t.Errorf("the follower has %d events, the log has %d", len(events), total+1)
	}
}

// last is the stream at which follow stops.
const last = "last"

// follow returns the events of the log up to the stream last.
func follow(ctx context.Context, t *testing.T, st store.Log) (seen []store.Recorded) {
	t.Helper()
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil {
			t.Errorf("Subscribe: %v", err)
			return seen
		}
		for i := range page.Events {
			if seen = append(seen, page.Events[i]); page.Events[i].Stream.ID == last {
				return seen
			}
		}
	}
	return seen
}

// work sends commands, each until it is acknowledged, and returns how many. Two workers
// share each stream.
func work(ctx context.Context, t *testing.T, r *runner.Runner[added, int, added], worker int, acknowledged chan<- struct{}, over *atomic.Bool) (n int) {
	t.Helper()
	for ; !over.Load(); n++ {
		command := fmt.Sprint(worker, "-", n)
		for {
			_, err := r.Handle(ctx, strconv.Itoa(worker/2), added{command}, runner.CommandID(command))
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Errorf("command %s: %v", command, err)
				return n
			}
		}
		select {
		case acknowledged <- struct{}{}:
		default: // nobody is waiting for it
		}
	}
	return n
}
