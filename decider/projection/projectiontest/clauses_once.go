package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// once runs a projection with a fault at each of its transactions in turn. After the
// fault it stops the projection and starts another one.
func (f *fixture[T]) once() {
	last := f.history(20)
	for _, fault := range []faults.Fault{faults.Down, faults.Undone, faults.Lost} {
		for _, restart := range []bool{false, true} {
			f.crashes(fault, restart, last)
		}
	}
}

func (f *fixture[T]) crashes(fault faults.Fault, restart bool, last uint64) {
	for n, reached := 0, false; !reached; n++ {
		name := fmt.Sprintf("%v at %d, restart %t", fault, n, restart)
		flaky := faults.Wrap(nil, 1, faults.Rate{})
		plan := make([]faults.Fault, n, n+1)
		flaky.NextUpdate(append(plan, fault)...)
		p := f.into(faults.WrapTarget(flaky, f.Target), name, reads(happenings())).WithBatch(4, time.Hour)
		stop := f.start(p)
		if restart {
			f.until("the fault", func() bool { return p.Progress().Position >= last || flaky.Count(fault) > 0 })
			_ = stop()
			f.consistent(name)
			p = f.projection(name)
			stop = f.start(p)
		}
		f.wait(p, last)
		reached = flaky.Count(fault) == 0
		_ = stop()
		f.consistent(name)
	}
}

// hooked is a target that calls a function before its transactions.
type hooked[T projection.Tx] struct {
	projection.Target[T]
	before func()
}

func (h *hooked[T]) Update(ctx context.Context, do func(tx T) error) error {
	h.before()
	return h.Target.Update(ctx, do)
}

// fenced lets another owner apply everything right before the first batch of this one.
// Then several owners without leases race.
func (f *fixture[T]) fenced() {
	const owners = 4
	first := f.history(10)
	var calls atomic.Int32
	target := &hooked[T]{Target: f.Target, before: func() {
		if calls.Add(1) == 3 { // after the two that prepare
			f.reach(f.projection("refused"), first)
		}
	}}
	p := f.into(target, "refused", reads(happenings()))
	stop := f.start(p)
	f.until("it has what the other one applied", func() bool { return p.Progress().Position >= first })
	_ = stop()
	f.consistent("refused")
	f.history(f.times(80))
	var all [owners]*projection.Projection[T, fact]
	for i := range all {
		all[i] = f.projection("race").WithBatch(3+i, time.Hour)
		f.start(all[i])
	}
	last := f.history(f.times(80))
	for _, p := range all {
		f.wait(p, last)
	}
	f.consistent("race")
}

// undone lets the commit of each transaction fail in turn, and continues with the same
// run.
func (f *fixture[T]) undone() {
	for n := range 6 {
		name := fmt.Sprintf("undone %d", n)
		last := f.history(20)
		flaky := faults.Wrap(nil, 1, faults.Rate{})
		flaky.NextUpdate(append(make([]faults.Fault, n), faults.Undone, faults.Undone)...)
		p := f.into(faults.WrapTarget(flaky, f.Target), name, reads(happenings())).WithBatch(5, time.Hour)
		f.reach(p, last)
		f.consistent(name)
		f.start(p)
		for range 3 {
			f.wait(p, f.append("a", "Happened").Position)
			flaky.NextUpdate(faults.Undone)
			f.arrives(p, name)
		}
	}
}

// arrives waits for an event, and checks that it is in the read model then.
func (f *fixture[T]) arrives(p waiter, name string) {
	f.Helper()
	at := f.append("a", "Happened").Position
	f.wait(p, at)
	if got := f.consistent(name); got.Position < at {
		f.Fatalf("the projection reports position %d, but the checkpoint is %d", at, got.Position)
	}
}

// overtaken lets another owner apply the events that this one holds, before each of its
// transactions in turn, up to the middle of its batch and beyond.
func (f *fixture[T]) overtaken() {
	for n := 2; n < 6; n++ {
		name := fmt.Sprintf("overtaken %d", n)
		last := f.history(30)
		var calls atomic.Int32
		target := &hooked[T]{Target: f.Target}
		other := f.projection(name).WithBatch(2, time.Hour)
		target.before = func() {
			if calls.Add(1) != int32(n) {
				return
			}
			at := f.look(name+"@1", name).at
			f.reach(other, at.Position+uint64(n))
		}
		p := f.into(target, name, reads(happenings())).WithBatch(64, time.Hour)
		f.reach(p, last)
		if n := int32(n); calls.Load() < n {
			f.Fatalf("there were only %d transactions", calls.Load())
		}
		f.consistent(name)
	}
}

