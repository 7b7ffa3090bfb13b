package sqlite

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// The index returns the streams of one type in order. The types are listed with one
// query each, because SQLite then skips the streams of the previous type.
const (
	findStreams = `SELECT s.name, e.version, e.seq, e.kind, e.recorded_at FROM stream s CROSS JOIN event e ON e.stream = s.id
WHERE s.tenant = ? AND s.type = ? AND s.name >= ? AND e.version = (SELECT max(version) FROM event WHERE stream = s.id) ORDER BY s.name`
	findType = `SELECT type FROM stream WHERE tenant = ? AND type > ? ORDER BY type LIMIT 1`
	findByID = `SELECT ` + eventColumns + ` FROM event WHERE tenant = ? AND id = ?`
)

// ListStreams is [store.Finder.ListStreams]. A page has at most 1,000 streams.
func (s *Store) ListStreams(ctx context.Context, o store.StreamsOptions) (page store.StreamsPage, err error) {
	if err := o.Validate(); err != nil {
		return store.StreamsPage{}, err
	}
	o.Limit = min(cmp.Or(o.Limit, store.DefaultLimit), maxPage)
	err = s.backend.reading(ctx, func(r *reader) (err error) {
		page, err = r.listStreams(s.tenant, o)
		return err
	})
	if err != nil {
		return store.StreamsPage{}, err
	}
	return page, nil
}

// listStreams returns a page of streams, type by type.
func (r *reader) listStreams(tenant string, o store.StreamsOptions) (page store.StreamsPage, err error) {
	t, err := r.tenant(tenant)
	if err != nil {
		return page, err
	}
	only := o.Type
	if only != "" && only < o.After.Type {
		return store.StreamsPage{End: true}, nil
	}
	for o.Type = cmp.Or(only, o.After.Type); ; {
		if o.Type != "" {
			if more, err := r.listType(t, &page, &o); err != nil || more {
				return page, err
			}
		}
		if only != "" {
			break
		}
		next, err := r.nextType(t, o.Type)
		if err != nil {
			return page, err
		}
		if next == "" {
			break
		}
		o.Type = next
	}
	page.End = true
	return page, nil
}

// listType adds the streams of type o.Type to page, and reports whether there are more
// than fit.
func (r *reader) listType(tenant int64, page *store.StreamsPage, o *store.StreamsOptions) (more bool, err error) {
	from := o.IDPrefix
	if o.Type == o.After.Type {
		from = max(from, o.After.ID)
	}
	err = r.each(findStreams, func(s *stmt) (bool, error) {
		stream := store.Stream{Type: o.Type, ID: s.text(0)}
		if !o.Matches(stream) {
			return strings.HasPrefix(stream.ID, o.IDPrefix), nil // After is the only stream that the query returns although it does not match
		}
		if more = len(page.Streams) == o.Limit; more {
			return false, nil
		}
		k, err := r.kind(s.int(3))
		page.Streams = append(page.Streams, store.StreamInfo{
			Stream: stream, Version: s.uint(1), Position: s.uint(2) & maxPosition,
			EventType: k.name, RecordedAt: time.UnixMicro(s.int(4)).UTC(),
		})
		return true, err
	}, number(tenant), text(o.Type), text(from))
	return more, err
}

// nextType returns the next type of a stream after typ, or "" if there is none.
func (r *reader) nextType(tenant int64, typ string) (next string, err error) {
	_, err = r.one(findType, func(s *stmt) { next = s.text(0) }, number(tenant), text(typ))
	return next, err
}

// StreamTypes is [store.Finder.StreamTypes].
func (s *Store) StreamTypes(ctx context.Context) (types []string, err error) {
	err = s.backend.reading(ctx, func(r *reader) error {
		t, err := r.tenant(s.tenant)
		for typ := ""; err == nil; types = append(types, typ) {
			if typ, err = r.nextType(t, typ); typ == "" {
				break
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return types, nil
}

// FindEvent is [store.Finder.FindEvent].
func (s *Store) FindEvent(ctx context.Context, id string) (event store.Recorded, found bool, err error) {
	if err := store.ValidateEventID(id); err != nil {
		return store.Recorded{}, false, err
	}
	err = s.backend.reading(ctx, func(r *reader) error {
		event, found, err = r.findEvent(s.tenant, id)
		return err
	})
	if err != nil {
		return store.Recorded{}, false, err
	}
	return event, found, nil
}

func (r *reader) findEvent(tenant, id string) (event store.Recorded, found bool, err error) {
	t, err := r.tenant(tenant)
	if err != nil {
		return event, false, err
	}
	err = r.each(findByID, func(s *stmt) (_ bool, err error) {
		if event.Stream, err = r.name(s.int(columnStream)); err != nil {
			return false, err
		}
		k, err := r.kind(s.int(columnKind))
		if err != nil {
			return false, err
		}
		found = true
		return false, s.event(&event, k, new(arena))
	}, number(t), idValue(id, new([16]byte)))
	return event, found, err
}
