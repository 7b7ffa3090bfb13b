package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// event is an event of the streams of type "Thing".
type event interface{ isEvent() }

type (
	happened struct{ N int }
	added    struct{ N int }
	twice    struct{ N int }
)

func (happened) isEvent() {}
func (added) isEvent()    {}

// fact is an event as the suite's projections see it.
type fact struct {
	Key   string
	Event event
}

// happenings reads events "Happened", and "Doubled" as two of them.
func happenings() codec.Codec[event] {
	return codec.JSON(map[string]event{"Happened": happened{}},
		codec.UpMany("Doubled", 1, func(t twice) []event { return []event{happened(t), happened(t)} }).Retired())
}

// additions also reads "Added".
func additions() codec.Codec[event] {
	return codec.JSON(map[string]event{"Happened": happened{}, "Added": added{}},
		codec.UpMany("Doubled", 1, func(t twice) []event { return []event{happened(t), happened(t)} }).Retired())
}

func reads(c codec.Codec[event]) codec.Source[fact] {
	return codec.Events(codec.From("Thing", c, func(r *store.Recorded, e event) fact { return fact{r.Stream.ID, e} }))
}

// fixture is a World together with the state of a clause.
type fixture[T projection.Tx] struct {
	*testing.T
	World[T]
	ctx   context.Context //nolint:containedctx // of the clause
	count int

	mu   sync.Mutex
	fail func(e projection.Event[fact]) error // guarded by mu; nil: nothing fails
	seen func(e projection.Event[fact])       // guarded by mu; nil: not called
}

func newFixture[T projection.Tx](t *testing.T, w World[T]) *fixture[T] {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return &fixture[T]{T: t, World: w, ctx: ctx}
}

// times returns n, or less with -short.
func (*fixture[T]) times(n int) int {
	if testing.Short() {
		return max(n/4, 1)
	}
	return n
}

func (f *fixture[T]) failing(fail func(e projection.Event[fact]) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *fixture[T]) seeing(seen func(e projection.Event[fact])) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = seen
}

func (f *fixture[T]) hooks() (func(projection.Event[fact]) error, func(projection.Event[fact])) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail, f.seen
}

// thing returns an event called name.
func (f *fixture[T]) thing(name string) store.Event {
	f.count++
	return store.Event{
		ID: store.NewID(), Type: name, Schema: 1, ContentType: "application/json", Data: fmt.Appendf(nil, `{"N":%d}`, f.count),
	}
}

// append appends events called names to the stream of key.
func (f *fixture[T]) append(key string, names ...string) store.Appended {
	f.Helper()
	events := make([]store.Event, len(names))
	for i, name := range names {
		events[i] = f.thing(name)
	}
	return f.appendTo(f.Store, store.Stream{Type: "Thing", ID: key}, events...)
}

func (f *fixture[T]) appendTo(st store.Store, s store.Stream, events ...store.Event) store.Appended {
	f.Helper()
	a, err := st.Append(f.ctx, s, store.Any, events)
	if err != nil {
		f.Fatalf("append to %s: %v", s, err)
	}
	return a
}

// history appends n events to keys a to d, some of a kind that is read as two events or
// not read at all. It returns the position of the last one.
func (f *fixture[T]) history(n int) uint64 {
	f.Helper()
	var last store.Appended
	for i := range n {
		names := []string{"Happened"}
		switch {
		case i%7 == 3:
			names = []string{"Happened", "Doubled", "Happened"}
		case i%11 == 5:
			names = []string{"Ignored"}
		}
		last = f.append(string(rune('a'+i%4)), names...)
	}
	return last.Position
}

// projection returns a projection called name, whose read model lists the applied events
// of each key.
func (f *fixture[T]) projection(name string) *projection.Projection[T, fact] {
	return f.into(f.Target, name, reads(happenings()))
}

func (f *fixture[T]) into(
	target projection.Target[T], name string, source codec.Source[fact],
) *projection.Projection[T, fact] {
	return projection.New(f.Store, target, name, source, f.list(name)).WithObserver(nil).WithRetry(quick()).WithoutLease()
}

// quick is a Retry with short pauses.
func quick() projection.Retry {
	return projection.Retry{Pause: time.Millisecond, MaxPause: 5 * time.Millisecond, For: 20 * time.Millisecond}
}

// list returns a handler that appends to the list of the event's key, under kind.
func (f *fixture[T]) list(kind string) func(context.Context, T, projection.Event[fact]) error {
	return func(_ context.Context, tx T, e projection.Event[fact]) error {
		fail, seen := f.hooks()
		if seen != nil {
			seen(e)
		}
		docs, err := tx.LoadDocuments(kind, []string{e.Event.Key})
		if err != nil {
			return err
		}
		docs[0].Data = append(docs[0].Data, entry(e.Recorded.Position, e.Index)...)
		if err := tx.SaveDocuments(docs); err != nil {
			return err
		}
		if fail != nil { // after the write, which must then be rolled back
			return fail(e)
		}
		return nil
	}
}

func entry(position uint64, index int) string { return fmt.Sprintf("%d.%d ", position, index) }

