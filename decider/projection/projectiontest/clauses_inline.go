package projectiontest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

func inlineClauses[T projection.AppendTx]() []clause[T] {
	return []clause[T]{
		{name: "an inline append is in the read model when it returns", check: inlineAtOnce[T]},
		{name: "each event is in the read model once, inline or not", check: inlineMixed[T]},
		{name: "no append fails because of the projection", check: inlineFails[T]},
		{name: "a refused inline append leaves nothing", check: inlineRefused[T]},
		{name: "an event is the same inline and from the log", check: inlineSame[T]},
	}
}

// right brings p to the end of the log, and stops it.
func right[T projection.AppendTx](f *fixture[T], p *projection.Projection[T, fact]) {
	f.Helper()
	f.reach(p, f.append("a", "Happened").Position)
}

func inlineAtOnce[T projection.AppendTx](f *fixture[T]) {
	p := f.projection("inline")
	right(f, p)
	st := projection.Inline(f.Store, p)
	for i := range 20 {
		at := f.appendTo(st, store.Stream{Type: "Thing", ID: "b"}, f.thing("Happened"), f.thing("Doubled"))
		if i%5 == 0 {
			f.appendTo(st, store.Stream{Type: "Other", ID: "o"}, f.thing("Happened"))
			continue
		}
		if got := f.consistent("inline"); got.Position != at.Position {
			f.Fatalf("after an inline append at %d the checkpoint is %d", at.Position, got.Position)
		}
	}
	if _, ok := st.(store.Log); !ok {
		f.Fatalf("the inline store has lost the log of its store")
	}
}

func inlineMixed[T projection.AppendTx](f *fixture[T]) {
	p := f.projection("mixed")
	st := projection.Inline(f.Store, p)
	other := projection.Inline(f.Store, f.projection("mixed")) // in another process
	stop := f.start(p)
	var done sync.WaitGroup
	n := f.times(60)
	var mu sync.Mutex
	for w, to := range []store.Store{st, f.Store, other} {
		done.Go(func() {
			for range n {
				mu.Lock()
				events := []store.Event{f.thing("Happened"), f.thing("Doubled")}
				mu.Unlock()
				if _, err := to.Append(f.ctx, store.Stream{Type: "Thing", ID: strconv.Itoa(w)}, store.Any, events); err != nil {
					f.Errorf("append: %v", err)
				}
			}
		})
	}
	done.Wait()
	last := f.append("a", "Happened").Position
	f.wait(p, last)
	f.consistent("mixed")
	_ = stop()
	f.appendTo(f.Store, store.Stream{Type: "Thing", ID: "a"}, f.thing("Happened"))
	at := f.appendTo(st, store.Stream{Type: "Thing", ID: "a"}, f.thing("Happened")) // p is not up to date
	f.consistent("mixed")
	f.reach(p, at.Position)
	f.consistent("mixed")
}

func inlineFails[T projection.AppendTx](f *fixture[T]) {
	p := f.projection("fails").WithParking(3)
	right(f, p)
	st := projection.Inline(f.Store, p)
	f.failing(func(e projection.Event[fact]) error {
		switch e.Event.Key {
		case "errs":
			return errBroken
		case "panics":
			panic(errBroken)
		}
		return nil
	})
	var last store.Appended
	for _, key := range []string{"errs", "panics", "fine"} {
		last = f.appendTo(st, store.Stream{Type: "Thing", ID: key}, f.thing("Happened"))
		f.consistent("fails")
	}
	f.reach(p, last.Position)
	parked := f.parked(p, 2)
	f.failing(nil)
	last = f.appendTo(st, store.Stream{Type: "Thing", ID: "errs"}, f.thing("Happened")) // behind the parked events
	f.reach(p, last.Position)
	for _, key := range parked {
		f.unpark(p, key.Key)
	}
	f.consistent("fails")
}

func inlineRefused[T projection.AppendTx](f *fixture[T]) {
	p := f.projection("refused")
	right(f, p)
	st := projection.Inline(f.Store, p)
	before := f.look("refused@1", "refused")
	_, err := st.Append(f.ctx, store.Stream{Type: "Thing", ID: "a"}, store.NoStream, []store.Event{f.thing("Happened")})
	if !errors.Is(err, store.ErrConflict) {
		f.Fatalf("an append that expects no stream = %v, want a conflict", err)
	}
	event := f.thing("Happened")
	stream := store.Stream{Type: "Thing", ID: "new"}
	for i := range 2 {
		a, err := st.Append(f.ctx, stream, store.NoStream, []store.Event{event})
		if err != nil || a.Replayed != (i == 1) {
			f.Fatalf("append, time %d = %+v, %v; want success, replayed: %t", i+1, a, err, i == 1)
		}
	}
	after := f.look("refused@1", "refused")
	if after.at.Position != before.at.Position+1 {
		f.Fatalf("one append has moved the checkpoint from %d to %d, want by 1", before.at.Position, after.at.Position)
	}
	f.consistent("refused")
}

func inlineSame[T projection.AppendTx](f *fixture[T]) {
	var inline, later []string
	see := func(to *[]string) func(projection.Event[fact]) {
		return func(e projection.Event[fact]) {
			r := *e.Recorded
			*to = append(*to, fmt.Sprintf("%v %s %d %d %s %s %q %v %v", r.Stream, r.ID, r.Version, r.Position, r.Type, r.ContentType, r.Data,
				r.RecordedAt.UnixNano(), r.Time.UnixNano()))
		}
	}
	p := f.projection("same")
	right(f, p)
	f.seeing(see(&inline))
	st := projection.Inline(f.Store, p)
	for range 3 {
		f.appendTo(st, store.Stream{Type: "Thing", ID: "b"}, f.thing("Happened"), f.thing("Doubled"))
	}
	f.seeing(nil)
	first := f.look("same@1", "same").at.Position - 5
	f.seeing(func(e projection.Event[fact]) {
		if e.Recorded.Position >= first {
			see(&later)(e)
		}
	})
	f.reach(f.projection("again"), f.look("same@1", "same").at.Position)
	if fmt.Sprint(inline) != fmt.Sprint(later) || len(inline) != 9 {
		f.Fatalf("inline the events are\n%v\nand from the log\n%v", inline, later)
	}
}