// lost loses the answers to transactions, one after the other.
func (f *fixture[T]) lost() {
	last := f.history(40)
	flaky := faults.Wrap(nil, 7, faults.Rate{Lost: 0.3, Undone: 0.2})
	p := f.into(faults.WrapTarget(flaky, f.Target), "lost", reads(happenings())).WithBatch(3, time.Hour)
	f.reach(p, last)
	f.consistent("lost")
	f.start(p)
	for range 20 {
		f.arrives(p, "lost")
	}
}

// batches compares batches of several sizes, live and from history, with documents.
func (f *fixture[T]) batches() {
	view := decider.View[string, fact]{Evolve: func(s string, e fact) string { return fmt.Sprintf("%s%v ", s, e.Event) }}
	key := func(e fact) (string, bool) { return e.Key, e.Key != "c" }
	var live []*projection.Projection[T, fact]
	sizes := []int{1, 2, 7, 2048}
	for _, size := range sizes {
		p := projection.Documents(f.Store, f.Target, fmt.Sprintf("live %d", size), reads(happenings()), view, key)
		p = p.WithBatch(size, time.Hour).WithoutLease()
		f.start(p)
		live = append(live, p)
	}
	last := f.history(f.times(80))
	for i, size := range sizes {
		f.wait(live[i], last)
		p := projection.Documents(f.Store, f.Target, fmt.Sprintf("built %d", size), reads(happenings()), view, key)
		p = p.WithBatch(size, time.Hour).WithoutLease()
		f.reach(p, last)
		want := f.documentsOf(live[0])
		for _, p := range []*projection.Projection[T, fact]{live[i], p} {
			if got := f.documentsOf(p); got != want || got == "" {
				f.Fatalf("%s: the documents are %q, want %q", p, got, want)
			}
		}
	}
}

func (f *fixture[T]) documentsOf(p *projection.Projection[T, fact]) string {
	f.Helper()
	all, err := projection.Scan[string](f.ctx, p, "", "", 0)
	if err != nil {
		f.Fatalf("Scan of %s = %v, want success", p, err)
	}
	return fmt.Sprint(all)
}

