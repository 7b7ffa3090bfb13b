package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// Subscribe yields three events, and reports the end of the log until open is closed.
func (h *heldLog) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		first := o
		first.Limit = 3
		page, err := h.ReadAll(ctx, first)
		page.End = true
		if !yield(page, err) || err != nil {
			return
		}
		select {
		case <-h.open:
		case <-ctx.Done():
			yield(store.Page{}, ctx.Err())
			return
		}
		o.From = page.Next
		for page, err := range h.Log.Subscribe(ctx, o) {
			if !yield(page, err) {
				return
			}
		}
	}
}

// covers waits for events that the projection does not handle.
func (f *fixture[T]) covers() {
	f.append("a", "Happened")
	p := f.projection("covers")
	f.start(p)
	for range 3 {
		f.wait(p, f.append("a", "Ignored").Position)
		other := f.appendTo(f.Store, store.Stream{Type: "Other", ID: "o"}, f.thing("Happened"))
		f.wait(p, other.Position)
	}
	if is := p.Progress(); is.State != projection.Live || is.Lag != 0 {
		f.Fatalf("at the end of the log the progress is %+v, want that it is live, without a lag", is)
	}
}

// movesOver checks the checkpoint after events that the projection does not handle.
func (f *fixture[T]) movesOver() {
	mine := f.append("a", "Happened")
	p := f.projection("over")
	stop := f.start(p)
	f.wait(p, mine.Position)
	var last store.Appended
	var id string
	for range 20 {
		e := f.thing("Ignored")
		id = e.ID
		last = f.appendTo(f.Store, store.Stream{Type: "Other", ID: "o"}, e)
	}
	f.until("the checkpoint is there", func() bool { return f.look("over@1", "over").at.Position >= last.Position })
	if at := f.look("over@1", "over").at; at != (store.Checkpoint{Position: last.Position, EventID: id}) {
		f.Fatalf("the checkpoint is %+v, want the last event %q at %d", at, id, last.Position)
	}
	elsewhere := f.projection("over")
	f.wait(elsewhere, last.Position)
	_ = stop()
	f.reach(elsewhere, f.append("a", "Happened").Position)
	f.consistent("over")
}

// waits appends and waits, in the owner's process and in another one.
func (f *fixture[T]) waits() {
	p, elsewhere := f.projection("waits"), f.projection("waits")
	f.start(p)
	for i := range f.times(40) {
		at := f.append("a", "Happened").Position
		if i%2 == 0 {
			f.wait(p, at, "Thing/a")
		} else {
			f.wait(elsewhere, at, "Thing/a")
		}
		if list := f.look("waits@1", "waits").lists["a"]; !strings.Contains(list, entry(at, 0)) {
			f.Fatalf("WaitFor(%d) returned, but the read model has %q", at, abridged(list))
		}
	}
	f.wait(p, 0)
}

// waitsInVain waits for positions that are never reached.
func (f *fixture[T]) waitsInVain() {
	last := f.history(5)
	p := f.projection("vain")
	impatient, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
	defer cancel()
	err := p.WaitFor(impatient, last)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), string(projection.Idle)) {
		f.Fatalf("WaitFor while nothing runs = %v, want a message that it is idle", err)
	}
	f.start(p)
	f.wait(p, last)
	if err := p.WaitFor(f.ctx, last+1000); !errors.Is(err, projection.ErrAhead) {
		f.Fatalf("WaitFor a position beyond the head = %v, want ErrAhead", err)
	}
	f.failing(broken(errBroken, "b"))
	bad := f.append("b", "Happened").Position
	f.until("it retries", func() bool { return p.Progress().State == projection.Retrying })
	impatient, cancel = context.WithTimeout(f.ctx, 20*time.Millisecond)
	defer cancel()
	if err := p.WaitFor(impatient, bad); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errBroken) {
		f.Fatalf("WaitFor an event that fails = %v, want the cause", err)
	}
	f.failing(nil)
	f.wait(p, bad)
	failed := f.projection("fails").WithSetup(func(context.Context, T) error { return errBroken })
	_ = f.end(failed)
	if err := failed.WaitFor(f.ctx, bad); !errors.Is(err, errBroken) {
		f.Fatalf("WaitFor after Run has failed = %v, want its error", err)
	}
}

