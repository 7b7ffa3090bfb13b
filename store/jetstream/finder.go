package jetstream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
)

// ListStreams is [store.Finder.ListStreams]. NATS cannot list streams in order, so for
// each page the leader of the log sends the names of all streams of the tenant, or of
// those with o.Type: a few milliseconds for 1,000 of them. Streams whose names do not fit
// into a subject, because they have more than 100 bytes when escaped, are all read for
// each page. It is meant for people, not for finding all streams of a log with millions
// of them.
func (s *Store) ListStreams(ctx context.Context, o store.StreamsOptions) (page store.StreamsPage, err error) {
	if err := o.Validate(); err != nil {
		return store.StreamsPage{}, err
	}
	err = s.backend.calling(ctx, func(ctx context.Context) error {
		page, err = s.listStreams(ctx, o)
		return err
	})
	if err != nil {
		return store.StreamsPage{}, err
	}
	return page, nil
}

// listed is a stream, and the subject of its events.
type listed struct {
	stream  store.Stream
	subject string
}

func (s *Store) listStreams(ctx context.Context, o store.StreamsOptions) (store.StreamsPage, error) {
	limit := o.Limit
	if limit == 0 || limit > store.DefaultLimit {
		limit = store.DefaultLimit
	}
	first := foremostOf(limit + 1)
	err := s.eachStream(ctx, o.Type, func(n listed) {
		if o.Matches(n.stream) {
			first.add(n)
		}
	})
	if err != nil {
		return store.StreamsPage{}, err
	}
	all := first.sorted()
	page := store.StreamsPage{End: len(all) <= limit}
	all = all[:min(len(all), limit)]
	last, err := s.backend.lastOf(ctx, all)
	if err != nil {
		return store.StreamsPage{}, err
	}
	for _, n := range all {
		m, ok := last[n.subject]
		if !ok {
			return store.StreamsPage{}, damaged("stream " + n.stream.String() + " has lost its events")
		}
		r, err := m.recorded()
		if err != nil {
			return store.StreamsPage{}, err
		}
		page.Streams = append(page.Streams, store.StreamInfo{
			Stream: n.stream, Version: r.Version, Position: r.Position, EventType: r.Type, RecordedAt: r.RecordedAt,
		})
	}
	return page, nil
}

// StreamTypes is [store.Finder.StreamTypes], with the cost of [Store.ListStreams].
func (s *Store) StreamTypes(ctx context.Context) (types []string, err error) {
	seen := make(map[string]bool)
	err = s.backend.calling(ctx, func(ctx context.Context) error {
		return s.eachStream(ctx, "", func(n listed) { seen[n.stream.Type] = true })
	})
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// FindEvent is [store.Finder.FindEvent]. With [WithIDsFor], an event whose id was forgotten
// is not found.
func (s *Store) FindEvent(ctx context.Context, id string) (event store.Recorded, found bool, err error) {
	if err := store.ValidateEventID(id); err != nil {
		return store.Recorded{}, false, err
	}
	b := s.backend
	err = b.calling(ctx, func(ctx context.Context) error {
		m, err := b.last(ctx, b.names.id(s.tenant, id))
		if err != nil || m == nil {
			return err
		}
		at, ok := decodeID(m.data)
		if !ok {
			return damaged(fmt.Sprintf("message %d (%s) is not an id", m.position, m.subject))
		}
		if m, err = b.wire.at(ctx, b.names.stream(), m.position+at.distance); err != nil {
			return err
		}
		r, err := m.recorded()
		if err == nil {
			event, found = *r, r.ID == id
		}
		return err
	})
	if err != nil || !found {
		return store.Recorded{}, false, err
	}
	return event, true, nil
}

// eachStream calls do for each stream of the tenant that has events, in no particular
// order. If typ is not empty, it lists only streams of this type. Names that are not
// part of a subject come from the last messages.
func (s *Store) eachStream(ctx context.Context, typ string, do func(listed)) error {
	b := s.backend
	filter := b.names.of(s.tenant) + ">"
	if typ != "" {
		filter = b.names.of(s.tenant) + token(typ) + ".>"
	}
	least, err := b.fresh(ctx)
	if err != nil && !isFull(err) {
		return err
	}
	seen := make(map[string]bool)
	for {
		var subjects map[string]uint64
		err := b.wire.retry(ctx, func(ctx context.Context) (err error) {
			var last uint64
			subjects, last, err = b.wire.subjects(ctx, b.names.stream(), filter, len(seen))
			if err == nil && last < max(least, b.most.Load()) {
				return b.behind(ctx)
			}
			return err
		})
		if err != nil {
			return err
		}
		before := len(seen)
		if err := b.nameAll(ctx, subjects, seen, do); err != nil {
			return err
		}
		if len(subjects) < maxSubjects || len(seen) == before {
			return nil
		}
	}
}

// nameAll calls do for each of subjects that was not seen yet.
func (b *backend) nameAll(ctx context.Context, subjects map[string]uint64, seen map[string]bool, do func(listed)) error {
	var hashes []listed
	for subject := range subjects {
		if seen[subject] {
			continue
		}
		seen[subject] = true
		rest, id := cutLast(subject)
		_, typ := cutLast(rest)
		if strings.HasPrefix(id, hashed) || strings.HasPrefix(typ, hashed) {
			hashes = append(hashes, listed{subject: subject})
			continue
		}
		do(listed{streamOf(subject, store.Stream{}), subject})
	}
	last, err := b.lastOf(ctx, hashes)
	if err != nil {
		return err
	}
	for subject, m := range last {
		r, err := m.recorded()
		if err != nil {
			return err
		}
		do(listed{r.Stream, subject})
	}
	return nil
}

// lastOf returns the last messages of streams, which must have some, by their subjects.
func (b *backend) lastOf(ctx context.Context, streams []listed) (map[string]*message, error) {
	all := make(map[string]*message, len(streams))
	for part := range slices.Chunk(streams, maxSnapshot) {
		subjects := make([]string, len(part))
		for i := range part {
			subjects[i] = part[i].subject
		}
		last, _, err := b.snapshot(ctx, subjects, b.most.Load())
		if err != nil {
			return nil, err
		}
		delete(last, b.names.mark())
		maps.Copy(all, last)
	}
	return all, nil
}

// foremost collects streams and keeps the first n of them in order.
type foremost struct {
	n   int
	all []listed
}

func foremostOf(n int) *foremost { return &foremost{n: n} }

func (l *foremost) add(n listed) {
	if l.all = append(l.all, n); len(l.all) >= 4*l.n+64 {
		l.all = l.sorted()
	}
}

func (l *foremost) sorted() []listed {
	slices.SortFunc(l.all, func(a, b listed) int { return a.stream.Compare(b.stream) })
	return l.all[:min(len(l.all), l.n)]
}
