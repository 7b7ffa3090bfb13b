package sqlite

import (
	"context"
	"fmt"
	"iter"
	"runtime"

	"github.com/evolvego/evolve/store"
)

const (
	// maxScan is the maximum number of positions that a page examines, so that a filter
	// that matches few events still returns in bounded time.
	maxScan = 16_384
	// maxSubscribed is the maximum number of events in a page of a subscription.
	maxSubscribed = 1000
)

const (
	findLast = `SELECT seq FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq DESC LIMIT 1`
	readAll  = `SELECT ` + eventColumns + ` FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq `
	findName = `SELECT type, name FROM stream WHERE id = ?`
)

// Head is [store.Log.Head].
func (s *Store) Head(ctx context.Context) (head uint64, err error) {
	err = s.backend.reading(ctx, func(r *reader) error {
		_, head, err = r.log(s.tenant)
		return err
	})
	return head, err
}

// ReadAll is [store.Log.ReadAll]. A page has at most 1,000 events, and ends after 32
// MiB of data or 16,384 positions. So a page with a filter may be empty without being
// the last one.
func (s *Store) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	var page store.Page
	err := s.backend.reading(ctx, func(r *reader) error {
		tenant, head, err := r.log(s.tenant)
		if err != nil {
			return err
		}
		p := newPager(o.From, o.Limit, o.Backward, head)
		p.within(maxScan)
		if !p.empty() {
			err = r.readLog(tenant, p, &o.Filter)
		}
		page = p.page()
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// readLog reads the events of p. For events that do not match the filter, it reads only
// the ids of stream and kind. It looks up the name for an id once, not for each event.
func (r *reader) readLog(tenant int64, p *pager, f *store.Filter) error {
	query := readAll
	if p.backward {
		query += "DESC"
	}
	all := len(f.StreamTypes)+len(f.EventTypes)+len(f.IDPrefix) == 0
	var small arena
	return r.each(query, func(s *stmt) (bool, error) {
		stream, err := r.name(s.int(columnStream))
		if err != nil {
			return false, err
		}
		k, err := r.kind(s.int(columnKind))
		if err != nil {
			return false, err
		}
		if !all && !f.Matches(&store.Recorded{Stream: stream, Event: store.Event{Type: k.name}}) {
			return true, nil
		}
		e := p.grow()
		e.Stream = stream
		err = s.event(e, k, &small)
		return p.goesOn(e.Position, len(e.Data)), err
	}, number(seq(tenant, p.low)), number(seq(tenant, p.high)))
}

// log returns the id of the tenant called name and the head of its log, or zeros if there
// is none.
func (r *reader) log(name string) (id int64, head uint64, err error) {
	if id, err = r.tenant(name); err != nil || id == 0 {
		return 0, 0, err
	}
	head, err = r.head(id)
	return id, head, err
}

// tenant returns the id of the tenant called name, or 0 if there is none.
func (r *reader) tenant(name string) (id int64, err error) {
	id, known := r.tenants[name]
	if !known {
		if id, err = r.number(findTenant, text(name)); err == nil && id != 0 {
			remember(r.tenants, name, id)
		}
	}
	return id, err
}

// head returns the last position of the log of a tenant.
func (c *conn) head(tenant int64) (uint64, error) {
	last, err := c.number(findLast, number(seq(tenant, 0)), number(seq(tenant, maxPosition)))
	return uint64(last) & maxPosition, err //nolint:gosec // it is not negative
}

// name returns the name of the stream with this id.
func (r *reader) name(id int64) (store.Stream, error) {
	if name, ok := r.names[id]; ok {
		return name, nil
	}
	var name store.Stream
	found, err := r.one(findName, func(s *stmt) { name = store.Stream{Type: s.text(0), ID: s.text(1)} }, number(id))
	if err == nil && !found {
		err = fmt.Errorf("%w: stream %d is missing", ErrCorrupt, id)
	}
	if err == nil {
		remember(r.names, id, name)
	}
	return name, err
}

// Subscribe is [store.Log.Subscribe]. It uses no connection while the loop handles a
// page. Pages have at most 1,000 events. Events from other processes arrive up to 20 ms
// later than those from this process.
func (s *Store) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		if o.Backward {
			yield(store.Page{}, invalid("backward", "is not possible for a subscription"))
			return
		}
		o := o // one copy for each loop
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
