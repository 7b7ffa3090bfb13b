package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/evolvego/evolve/store"
)

var _ store.Finder = (*Store)(nil)

// ListStreams is [store.Finder.ListStreams]. It visits every stream of the tenant. No
// page has more than 1,024 streams.
func (m *Store) ListStreams(ctx context.Context, o store.StreamsOptions) (store.StreamsPage, error) {
	if err := o.Validate(); err != nil {
		return store.StreamsPage{}, err
	}
	if err := m.ready(ctx); err != nil {
		return store.StreamsPage{}, err
	}
	first := firstStreams{limit: int(pageLimit(o.Limit))} //nolint:gosec // at most maxPage
	m.eachStream(func(name store.Stream, st *stream) {
		if o.Matches(name) {
			first.add(name, st)
		}
	})
	return first.page(), nil
}

// StreamTypes is [store.Finder.StreamTypes]. It visits every stream of the tenant.
func (m *Store) StreamTypes(ctx context.Context) ([]string, error) {
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	types := make(map[string]struct{})
	m.eachStream(func(name store.Stream, _ *stream) { types[name.Type] = struct{}{} })
	return slices.Sorted(maps.Keys(types)), nil
}

// FindEvent is [store.Finder.FindEvent].
func (m *Store) FindEvent(ctx context.Context, id string) (store.Recorded, bool, error) {
	if err := store.ValidateEventID(id); err != nil {
		return store.Recorded{}, false, err
	}
	if err := m.ready(ctx); err != nil {
		return store.Recorded{}, false, err
	}
	hash := m.streams.hashID(id)
	m.log.mu.Lock()
	v := m.log.view()
	e, ok := m.log.ids.find(hash, id, v)
	m.log.mu.Unlock()
	if !ok {
		return store.Recorded{}, false, nil
	}
	return copies([]ref{e})[0], true, nil
}

// eachStream calls do for each stream that has events, in no particular order, and
// holds the lock of the stream's shard during the call.
func (m *Store) eachStream(do func(name store.Stream, st *stream)) {
	t := m.streams.table.Load()
	for i := 0; i < len(t.shards); i++ {
		shard := &t.shards[i]
		shard.mu.Lock()
		if shard.moved { // the streams moved to another table before this loop visited any
			shard.mu.Unlock()
			t, i = m.streams.table.Load(), -1
			continue
		}
		for _, st := range shard.streams {
			for ; st != nil; st = st.next {
				if st.version > 0 {
					do(st.name, st)
				}
			}
		}
		shard.mu.Unlock()
	}
}

// firstStreams collects streams and keeps only the first ones in order, up to a limit.
// It then reads the last event of each.
type firstStreams struct {
	limit int
	found []store.StreamInfo // the first streams so far, fewer than 2*limit + 2
	more  bool
}

func (f *firstStreams) add(name store.Stream, st *stream) {
	view := st.view()
	last := view.at(view.version).recorded()
	f.found = append(f.found, store.StreamInfo{
		Stream: name, Version: last.Version, Position: last.Position, EventType: last.Type, RecordedAt: last.RecordedAt,
	})
	if len(f.found) > 2*f.limit+1 {
		f.cut()
	}
}

// cut drops the streams beyond the limit.
func (f *firstStreams) cut() {
	slices.SortFunc(f.found, func(a, b store.StreamInfo) int { return a.Stream.Compare(b.Stream) })
	if len(f.found) > f.limit {
		f.found, f.more = f.found[:f.limit], true
	}
}

func (f *firstStreams) page() store.StreamsPage {
	f.cut()
	return store.StreamsPage{Streams: f.found, End: !f.more}
}
