package postgres

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
)

// finders returns the queries of a [store.Finder]. Each follows one index, from a
// stream or a type to the next one. ORDER BY names all columns of the index, so that
// the planner picks no other index on a table that was never analyzed.
func finders(event string) (streams, types, byID string) {
	const order = " ORDER BY stream_type, stream_id, version LIMIT 1"
	of := "SELECT stream_type, stream_id FROM " + event + " WHERE tenant = $1 AND stream_type = $2 AND "
	streams = "WITH RECURSIVE s AS ((" + of + "stream_id >= $3" + order + ") UNION ALL " +
		"SELECT n.stream_type, n.stream_id FROM s, LATERAL (" + of + "stream_id > s.stream_id" + order + ") n " +
		"WHERE starts_with(s.stream_id, $4)) " +
		"SELECT s.stream_id, e.version, e.position, e.type, e.recorded_at FROM s, LATERAL (" +
		"SELECT version, position, type, recorded_at FROM " + event + " WHERE tenant = $1 AND stream_type = $2 AND stream_id = s.stream_id " +
		"ORDER BY stream_type DESC, stream_id DESC, version DESC LIMIT 1) e LIMIT $5"
	next := "SELECT stream_type FROM " + event + " WHERE tenant = $1 AND stream_type > "
	types = "WITH RECURSIVE t AS ((" + next + "$2" + order + ") UNION ALL " +
		"SELECT n.stream_type FROM t, LATERAL (" + next + "t.stream_type" + order + ") n) SELECT stream_type FROM t"
	byID = "SELECT " + eventColumns + ", stream_type, stream_id FROM " + event + " WHERE tenant = $1 AND id >= $2 ORDER BY id LIMIT 1"
	return streams, types, byID
}

// ListStreams is [store.Finder.ListStreams]. A page has at most 1,000 streams.
func (s *Store) ListStreams(ctx context.Context, o store.StreamsOptions) (page store.StreamsPage, err error) {
	if err := o.Validate(); err != nil {
		return store.StreamsPage{}, err
	}
	o.Limit = min(cmp.Or(o.Limit, store.DefaultLimit), maxPage)
	err = s.backend.read(ctx, func(ctx context.Context, q querier) error {
		page, err = s.listStreams(ctx, q, o)
		return err
	})
	if err != nil {
		return store.StreamsPage{}, err
	}
	return page, nil
}

// listStreams returns a page of streams, type by type.
func (s *Store) listStreams(ctx context.Context, q querier, o store.StreamsOptions) (page store.StreamsPage, err error) {
	types := []string{o.Type}
	switch {
	case o.Type != "" && o.Type < o.After.Type:
		types = nil
	case o.Type == "":
		if types, err = s.typesAfter(ctx, q, o.After.Type); err != nil {
			return page, err
		}
		if o.After.Type != "" {
			types = append([]string{o.After.Type}, types...)
		}
	}
	for _, o.Type = range types {
		if more, err := s.listType(ctx, q, &page, &o); err != nil || more {
			return page, err
		}
	}
	page.End = true
	return page, nil
}

// listType adds the streams of type o.Type to page, and reports whether there are more
// than fit.
func (s *Store) listType(ctx context.Context, q querier, page *store.StreamsPage, o *store.StreamsOptions) (more bool, err error) {
	from := o.IDPrefix
	if o.Type == o.After.Type {
		from = max(from, o.After.ID)
	}
	const beside = 2 // After itself, and one that shows that there are more
	rows, err := q.Query(ctx, s.backend.sql.streams, s.tenant, o.Type, from, o.IDPrefix, o.Limit-len(page.Streams)+beside)
	if err != nil {
		return false, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i store.StreamInfo, err error) {
		i.Stream.Type = o.Type
		err = row.Scan(&i.Stream.ID, &i.Version, &i.Position, &i.EventType, &i.RecordedAt)
		i.RecordedAt = i.RecordedAt.UTC()
		return i, err
	})
	for _, i := range found {
		if !o.Matches(i.Stream) {
			continue
		}
		if len(page.Streams) == o.Limit {
			return true, err
		}
		page.Streams = append(page.Streams, i)
	}
	return false, err
}

// StreamTypes is [store.Finder.StreamTypes].
func (s *Store) StreamTypes(ctx context.Context) (types []string, err error) {
	err = s.backend.read(ctx, func(ctx context.Context, q querier) error {
		types, err = s.typesAfter(ctx, q, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return types, nil
}

func (s *Store) typesAfter(ctx context.Context, q querier, typ string) ([]string, error) {
	rows, err := q.Query(ctx, s.backend.sql.streamTypes, s.tenant, typ)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// FindEvent is [store.Finder.FindEvent].
func (s *Store) FindEvent(ctx context.Context, id string) (event store.Recorded, found bool, err error) {
	if err := store.ValidateEventID(id); err != nil {
		return store.Recorded{}, false, err
	}
	err = s.backend.read(ctx, func(ctx context.Context, q querier) error {
		event, found, err = s.findEvent(ctx, q, id)
		return err
	})
	if err != nil || !found {
		return store.Recorded{}, false, err
	}
	return event, true, nil
}

func (s *Store) findEvent(ctx context.Context, q querier, id string) (event store.Recorded, found bool, err error) {
	rows, err := q.Query(ctx, s.backend.sql.findEvent, s.tenant, id)
	if err != nil {
		return event, false, err
	}
	defer rows.Close()
	r := newRow(true)
	if rows.Next() {
		if err := r.scan(rows); err != nil {
			return event, false, err
		}
		if found = string(r.id) == id; found {
			err = r.recorded(&event)
		}
	}
	rows.Close()
	return event, found, cmp.Or(err, rows.Err())
}
