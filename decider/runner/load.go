package runner

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// open loads the state that f begins with.
func (r *Runner[C, S, E]) open(ctx context.Context, f *flight[S]) error {
	f.at = Loaded[S]{State: r.decider.Start()}
	switch f.o.source {
	case fromNothing:
		return nil
	case fromMemento:
		m, ok := f.o.memento.(Loaded[S])
		if !ok {
			return &store.InvalidError{Field: "memento", Reason: fmt.Sprintf("is a %T, not a %T", f.o.memento, m)}
		}
		f.at, f.from, f.began = m, m.Version, FromMemento
	case fromBeginning:
	case fromStore, fromRecent, fromCached:
		if r.recent(f) {
			return nil
		}
		if f.at.Version == 0 {
			r.restore(ctx, f)
		}
	}
	return r.catchUp(ctx, f)
}

// catchUp moves f.at to the head of the stream.
func (r *Runner[C, S, E]) catchUp(ctx context.Context, f *flight[S]) error {
	return r.reading(ctx, f, func() error { return r.read(ctx, f, 0) })
}

// confirm makes sure that f.at is the head of the stream, if it is a guess. It reports
// whether the command must be decided again.
func (r *Runner[C, S, E]) confirm(ctx context.Context, f *flight[S]) (moved bool, err error) {
	if !f.guess {
		return false, nil
	}
	from, version := f.from, f.at.Version
	err = r.catchUp(ctx, f)
	return err == nil && (f.at.Version != version || f.from != from || f.landed != 0), err
}

// reading calls read. If read fails, it calls read again if the error is transient, or if
// the command was recorded, because then only the stream tells its outcome.
func (r *Runner[C, S, E]) reading(ctx context.Context, f *flight[S], read func() error) error {
	for {
		err := read()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("load %s: %w", f.stream, err)
		if ctx.Err() != nil {
			return ended(ctx, err)
		}
		if f.landed == 0 && !r.retry.Transient(err) {
			return err
		}
		if err := r.again(ctx, f, err); err != nil {
			return err
		}
	}
}

// read moves f.at over the events after it, up to the head or, if to is not 0, to that
// version. After an error f.at is at the last page that could be folded. If the stream
// ends before f.at, the state that f began with was not of this stream: it is dropped,
// and the stream is read from its beginning.
func (r *Runner[C, S, E]) read(ctx context.Context, f *flight[S], to uint64) error {
	seen := r.now()
	ctx = r.begin(ctx, f, StreamLoaded)
	start, more := f.at.Version, true
	var err error
	if r.values != nil && to == 0 && (f.watch == "" || f.landed != 0) {
		more, err = r.readValues(ctx, f)
	}
	if more && err == nil {
		scratch := r.borrow()
		start, err = r.readPages(ctx, f, scratch, to, start)
		r.giveBack(scratch, scratch.encoded)
	}
	if err == nil {
		f.fresh, f.guess, f.seen = true, false, seen
		f.shared = f.began == FromCache && f.at.Version != f.from
	}
	if r.observer != nil {
		n := f.notice(StreamLoaded, f.at.Version, int(f.at.Version-start), err) //nolint:gosec // fits
		n.Origin = f.began
		r.notify(ctx, &n, seen)
	}
	return err
}

// readPages is read of pages. It returns start, or 0 if it began again.
func (r *Runner[C, S, E]) readPages(ctx context.Context, f *flight[S], scratch *scratch[E], to, start uint64) (uint64, error) {
	for {
		o := store.ReadOptions{From: f.at.Version + 1, ReadOnly: true, Buffer: scratch.recorded}
		if to > 0 {
			o.Limit = int(min(to-f.at.Version, store.DefaultLimit))
		}
		page, err := r.store.Read(ctx, f.stream, o)
		if err != nil {
			return start, err
		}
		if page.Head < f.at.Version {
			r.forget(f)
			start = 0
			continue
		}
		if cap(page.Events) > cap(scratch.recorded) {
			scratch.recorded = page.Events
		}
		if err := r.fold(f, scratch, page.Events); err != nil {
			return start, err
		}
		if page.End || len(page.Events) == 0 || to > 0 && f.at.Version >= to {
			return start, nil
		}
	}
}

// readValues is read up to the head, as far as the store lends values that can be folded. It
// reports whether there is more to read. It leaves errors to read.
func (r *Runner[C, S, E]) readValues(ctx context.Context, f *flight[S]) (more bool, err error) {
	v, err := r.values.ReadValues(ctx, f.stream, f.at.Version+1)
	if err != nil || v.Head == f.at.Version {
		return false, err
	}
	state, n := r.foldValues(f.at.State, v)
	f.at = Loaded[S]{State: state, Version: f.at.Version + n}
	return f.at.Version != v.Head, nil
}

