package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"

	"github.com/evolvego/evolve/store"
)

const (
	// maxScan is how many positions of the log a page looks at, at most, so
	// that a filter that matches little ends in bounded time.
	maxScan = 16_384
	// maxSubscribed is how many events a page of a subscription has at most.
	maxSubscribed = 256
)

const (
	findTenant = `SELECT id, (SELECT coalesce(max(position), 0) FROM event WHERE tenant = t.id) FROM tenant t WHERE name = ?`
	readAll    = `SELECT ` + eventColumns + `, e.stream FROM event e WHERE e.tenant = ? AND e.position BETWEEN ? AND ?
ORDER BY e.position `
	readAllForward  = readAll + `LIMIT ? + 0`
	readAllBackward = readAll + `DESC LIMIT ? + 0`
	findName        = `SELECT type, name FROM stream WHERE id = ?`
	// The names of the streams come by CROSS JOIN, so that the events are
	// looked at in their order. The filter may let through too much here.
	readLog = `SELECT ` + eventColumns + `, s.type, s.name FROM event e CROSS JOIN stream s ON s.id = e.stream
WHERE e.tenant = ?1 AND e.position BETWEEN ?2 AND ?3
AND (?5 IS NULL OR s.type IN (SELECT value FROM json_each(?5)))
AND (?6 IS NULL OR substr(CAST(s.name AS BLOB), 1, length(?6)) = ?6)
AND (?7 IS NULL OR e.type IN (SELECT value FROM json_each(?7)))
ORDER BY e.position `
	readLogForward  = readLog + `LIMIT ?4 + 0`
	readLogBackward = readLog + `DESC LIMIT ?4 + 0`
)

// Head is [store.Log.Head].
func (s *Store) Head(ctx context.Context) (uint64, error) {
	var id int64
	var head uint64
	err := s.backend.reading(ctx, func(ctx context.Context, r *reader) error {
		_, err := r.one(ctx, findTenant, []any{s.tenant}, []any{&id, &head})
		return err
	})
	return head, err
}

// ReadAll is [store.Log.ReadAll]. No page is longer than 1,000 events, goes on
// after 32 MiB of data, or comes from more than 16,384 events that the filter was
// tried on.
func (s *Store) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	var page store.Page
	err := s.backend.reading(ctx, func(ctx context.Context, r *reader) error {
		var tenant int64
		var head uint64
		if _, err := r.one(ctx, findTenant, []any{s.tenant}, []any{&tenant, &head}); err != nil {
			return err
		}
		p := newPager(o.From, o.Limit, o.Backward, head)
		p.within(maxScan)
		var err error
		switch f := &o.Filter; {
		case p.empty():
		case len(f.StreamTypes)+len(f.EventTypes)+len(f.IDPrefix) == 0:
			err = r.readAll(ctx, tenant, p)
		default:
			err = r.readFiltered(ctx, tenant, p, f)
		}
		page = p.page()
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// readAll reads what there is of p. The names of streams are looked up once for each
// stream, and not for each event.
func (r *reader) readAll(ctx context.Context, tenant int64, p *pager) error {
	query := readAllForward
	if p.backward {
		query = readAllBackward
	}
	var stream int64
	var streams []int64 // of the events of p
	row := newScanner(func(*store.Recorded) []any { return []any{&stream} })
	err := r.each(ctx, query, []any{tenant, p.low, p.high, p.limit}, func(rows *sql.Rows) (bool, error) {
		e, err := row.scan(rows)
		if err != nil {
			return false, err
		}
		streams = append(streams, stream)
		return p.add(e.Position, e), nil
	})
	for i := 0; i < len(streams) && err == nil; i++ {
		p.events[i].Stream, err = r.name(ctx, streams[i])
	}
	return err
}

// name returns the name of the stream that has this id.
func (r *reader) name(ctx context.Context, id int64) (store.Stream, error) {
	if name, ok := r.names[id]; ok {
		return name, nil
	}
	var name store.Stream
	found, err := r.one(ctx, findName, []any{id}, []any{&name.Type, &name.ID})
	if err == nil && !found {
		err = fmt.Errorf("stream %d has no name", id)
	}
	if err == nil {
		if len(r.names) == maxCached {
			clear(r.names)
		}
		r.names[id] = name
	}
	return name, err
}

func (r *reader) readFiltered(ctx context.Context, tenant int64, p *pager, f *store.Filter) error {
	query := readLogForward
	if p.backward {
		query = readLogBackward
	}
	streamTypes, err := oneOf(f.StreamTypes)
	if err != nil {
		return err
	}
	eventTypes, err := oneOf(f.EventTypes)
	if err != nil {
		return err
	}
	var prefix any
	if f.IDPrefix != "" {
		prefix = []byte(f.IDPrefix)
	}
	args := []any{tenant, p.low, p.high, p.limit, streamTypes, prefix, eventTypes}
	row := newScanner(func(e *store.Recorded) []any { return []any{&e.Stream.Type, &e.Stream.ID} })
	return r.each(ctx, query, args, func(rows *sql.Rows) (bool, error) {
		e, err := row.scan(rows)
		if err != nil {
			return false, err
		}
		if !f.Matches(e) {
			return p.add(e.Position, nil), nil
		}
		return p.add(e.Position, e), nil
	})
}

// oneOf returns names as JSON, nil for none. What is not UTF-8 matches too much.
func oneOf(names []string) (any, error) {
	if len(names) == 0 {
		return nil, nil //nolint:nilnil // the NULL of SQL
	}
	text, err := json.Marshal(names)
	return string(text), err
}

// Subscribe is [store.Log.Subscribe]. The loop runs where it is, and holds no
// connection while the page is handled. Pages have at most 256 events. What
// another process appends comes some 20 ms later than what this one does.
func (s *Store) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		if o.Backward {
			yield(store.Page{}, invalid("backward", "is not possible for a subscription"))
			return
		}
		o := o // of this loop
		if o.Limit == 0 || o.Limit > maxSubscribed {
			o.Limit = maxSubscribed
		}
		b := s.backend
		defer b.watch()() //nolint:contextcheck // the goroutine is that of all subscriptions
		for first := true; ; first = false {
			news := b.news.next()
			page, err := s.ReadAll(ctx, o)
			if err != nil {
				yield(store.Page{}, err)
				return
			}
			if (first || page.Next != o.From) && !yield(page, nil) {
				return
			}
			o.From = page.Next
			if !page.End {
				runtime.Gosched() // a reader that never waits starves the writer
				continue
			}
			select {
			case <-news:
			case <-ctx.Done():
			case <-b.done:
			}
		}
	}
}