// start runs p in a goroutine until stop is called, or the clause ends.
func (f *fixture[T]) start(p runner) (stop func() error) {
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	f.Cleanup(func() { _ = stop() })
	return stop
}

type runner interface {
	Run(ctx context.Context) error
}

type waiter interface {
	runner
	WaitFor(ctx context.Context, position uint64, keys ...string) error
	Progress() projection.Progress
}

// reach runs p until it has handled the log up to position, and stops it.
func (f *fixture[T]) reach(p waiter, position uint64) {
	f.Helper()
	stop := f.start(p)
	f.wait(p, position)
	f.canceled(stop())
}

// canceled checks the error of a Run whose context was cancelled.
func (f *fixture[T]) canceled(err error) {
	f.Helper()
	if !errors.Is(err, context.Canceled) {
		f.Fatalf("Run = %v, want the error of its context", err)
	}
}

// unpark unparks key, which must succeed.
func (f *fixture[T]) unpark(p *projection.Projection[T, fact], key string) {
	f.Helper()
	if err := p.Unpark(f.ctx, key); err != nil {
		f.Fatalf("Unpark(%q) = %v, want success", key, err)
	}
}

// parked returns the keys that p has parked, of which there must be n.
func (f *fixture[T]) parked(p *projection.Projection[T, fact], n int) []projection.Parked {
	f.Helper()
	parked, err := p.Parked(f.ctx)
	if err != nil || len(parked) != n {
		f.Fatalf("Parked of %s = %+v, %v; want %d keys", p, parked, err, n)
	}
	return parked
}

func (f *fixture[T]) wait(p waiter, position uint64, keys ...string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, 20*time.Second)
	defer cancel()
	if err := p.WaitFor(ctx, position, keys...); err != nil {
		f.Fatalf("WaitFor(%d) = %v", position, err)
	}
}

// pass lets time pass, if time is virtual.
func (f *fixture[T]) pass(d time.Duration) {
	if f.Virtual {
		time.Sleep(d)
	}
}

// until waits until is returns true.
func (f *fixture[T]) until(what string, is func() bool) {
	f.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			f.Fatalf("not reached within a minute: %s", what)
		}
	}
}

// state is a read model with its checkpoint at one moment.
type state struct {
	at    store.Checkpoint
	lists map[string]string
}

// look returns the read model of build, whose handler writes under kind.
func (f *fixture[T]) look(build, kind string) state {
	f.Helper()
	s := state{lists: map[string]string{}}
	err := f.Target.Update(f.ctx, func(tx T) (err error) {
		if s.at, err = tx.LoadCheckpoint(build); err != nil {
			return err
		}
		docs, err := tx.ScanDocuments(kind, "", "", 0)
		for _, d := range docs {
			s.lists[d.ID] = string(d.Data)
		}
		return err
	})
	if err != nil {
		f.Fatalf("look at %s: %v", build, err)
	}
	return s
}

// expected returns the list of each key: the events recorded up to position that c reads.
// For keys in without, it leaves out the events after the given position.
func (f *fixture[T]) expected(c codec.Codec[event], position uint64, without map[string]uint64) map[string]string {
	f.Helper()
	lists := map[string]string{}
	source := reads(c)
	for from := uint64(0); ; {
		page, err := f.Store.ReadAll(f.ctx, store.LogOptions{From: from, Filter: source.Filter()})
		if err != nil {
			f.Fatalf("read the log: %v", err)
		}
		for i := range page.Events {
			r := &page.Events[i]
			if first, parked := without[r.Stream.ID]; r.Position > position || parked && r.Position >= first {
				continue
			}
			events, err := source.Decode(nil, r)
			if err != nil {
				f.Fatalf("decode: %v", err)
			}
			for _, e := range events {
				lists[r.Stream.ID] += entry(r.Position, e.Index)
			}
		}
		if page.End {
			return lists
		}
		from = page.Next
	}
}

// consistent checks that the read model called name is the fold of the log up to its
// checkpoint, and returns the checkpoint.
func (f *fixture[T]) consistent(name string) store.Checkpoint {
	f.Helper()
	return f.consistentBut(name, nil)
}

func (f *fixture[T]) consistentBut(name string, without map[string]uint64) store.Checkpoint {
	f.Helper()
	got := f.look(name+"@1", name)
	f.same(got.lists, f.expected(happenings(), got.at.Position, without))
	return got.at
}

// same checks that two read models are equal.
func (f *fixture[T]) same(got, want map[string]string) {
	f.Helper()
	keys := map[string]bool{}
	for key := range got {
		keys[key] = true
	}
	for key := range want {
		keys[key] = true
	}
	for key := range keys {
		if strings.TrimSpace(got[key]) != strings.TrimSpace(want[key]) {
			f.Fatalf("key %q has the events %q, want %q", key, abridged(got[key]), abridged(want[key]))
		}
	}
}

// abridged returns the end of a long list.
func abridged(list string) string {
	fields := strings.Fields(list)
	if len(fields) > 40 {
		fields = slices.Concat([]string{"…"}, fields[len(fields)-40:])
	}
	return strings.Join(fields, " ")
}
