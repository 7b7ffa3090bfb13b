package runnertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// trial is one check of a clause: a memory store, whose calls are observed and can fail,
// and the systems that were opened on it. Only the systems go through probe and faults.
type trial struct {
	reporter
	ctx     context.Context //nolint:containedctx // lives as long as the trial
	memory  *memory.Store
	others  store.Store    // for appends of other writers: memory, or around it
	faults  *faults.Faulty // around memory
	probe   *probe         // around faults
	decider decider.Decider[Command, State, Event]
	open    Open

	mu      sync.Mutex
	systems []System // guarded by mu
	decided int      // how often a system decided; guarded by mu
}

// try runs check as a trial of open and returns the failures. It must be called in a
// bubble of testing/synctest.
func try(open Open, check func(t *trial)) []string {
	return record(func(tb reporter) {
		ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
		defer cancel()
		newTrial(ctx, tb, open).run(check)
	})
}

func newTrial(ctx context.Context, tb reporter, open Open) *trial {
	m := memory.New()
	t := &trial{reporter: tb, ctx: ctx, memory: m, others: m, decider: Account(), open: open}
	t.faults = faults.Wrap(m, 1, faults.Rate{})
	claims, _ := t.faults.Store().(store.Claims)
	t.probe = &probe{Snapshots: m, Claims: claims, tb: tb, inner: t.faults}
	return t
}

func (t *trial) run(check func(t *trial)) {
	defer t.close()
	check(t)
}

// point is a reporter that adds the point of the clause to a failure.
type point struct {
	reporter
	name string
}

// Errorf calls reporter.Errorf with the point.
func (p point) Errorf(format string, args ...any) {
	p.Helper()
	p.reporter.Errorf("%s: "+format, append([]any{p.name}, args...)...)
}

// Fatalf calls reporter.Fatalf with the point.
func (p point) Fatalf(format string, args ...any) {
	p.Helper()
	p.reporter.Fatalf("%s: "+format, append([]any{p.name}, args...)...)
}

// at runs a part of the clause as a trial of its own.
func (t *trial) at(name string, check func(t *trial)) {
	newTrial(t.ctx, point{t.reporter, name}, t.open).run(check)
}

// system opens one more process.
func (t *trial) system() System {
	counted := t.decider
	counted.Decide = func(c Command, s State) ([]Event, error) {
		t.mu.Lock()
		t.decided++
		t.mu.Unlock()
		return t.decider.Decide(c, s)
	}
	return t.opened(t.open(counted, t.probe, format{}))
}

func (t *trial) opened(s System) System {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.systems = append(t.systems, s)
	return s
}

func (t *trial) close() {
	for _, s := range t.systems {
		if c, ok := s.(io.Closer); ok {
			if err := c.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		}
	}
}

// decisions returns how often a system has decided since the last call.
func (t *trial) decisions() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.decided
	t.decided = 0
	return n
}

// together runs do n times at once and waits.
func (t *trial) together(n int, do func(i int)) {
	done := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			do(i)
		}()
	}
	for range n {
		<-done
	}
}

// must handles c, which must succeed, and checks the resulting state.
func (t *trial) must(s System, c Call) Outcome {
	t.Helper()
	out, err := s.Handle(t.ctx, c)
	if err != nil {
		t.Fatalf("Handle(%+v) = %v, want no error", c, err)
	}
	t.wantFold(c.ID, out.State, out.Version, "Handle")
	return out
}

// refused handles c, which must fail with target.
func (t *trial) refused(s System, c Call, target error) {
	t.Helper()
	out, err := s.Handle(t.ctx, c)
	if !errors.Is(err, target) {
		t.Errorf("Handle(%+v) = %+v, %v, want the error %q", c, out, err, target)
	}
}

// given appends what commands decide, directly to the store: the work of another writer.
// It leaves out commands that are rejected.
func (t *trial) given(id string, commands ...Command) {
	t.Helper()
	for _, c := range commands {
		before := t.stream(id)
		events, err := t.decider.Decide(c, t.decider.Fold(t.decider.Start(), before...))
		if err != nil || len(events) == 0 {
			continue
		}
		batch := make([]store.Event, len(events))
		for i, event := range events {
			if batch[i], err = (format{}).Encode(event); err != nil {
				t.Fatalf("Encode(%+v) = %v", event, err)
			}
			batch[i].ID = store.NewID()
		}
		at := store.Exactly(uint64(len(before)))
		if _, err := t.others.Append(t.ctx, streamOf(id), at, batch); err != nil {
			t.Fatalf("append for another writer: %v", err)
		}
	}
}

// acc is the aggregate that clauses use.
const acc = "acc-1"

func streamOf(id string) store.Stream {
	return store.Stream{Type: StreamType, ID: id}
}

// stream returns the events of id.
func (t *trial) stream(id string) (events []Event) {
	t.Helper()
	for r, err := range store.Events(t.ctx, t.memory, streamOf(id), 0) {
		if err == nil {
			events, err = (format{}).Decode(events, []store.Recorded{r})
		}
		if err != nil {
			t.Fatalf("read what is in the stream: %v", err)
		}
	}
	return events
}

// count returns how many events of the command with tag are in the stream of acc.
func (t *trial) count(tag string) (n int) {
	t.Helper()
	for _, event := range t.stream(acc) {
		if event.Tag == tag {
			n++
		}
	}
	return n
}

// wantTags checks which commands' events are in the stream of id, in order.
func (t *trial) wantTags(id string, want ...string) {
	t.Helper()
	var got []string
	for _, event := range t.stream(id) {
		got = append(got, event.Tag)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the stream has the events of the commands %q, want those of %q", got, want)
	}
}

// wantLength checks how many events the stream of id has.
func (t *trial) wantLength(id string, want int) {
	t.Helper()
	if got := len(t.stream(id)); got != want {
		t.Errorf("the stream of %s has %d events, want %d", id, got, want)
	}
}

// wantFold checks that a state is the fold of the stream up to version.
func (t *trial) wantFold(id string, state State, version uint64, from string) {
	t.Helper()
	events := t.stream(id)
	if version > uint64(len(events)) {
		t.Errorf("%s returned version %d of a stream of %d events", from, version, len(events))
		return
	}
	if want := t.decider.Fold(t.decider.Start(), events[:version]...); !state.equal(want) {
		t.Errorf("%s returned the state %+v at version %d, but the stream gives %+v", from, state, version, want)
	}
}

// load calls s.Load of acc, and returns its panic as an error.
func (t *trial) load(s System) (state State, version uint64, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return s.Load(t.ctx, acc)
}

// wantLoaded checks that s loads the whole stream of acc.
func (t *trial) wantLoaded(s System) {
	t.Helper()
	state, version, err := t.load(s)
	if err != nil {
		t.Errorf("Load(%s) = %v, want no error", acc, err)
		return
	}
	if head := len(t.stream(acc)); version != uint64(head) {
		t.Errorf("Load(%s) returned version %d, want %d", acc, version, head)
	}
	t.wantFold(acc, state, version, "Load")
}