// progress checks the progress while events arrive and fail.
func (f *fixture[T]) progress() {
	p := f.projection("progress").WithBatch(4, time.Hour)
	f.start(p)
	stop := make(chan struct{})
	var looked sync.WaitGroup
	defer looked.Wait() // also if the clause fails
	defer close(stop)
	looked.Go(func() {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for last := uint64(0); ; {
			is := p.Progress()
			if is.Position < last || is.Position > is.Head {
				f.Errorf("after position %d the progress is %+v, want a position from there on, up to the head", last, is)
			}
			if is.State == projection.Live && is.Cause != nil {
				f.Errorf("it is live, but has a cause: %+v", is)
			}
			last = is.Position
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	for range 3 {
		f.wait(p, f.history(f.times(60)))
		f.failing(broken(errBroken, "c"))
		f.append("a", "Happened")
		bad := f.append("c", "Happened").Position
		f.until("it retries", func() bool { return p.Progress().Attempts > 2 })
		if is := p.Progress(); is.State != projection.Retrying || is.Position != bad-1 {
			f.Fatalf("while the event at %d fails the progress is %+v, want that it retries, at the position before", bad, is)
		}
		f.failing(nil)
		f.wait(p, bad)
	}
}

// lag measures the lag of an event that waits.
func (f *fixture[T]) lag() {
	p := f.projection("lag").WithLagLimit(time.Minute)
	f.start(p)
	f.wait(p, f.append("a", "Happened").Position)
	if is := p.Progress(); is.Lag != 0 {
		f.Fatalf("at the end of the log the lag is %v, want 0", is.Lag)
	}
	f.failing(broken(errBroken, "b"))
	bad := f.append("b", "Happened").Position
	<-time.After(30 * time.Second)
	if is := p.Progress(); is.Lag < 29*time.Second || is.Lag > 31*time.Second {
		f.Fatalf("30 s after an event that fails the lag is %v, want 30 s", is.Lag)
	}
	if h := p.Health(); !h.Healthy {
		f.Fatalf("30 s after, with a limit of 1 m, the health is %+v, want that it is healthy", h)
	}
	f.failing(nil)
	f.wait(p, bad)
	if is := p.Progress(); is.Lag != 0 {
		f.Fatalf("when the event has succeeded the lag is %v, want 0", is.Lag)
	}
}

// bounded counts the events that are read ahead of a handler that blocks.
func (f *fixture[T]) bounded() {
	const backlog = 12_000
	for range backlog / 500 {
		events := make([]store.Event, 500)
		for i := range events {
			events[i] = f.thing("Happened")
		}
		f.appendTo(f.Store, store.Stream{Type: "Thing", ID: "a"}, events...)
	}
	var yielded, handled atomic.Int64
	log := &countedLog{Log: f.Store, yielded: &yielded}
	const most = 2048 + 3*256 // the batch, one page that is ready, and one that is being read
	p := projection.New(log, f.Target, "bounded", reads(happenings()),
		func(context.Context, T, projection.Event[fact]) error {
			if ahead := yielded.Load() - handled.Load(); ahead > most {
				return projection.Permanent(fmt.Errorf("%d events are in memory, more than %d", ahead, most))
			}
			handled.Add(1)
			if handled.Load()%300 == 0 {
				<-time.After(time.Millisecond)
			}
			return nil
		}).WithoutLease().WithBatch(1<<20, time.Hour)
	f.start(p)
	f.until("it has handled all, or failed", func() bool {
		return handled.Load() >= backlog || p.Progress().Cause != nil
	})
	if cause := p.Progress().Cause; cause != nil {
		f.Fatalf("%v", cause)
	}
}

// countedLog counts the events of its subscriptions.
type countedLog struct {
	store.Log
	yielded *atomic.Int64
}

func (c *countedLog) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		for page, err := range c.Log.Subscribe(ctx, o) {
			c.yielded.Add(int64(len(page.Events)))
			if !yield(page, err) {
				return
			}
		}
	}
}

// adapts runs a handler that takes 10 ms for an event, and later no time.
func (f *fixture[T]) adapts() {
	const most = 50 * time.Millisecond
	var took []time.Duration
	var sizes []int
	var slow atomic.Bool
	slow.Store(true)
	events := make([]store.Event, 1000)
	for i := range events {
		events[i] = f.thing("Happened")
	}
	f.appendTo(f.Store, store.Stream{Type: "Thing", ID: "a"}, events...)
	p := projection.New(f.Store, f.Target, "adapts", reads(happenings()),
		func(context.Context, T, projection.Event[fact]) error {
			if slow.Load() {
				<-time.After(10 * time.Millisecond)
			}
			return nil
		}).WithoutLease().WithBatch(2048, most).WithObserver(observing(func(n projection.Notice) {
		if n.Kind == projection.BatchApplied {
			took, sizes = append(took, n.Took), append(sizes, n.Events)
			slow.Store(n.Position < 500)
		}
	}))
	f.reach(p, 1000)
	long := 0
	for _, t := range took[5:] {
		if t > 2*most {
			f.Fatalf("a transaction took %v, and may take %v: %v", t, most, took)
		}
		if t > most {
			long++
		}
	}
	if long > len(took)/2 {
		f.Fatalf("%d of %d transactions took longer than %v", long, len(took), most)
	}
	if largest := slices.Max(sizes[5:]); largest < 64 {
		f.Fatalf("transactions that take no time have %v events, want one of 64 or more", sizes)
	}
}

// delivers calls a receiver that fails now and then.
func (f *fixture[T]) delivers() {
	var mu sync.Mutex
	got := map[string][]string{}
	fails := 0
	deliver := func(_ context.Context, e projection.Event[fact]) error {
		mu.Lock()
		defer mu.Unlock()
		if fails++; fails%5 == 0 {
			return errBroken
		}
		got[e.Event.Key] = append(got[e.Event.Key], entry(e.Recorded.Position, e.Index))
		return nil
	}
	p := projection.Deliver(f.Store, f.Target, "delivers", reads(happenings()), deliver).WithoutLease().WithRetry(quick())
	start := f.history(3)
	stop := f.start(p)
	f.until("it is live", func() bool { return p.Progress().State == projection.Live })
	last := f.history(60)
	f.wait(p, last)
	_ = stop()
	want := f.expected(happenings(), last, nil)
	old := f.expected(happenings(), start, nil)
	mu.Lock()
	defer mu.Unlock()
	for key, list := range want {
		f.deliveredOnce(key, got[key], strings.Fields(strings.TrimPrefix(list, old[key])))
	}
}

// deliveredOnce checks that got equals want, except for the first of two events that one
// recorded event became: it is delivered again when the second one fails.
func (f *fixture[T]) deliveredOnce(key string, got, want []string) {
	f.Helper()
	i := 0
	for j, entry := range got {
		entry = strings.TrimSpace(entry)
		switch {
		case i < len(want) && entry == want[i]:
			i++
		case j > 0 && strings.TrimSpace(got[j-1]) == entry && strings.HasSuffix(entry, ".0"):
		default:
			f.Fatalf("key %q: %s was delivered after %s, want %s", key, entry, abridged(strings.Join(got[:j], "")), abridged(strings.Join(want, " ")))
		}
	}
	if i != len(want) {
		f.Fatalf("key %q: %d of %d events were delivered: %s", key, i, len(want), abridged(strings.Join(got, "")))
	}
}

// deliversNews starts with a history.
func (f *fixture[T]) deliversNews() {
	old := f.history(20)
	var mu sync.Mutex
	var got []uint64
	deliver := func(_ context.Context, e projection.Event[fact]) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, e.Recorded.Position)
		return nil
	}
	for version := 1; version <= 2; version++ {
		p := projection.Deliver(f.Store, f.Target, "news", reads(happenings()), deliver).
			WithVersion(version).WithoutLease().WithRetry(quick())
		stop := f.start(p)
		f.until("it is live", func() bool { return p.Progress().State == projection.Live })
		f.wait(p, f.append("a", "Happened").Position)
		_ = stop()
		f.reach(p, f.append("a", "Happened").Position) // it continues where it was
	}
	mu.Lock()
	defer mu.Unlock()
	if want := fmt.Sprint([]uint64{old + 1, old + 2, old + 3, old + 4}); fmt.Sprint(got) != want {
		f.Fatalf("%v were delivered, want %v", got, want)
	}
}