// documents counts the loads and saves of a table.
func (f *fixture[T]) documents() {
	last := f.history(40)
	const kind = "table"
	loaded, saved := map[any]map[string]int{}, map[any]map[string]int{} // by transaction
	count := func(in map[any]map[string]int, tx T, keys []string) {
		if in[tx] == nil {
			in[tx] = map[string]int{}
		}
		for _, key := range keys {
			in[tx][key]++
		}
	}
	table := projection.Table[T, string, fact]{
		View: decider.View[string, fact]{Evolve: func(s string, e fact) string { return fmt.Sprintf("%s%v ", s, e.Event) }},
		Key:  func(e fact) (string, bool) { return e.Key, true },
		Load: func(_ context.Context, tx T, keys []string) (map[string]string, error) {
			count(loaded, tx, keys)
			docs, err := tx.LoadDocuments(kind, keys)
			states := map[string]string{}
			for _, d := range docs {
				if d.Data != nil {
					states[d.ID] = string(d.Data)
				}
			}
			return states, err
		},
		Save: func(_ context.Context, tx T, keys []string, states map[string]string) error {
			count(saved, tx, keys)
			for _, key := range keys {
				if err := tx.SaveDocuments([]store.Document{{Kind: kind, ID: key, Data: []byte(states[key])}}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	p := projection.Keyed(f.Store, f.Target, "table", reads(happenings()), table).WithoutLease()
	q := projection.Documents(f.Store, f.Target, "documents", reads(happenings()), table.View, table.Key).WithoutLease()
	f.reach(p, last)
	f.reach(q, last)
	for update, keys := range loaded {
		for key, n := range keys {
			if n != 1 || saved[update][key] != 1 {
				f.Fatalf("in one transaction key %q is loaded %d times and saved %d times, want once", key, n, saved[update][key])
			}
		}
	}
	if len(loaded) == 0 {
		f.Fatal("Load was not called")
	}
	for key, list := range f.look("table@1", kind).lists {
		state, ok, err := projection.Load[string](f.ctx, q, key)
		if err != nil || !ok || state != list {
			f.Fatalf("key %q is %q, %t, %v; want %q", key, state, ok, err, list)
		}
	}
}

// owners checks that one of several instances works while leases hold, that the next one
// takes over at once, and that it continues.
func (f *fixture[T]) owners() {
	leases, ok := f.Target.(store.Leases)
	if !ok {
		f.Skip("the target has no leases")
	}
	var working atomic.Int32
	var once sync.Once
	overlap := make(chan struct{})
	counted := &askedLeases{Leases: leases, of: "two"}
	instance := func(owner string) *projection.Projection[T, fact] {
		p := projection.New(f.Store, f.Target, "owned", reads(happenings()), f.list("owned"))
		return p.WithLease(counted, owner, time.Hour).WithObserver(observing(func(n projection.Notice) {
			switch n.Kind { //nolint:exhaustive // the others do not matter
			case projection.OwnerBegan:
				if now := working.Add(1); now > 1 {
					once.Do(func() { close(overlap) })
				}
			case projection.OwnerEnded:
				working.Add(-1)
			}
		}))
	}
	one, two := instance("one"), instance("two")
	stopOne := f.start(one)
	f.wait(one, f.history(10))
	f.start(two)
	f.wait(two, f.history(10)) // seen through the checkpoint
	f.until("the second instance asks for the lease again", func() bool {
		select {
		case <-overlap:
			return true
		default:
			return counted.times.Load() > 1
		}
	})
	if state := two.Progress().State; state != projection.Standby {
		f.Fatalf("the second instance is %s, want standby", state)
	}
	began := time.Now()
	_ = stopOne()
	last := f.history(10)
	f.until("the second instance is live", func() bool { return two.Progress().State == projection.Live })
	f.wait(two, last)
	if took := time.Since(began); f.Virtual && took > 2*time.Second {
		f.Fatalf("handing over took %v, want at most a poll", took)
	}
	select {
	case <-overlap:
		f.Fatal("two instances worked at once, while the lease held")
	default:
	}
	f.consistent("owned")
}

// askedLeases counts how often one owner has asked for a lease.
type askedLeases struct {
	store.Leases

	of    string
	times atomic.Int32
}

func (l *askedLeases) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	lease, err := l.Leases.AcquireLease(ctx, name, owner, ttl)
	if owner == l.of {
		l.times.Add(1)
	}
	return lease, err
}

type observing func(n projection.Notice)

func (o observing) Observe(_ context.Context, n projection.Notice) { o(n) }

// losesLease takes the lease away from an owner.
func (f *fixture[T]) losesLease() {
	leases, ok := f.Target.(store.Leases)
	if !ok {
		f.Skip("the target has no leases")
	}
	down := &downLeases{Leases: leases}
	ended := make(chan struct{}, 8)
	began := make(chan struct{}, 8)
	p := f.projection("loses").WithLease(down, "one", 15*time.Second).WithObserver(observing(func(n projection.Notice) {
		switch n.Kind { //nolint:exhaustive // the others do not matter
		case projection.OwnerBegan:
			began <- struct{}{}
		case projection.OwnerEnded:
			ended <- struct{}{}
		}
	}))
	f.start(p)
	<-began
	down.fails.Store(true)
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		f.Fatal("it keeps working although its lease has expired")
	}
	down.fails.Store(false)
	<-began
	f.wait(p, f.history(5))
	f.consistent("loses")
}

type downLeases struct {
	store.Leases
	fails atomic.Bool
}

func (d *downLeases) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	if d.fails.Load() {
		return store.Lease{}, errors.New("leases are down")
	}
	return d.Leases.AcquireLease(ctx, name, owner, ttl)
}

// reopened closes and opens the store and the target between runs.
func (f *fixture[T]) reopened() {
	if f.Reopen == nil {
		f.Skip("the store cannot be opened again")
	}
	for range 3 {
		f.reach(f.projection("again"), f.history(20))
		f.World = f.Reopen(f.T)
		f.consistent("again")
	}
}

// tenants runs the same projection for two tenants.
func (f *fixture[T]) tenants() {
	if f.Neighbor == nil {
		f.Skip("there is no other tenant")
	}
	other := &fixture[T]{T: f.T, World: *f.Neighbor, ctx: f.ctx}
	other.Virtual = f.Virtual
	here, there := f.history(20), other.history(31)
	one, two := f.projection("same"), other.projection("same")
	f.start(one)
	other.start(two)
	f.wait(one, here)
	other.wait(two, there)
	f.consistent("same")
	other.consistent("same")
}

// stops ends runs at any moment, until everything is applied.
func (f *fixture[T]) stops() {
	last := f.history(f.times(120))
	for i := 1; ; i++ {
		p := f.projection("stops").WithBatch(5, time.Hour)
		var n atomic.Int32
		ctx, cancel := context.WithCancel(f.ctx)
		f.seeing(func(projection.Event[fact]) {
			if n.Add(1) == int32(7+i%3) {
				cancel()
			}
		})
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		f.until("Run has returned, or everything is applied", func() bool {
			return len(done) > 0 || p.Progress().Position >= last
		})
		cancel()
		f.canceled(<-done)
		if is := p.Progress(); is.State != projection.Idle || is.Cause != nil {
			f.Fatalf("after Run the progress is %+v, want that it is idle, without a cause", is)
		}
		if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
			f.Fatalf("Run on a context that has ended = %v, want the error of the context", err)
		}
		if at := f.consistent("stops"); at.Position >= last {
			return
		}
	}
}
