package storetest

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

const (
	// patience is how long a clause waits for something that must happen.
	patience = time.Minute
	// hang is how long a clause lets its calls run before it concludes that the store
	// hangs.
	hang = 5 * time.Minute
)

// check is one run of a clause.
type check struct {
	rapid.TB
	ctx      context.Context    //nolint:containedctx // lives as long as the clause, like that of testing.T
	store    store.Store        // shared with other clauses, so streams and ids must be new
	open     func() store.Store // opens an empty store for this clause alone
	refuse   func(refused bool) // starts and stops refusing writes; only for RunRefused
	patience time.Duration
	brief    bool // run fewer random rounds
}

// run checks c on the store shared, and on stores from open if c needs a store of its
// own.
func (c clause) run(tb rapid.TB, shared store.Store, open func() store.Store) {
	tb.Helper()
	c.runFor(tb, shared, open, patience, testing.Short())
}

func (c clause) runFor(tb rapid.TB, shared store.Store, open func() store.Store, patience time.Duration, brief bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	c.check(&check{TB: tb, ctx: ctx, store: shared, open: open, patience: patience, brief: brief})
}

// times returns n, or a fifth of n if the check is brief.
func (t *check) times(n int) int {
	if t.brief {
		return max(1, n/5)
	}
	return n
}

// together runs do n times concurrently and waits for all. It fails with the first
// error.
func (t *check) together(n int, do func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		t.must(err)
	}
}

// against runs writers and readers concurrently. Each writer writes n times, and
// continues up to 20 n times until every reader has read n times; the readers read
// until all writers have stopped. The first error ends everything.
func (t *check) against(writers, readers, n int, write, read func(i int) error) {
	t.Helper()
	var writing, behind atomic.Int64
	var failed atomic.Bool
	writing.Store(int64(writers))
	behind.Store(int64(readers))
	do := func(what func(i int) error, i int) error {
		err := what(i)
		if err != nil {
			failed.Store(true)
		}
		runtime.Gosched() // otherwise a store in memory is done before the others begin
		return err
	}
	t.together(writers+readers, func(i int) (err error) {
		if i < writers {
			defer writing.Add(-1)
			for done := 0; err == nil && !failed.Load() && (done < n || done < 20*n && behind.Load() > 0); done++ {
				err = do(write, i)
			}
			return err
		}
		for done := 1; err == nil && writing.Load() > 0; done++ {
			if err = do(read, i-writers); done == n {
				behind.Add(-1)
			}
		}
		return err
	})
}

// contend runs n goroutines that try to win the same thing, each until it has won often
// times. The first error ends everything.
func (t *check) contend(n, often int, try func(i int) (won bool, err error)) {
	t.Helper()
	var failed atomic.Bool
	t.together(n, func(i int) error {
		for wins := 0; wins < often && !failed.Load(); {
			won, err := try(i)
			if err != nil {
				failed.Store(true)
				return err
			}
			if won {
				wins++
			}
			runtime.Gosched() // otherwise a store in memory is done before the others begin
		}
		return nil
	})
}

// must fails if err is not nil. The error says what was attempted.
func (t *check) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// newStream returns an unused stream; what says what it is for.
func newStream(what string) store.Stream {
	return store.Stream{Type: "Account", ID: what + " " + store.NewID()}
}

// newEvent returns an event with a new id.
func newEvent(data string) store.Event {
	return store.Event{
		ID: store.NewID(), Type: "Noted", Schema: 1, ContentType: "text/plain", Data: []byte(data),
		Meta: store.Metadata{CorrelationID: "correlation", Headers: map[string]string{"data": data}},
		Time: time.Date(2024, 2, 29, 12, 30, 15, 123_000_000, time.UTC),
	}
}

// newEvents returns n events with new ids and the data "1" to "n".
func newEvents(n int) []store.Event {
	events, ids := make([]store.Event, n), store.NewIDs(n)
	for i := range events {
		events[i] = newEvent(strconv.Itoa(i + 1))
		events[i].ID = ids[i]
	}
	return events
}

// append appends events. It fails if the append does not succeed, is a replay or returns
// another version than the one that expected implies.
func (t *check) append(st store.Store, s store.Stream, expected store.Expected, events ...store.Event) store.Appended {
	t.Helper()
	got, err := st.Append(t.ctx, s, expected, events)
	if err != nil {
		t.Fatalf("%s failed: %v", appendCall(s, expected, events), err)
	}
	if got.Replayed {
		t.Fatalf("%s = %+v, want Replayed false: the ids are new", appendCall(s, expected, events), got)
	}
	if version, ok := expected.Version(); ok && got.Version != version+uint64(len(events)) {
		t.Fatalf("%s = version %d, want %d", appendCall(s, expected, events), got.Version, version+uint64(len(events)))
	}
	return got
}

// filled returns a new stream with n events, and the events.
func (t *check) filled(st store.Store, what string, n int) (store.Stream, []store.Event) {
	t.Helper()
	s, events := newStream(what), newEvents(n)
	t.append(st, s, store.NoStream, events...)
	return s, events
}

// read reads a page. It fails if the read does not succeed.
func (t *check) read(st store.Store, s store.Stream, o store.ReadOptions) store.Page {
	t.Helper()
	page, err := st.Read(t.ctx, s, o)
	if err != nil {
		t.Fatalf("%s failed: %v", judge.ReadCall(s, o), err)
	}
	return page
}

// all reads the whole of s. It fails if a read does not succeed.
func (t *check) all(st store.Store, s store.Stream) []store.Recorded {
	t.Helper()
	all, err := judge.ReadStream(t.ctx, st, s)
	t.must(err)
	return all
}

// allOf is all for a stream that must have n events.
func (t *check) allOf(st store.Store, s store.Stream, n int) []store.Recorded {
	t.Helper()
	all := t.all(st, s)
	if len(all) != n {
		t.Fatalf("stream %s has %d events, want %d", s, len(all), n)
	}
	return all
}

func appendCall(s store.Stream, expected store.Expected, events []store.Event) string {
	return fmt.Sprintf("Append(%q, %q, expecting %s, %d events)", s.Type, s.ID, expected, len(events))
}

// pause waits for d, and returns the error of ctx if ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