// foldValues returns the state after v, from state on, and the number of events.
func (r *Runner[C, S, E]) foldValues(state S, v store.Values) (S, uint64) {
	total, whole := uint64(0), true
	if r.decider.EvolveInPlace == nil {
		for part := v.Next(); whole && part != nil; part = v.Next() {
			var n int
			state, n = codec.FoldValues(r.decider.Evolve, state, part)
			total, whole = total+uint64(n), n == len(part) //nolint:gosec // not negative
		}
		return state, total
	}
	next := new(S) // as in foldPage
	*next = state
	for part := v.Next(); whole && part != nil; part = v.Next() {
		n := codec.FoldValuesInPlace(r.decider.EvolveInPlace, next, part)
		total, whole = total+uint64(n), n == len(part) //nolint:gosec // not negative
	}
	return *next, total
}

// fold moves f.at over page, which begins right after it.
func (r *Runner[C, S, E]) fold(f *flight[S], scratch *scratch[E], page []store.Recorded) error {
	if len(page) == 0 {
		return nil
	}
	state, err := r.foldPage(f.at.State, scratch, page)
	if err != nil {
		return err
	}
	if f.watch != "" && f.landed == 0 {
		for i := range page {
			if page[i].ID == f.watch {
				f.landed = page[i].Version
			}
		}
	}
	f.at = Loaded[S]{State: state, Version: page[len(page)-1].Version}
	return nil
}

// foldPage returns the state after page, starting from state.
func (r *Runner[C, S, E]) foldPage(state S, scratch *scratch[E], page []store.Recorded) (S, error) {
	if r.decider.EvolveInPlace == nil {
		return codec.Fold(r.codec, r.decider.Evolve, state, page, &scratch.events)
	}
	next := new(S) // a pointer to state would move it to the heap for every caller
	*next = state
	err := codec.FoldInPlace(r.codec, r.decider.EvolveInPlace, next, page, &scratch.events)
	return *next, err
}

// forget drops the state that f began with.
func (r *Runner[C, S, E]) forget(f *flight[S]) {
	r.drop(f)
	f.at = Loaded[S]{State: r.decider.Start()}
	f.from, f.landed, f.fresh, f.began = 0, 0, false, FromBeginning
}

// search looks for f.watch in the whole stream, from its head backward.
func (r *Runner[C, S, E]) search(ctx context.Context, f *flight[S]) error {
	o := store.ReadOptions{Backward: true, ReadOnly: true}
	for {
		page, err := r.store.Read(ctx, f.stream, o)
		if err != nil {
			return err
		}
		for i := range page.Events {
			if page.Events[i].ID == f.watch {
				f.landed = page.Events[i].Version
				return nil
			}
		}
		if page.End || len(page.Events) == 0 {
			return nil
		}
		o.From = page.Next
	}
}

// recall reads the call's events, which begin at f.landed, and returns them with the
// position of the last one.
func (r *Runner[C, S, E]) recall(ctx context.Context, f *flight[S]) (events []E, position uint64, err error) {
	from, index := f.landed, 0
	for {
		page, err := r.store.Read(ctx, f.stream, store.ReadOptions{From: from, ReadOnly: true})
		if err != nil {
			return nil, 0, err
		}
		if index == 0 && len(page.Events) > 0 {
			f.found = page.Events[0].Meta.Headers[FingerprintHeader]
		}
		n := 0
		for n < len(page.Events) && page.Events[n].ID == f.key.id(f.stream, index) {
			position = page.Events[n].Position
			n, index = n+1, index+1
		}
		if events, err = r.codec.Decode(events, page.Events[:n]); err != nil {
			return nil, 0, err
		}
		if page.End || n < len(page.Events) || n == 0 {
			return events, position, nil
		}
		from = page.Next
	}
}

// loadAsOf returns the state at the version that f's options name.
func (r *Runner[C, S, E]) loadAsOf(ctx context.Context, f *flight[S]) (Loaded[S], error) {
	f.at = Loaded[S]{State: r.decider.Start()}
	to := f.o.version
	if r.restore(ctx, f); f.at.Version > to {
		f.at, f.from, f.began = Loaded[S]{State: r.decider.Start()}, 0, FromBeginning
	}
	for f.at.Version < to {
		before := f.at.Version
		if err := r.read(ctx, f, to); err != nil {
			return Loaded[S]{}, fmt.Errorf("load %s as of version %d: %w", f.stream, to, err)
		}
		if f.at.Version == before {
			return Loaded[S]{}, &store.InvalidError{
				Field: "as of", Reason: fmt.Sprintf("is version %d, beyond the head of %s, %d", to, f.stream, f.at.Version),
			}
		}
	}
	return f.at, nil
}
