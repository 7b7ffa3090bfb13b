package runner_test

import (
	"context"
	"encoding/json"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// floor is the minimum that a program without a library does: events as interface values
// in maps of slices, each under a lock.
type floor struct {
	shards []floorShard
}

type floorShard struct {
	mu      sync.RWMutex
	streams map[string][]event // guarded by mu
	_       [64]byte
}

func newFloor(shards int) *floor {
	f := &floor{shards: make([]floorShard, shards)}
	for i := range f.shards {
		f.shards[i].streams = make(map[string][]event)
	}
	return f
}

func (f *floor) shard(id string) *floorShard {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return &f.shards[h%uint32(len(f.shards))]
}

func (f *floor) handle(id string, c command) error {
	s := f.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	var a account
	for _, e := range s.streams[id] {
		a = evolve(a, e)
	}
	events, err := decide(c, a)
	if err != nil {
		return err
	}
	s.streams[id] = append(s.streams[id], events...)
	return nil
}

// ledger is the minimum that an event store keeps: events with IDs, which are checked for
// uniqueness, times, types, versions, and positions in one log.
type ledger struct {
	shards []ledgerShard
	head   atomic.Uint64
}

type ledgerShard struct {
	mu      sync.RWMutex
	streams map[string][]store.Recorded // guarded by mu
	ids     map[string]bool             // guarded by mu
	_       [64]byte
}

func newLedger(shards int) *ledger {
	l := &ledger{shards: make([]ledgerShard, shards)}
	for i := range l.shards {
		l.shards[i].streams, l.shards[i].ids = make(map[string][]store.Recorded), make(map[string]bool)
	}
	return l
}

func (l *ledger) handle(id string, c command) error {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	s := &l.shards[h%uint32(len(l.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	recorded := s.streams[id]
	var a account
	for i := range recorded {
		a = evolve(a, recorded[i].Value.(event)) //nolint:errcheck,forcetypeassert // there is nothing else in it
	}
	events, err := decide(c, a)
	if err != nil {
		return err
	}
	at := time.Now()
	for _, e := range events {
		event := store.Event{ID: store.NewID(), Type: reflect.TypeOf(e).String(), Time: at, Value: e}
		if s.ids[event.ID] {
			return store.ErrDuplicate
		}
		s.ids[event.ID] = true
		recorded = append(recorded, store.Recorded{
			Event: event, Stream: store.Stream{Type: "Account", ID: id}, Version: uint64(len(recorded) + 1),
			Position: l.head.Add(1), RecordedAt: at,
		})
	}
	s.streams[id] = recorded
	return nil
}

// filled returns a runner whose stream "a" has n events.
func filled(b *testing.B, n int) *accounts {
	b.Helper()
	r := runner.New("Account", bank, memory.New(), codec.Values[event]())
	if _, err := r.Handle(b.Context(), "a", open{"ann"}); err != nil {
		b.Fatal(err)
	}
	_, _, err := runner.Transact(b.Context(), r, "a", func(account) (struct{}, []event, error) {
		events := make([]event, n-1)
		for i := range events {
			events[i] = deposited{i % 100}
		}
		return struct{}{}, events, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkDecideOnly handles commands that decide no events, so that the stream keeps
// its length: it measures load and decide.
func BenchmarkDecideOnly(b *testing.B) {
	ctx := b.Context()
	for _, n := range []int{1, 100, 1000, 9000} {
		r := filled(b, max(n, 2))
		b.Run("runner-"+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Handle(ctx, "a", touch{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		cached := r.WithCache(runner.Cache[account]{})
		b.Run("cached-"+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cached.Handle(ctx, "a", touch{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		f := newFloor(1)
		for i := range n {
			f.shards[0].streams["a"] = append(f.shards[0].streams["a"], event(deposited{i % 100}))
		}
		f.shards[0].streams["a"][0] = opened{"ann"}
		b.Run("floor-"+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f.handle("a", touch{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCommand handles commands that each append an event, on streams that grow from
// 500 events to 1500, so that the measurement includes the growth of memory.
func BenchmarkCommand(b *testing.B) {
	const length, most = 500, 1500
	run := func(b *testing.B, wrap func(*accounts) *accounts) {
		b.Helper()
		b.ReportAllocs()
		ctx := b.Context()
		r, left := wrap(filled(b, length)), most-length
		for b.Loop() {
			if left == 0 {
				b.StopTimer()
				r, left = wrap(filled(b, length)), most-length
				runtime.GC() // do not measure garbage that filled left
				b.StartTimer()
			}
			if _, err := r.Handle(ctx, "a", deposit{1}); err != nil {
				b.Fatal(err)
			}
			left--
		}
	}
	b.Run("runner", func(b *testing.B) {
		run(b, func(r *accounts) *accounts { return r })
	})
	b.Run("cached", func(b *testing.B) {
		run(b, func(r *accounts) *accounts {
			r = r.WithCache(runner.Cache[account]{})
			if _, err := r.Load(b.Context(), "a"); err != nil {
				b.Fatal(err)
			}
			return r
		})
	})
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		start := make([]event, length)
		start[0] = opened{"ann"}
		for i := 1; i < length; i++ {
			start[i] = deposited{i % 100}
		}
		f, left := newFloor(1), 0
		for b.Loop() {
			if left == 0 {
				f.shards[0].streams["a"], left = start, most-length
			}
			if err := f.handle("a", deposit{1}); err != nil {
				b.Fatal(err)
			}
			left--
		}
	})
}

// BenchmarkLedger is BenchmarkDecideOnly on a ledger.
func BenchmarkLedger(b *testing.B) {
	const n = 1000
	l := newLedger(1)
	if err := l.handle("a", open{"ann"}); err != nil {
		b.Fatal(err)
	}
	for i := range n - 1 {
		if err := l.handle("a", deposit{1 + i%100}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.handle("a", touch{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJSON handles commands that each append an event, as JSON, to one of many
// streams of about 100 events. The handwritten version does the same without a runner and
// a codec.
func BenchmarkJSON(b *testing.B) {
	const streams, length = 500, 100
	ctx := b.Context()
	names := map[string]event{"Opened": opened{}, "Deposited": deposited{}, "Withdrawn": withdrawn{}}
	c := codec.JSON(names)
	run := func(b *testing.B, handle func(st *memory.Store) func(id string) error) {
		b.Helper()
		b.ReportAllocs()
		st := memory.New()
		var ids [streams]string
		for n := range ids {
			ids[n] = strconv.Itoa(n)
			events := make([]store.Event, length)
			for i := range events {
				var err error
				if events[i], err = c.Encode([]event{deposited{250}, withdrawn{200}, opened{"ann"}}[i%3]); err != nil {
					b.Fatal(err)
				}
				events[i].ID = store.NewID()
			}
			if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: ids[n]}, store.NoStream, events); err != nil {
				b.Fatal(err)
			}
		}
		do, n := handle(st), 0
		for b.Loop() {
			if err := do(ids[n%streams]); err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.Run("runner", func(b *testing.B) {
		run(b, func(st *memory.Store) func(string) error {
			r := runner.New("Account", bank, st, c)
			return func(id string) error { _, err := r.Handle(ctx, id, deposit{250}); return err }
		})
	})
	b.Run("handwritten", func(b *testing.B) {
		run(b, func(st *memory.Store) func(string) error {
			return func(id string) error {
				return handleByHand(ctx, st, store.Stream{Type: "Account", ID: id}, deposit{250})
			}
		})
	})
}

func handleByHand(ctx context.Context, st *memory.Store, s store.Stream, c command) error {
	var a account
	version := uint64(0)
	for more := true; more; {
		page, err := st.Read(ctx, s, store.ReadOptions{From: version + 1, ReadOnly: true})
		if err != nil {
			return err
		}
		for i := range page.Events {
			e, err := decodeByHand(&page.Events[i])
			if err != nil {
				return err
			}
			a = evolve(a, e)
		}
		version, more = page.Next-1, !page.End
	}
	events, err := decide(c, a)
	if err != nil {
		return err
	}
	encoded := make([]store.Event, len(events))
	for i, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		encoded[i] = store.Event{ID: store.NewID(), Type: "Deposited", Schema: 1, ContentType: "application/json", Data: data}
	}
	_, err = st.Append(ctx, s, store.Exactly(version), encoded)
	return err
}

func decodeByHand(r *store.Recorded) (event, error) {
	switch r.Type {
	case "Opened":
		var e opened
		err := json.Unmarshal(r.Data, &e)
		return e, err
	case "Deposited":
		var e deposited
		err := json.Unmarshal(r.Data, &e)
		return e, err
	case "Withdrawn":
		var e withdrawn
		err := json.Unmarshal(r.Data, &e)
		return e, err
	}
	return nil, codec.ErrUnknown
}

// BenchmarkParallel handles commands on separate streams in parallel.
func BenchmarkParallel(b *testing.B) {
	ctx := b.Context()
	spread := func(b *testing.B, handle func(id string, c command) error) {
		b.Helper()
		b.ReportAllocs()
		var last atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			id := ""
			for i := 0; pb.Next(); i++ {
				var c command = deposit{1}
				if i%16 == 0 {
					id, c = strconv.FormatInt(last.Add(1), 10), open{"ann"}
				}
				if err := handle(id, c); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.Run("runner", func(b *testing.B) {
		r := runner.New("Account", bank, memory.New(), codec.Values[event]())
		spread(b, func(id string, c command) error { _, err := r.Handle(ctx, id, c); return err })
	})
	b.Run("cached", func(b *testing.B) {
		r := runner.New("Account", bank, memory.New(), codec.Values[event]()).WithCache(runner.Cache[account]{})
		spread(b, func(id string, c command) error { _, err := r.Handle(ctx, id, c); return err })
	})
	b.Run("floor", func(b *testing.B) {
		spread(b, newFloor(64).handle)
	})
	b.Run("ledger", func(b *testing.B) {
		spread(b, newLedger(64).handle)
	})
}

// BenchmarkReplay loads a long stream; the floor folds a slice.
func BenchmarkReplay(b *testing.B) {
	const n = 9000
	ctx := b.Context()
	r := filled(b, n)
	b.Run("runner", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Load(ctx, "a"); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/n, "ns/event")
	})
	events := make([]event, n)
	for i := range events {
		events[i] = deposited{i % 100}
	}
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		var a account
		for b.Loop() {
			a = bank.Fold(account{}, events...)
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/n, "ns/event")
		if a.Moves != n {
			b.Fatal(a)
		}
	})
}
