package postgres

import (
	"context"
	"math"

	"github.com/evolvego/evolve/store"
)

const (
	// maxPage is how many events a page holds at most.
	maxPage = 1000
	// maxPageData is the number of bytes of data after which a page ends.
	maxPageData = 32 << 20
)

// Read is [store.Store.Read]. A page has at most 1,000 events, and ends after 32 MiB of
// data.
func (s *Store) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (page store.Page, err error) {
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		page, err = b.readStream(ctx, q, s.tenant, stream, o)
		return err
	})
	return page, err
}

func (b *backend) readStream(
	ctx context.Context, q querier, tenant string, stream store.Stream, o store.ReadOptions,
) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := stream.Validate(); err != nil {
		return store.Page{}, err
	}
	p := newPager(o.From, o.Limit, o.Backward)
	p.stream = stream
	query := b.sql.read
	if o.Backward {
		query = b.sql.readBackward
	}
	if err := p.read(ctx, q, query, tenant, stream.Type, stream.ID, p.from, p.limit); err != nil {
		return store.Page{}, err
	}
	return p.page(), nil
}

// pager makes a page of a stream or of a log.
type pager struct {
	asked    uint64 // from
	from     int64  // as a query takes it
	limit    int
	backward bool

	log    bool
	stream store.Stream  // that is read, if not a log
	filter *store.Filter // what of the log; nil for all

	progress func() // called for each row, if it is not nil

	head   uint64
	first  uint64 // number there is, if the page is backward
	last   string // the id of the event that was asked for beside the page
	bound  uint64 // how far a log was looked at, 0 if not less than there is
	seen   int    // rows that were looked at
	data   int
	full   bool   // there may be more
	number uint64 // of the last event that was looked at
	events []store.Recorded
}

func newPager(from uint64, limit int, backward bool) *pager {
	if limit == 0 {
		limit = store.DefaultLimit
	}
	p := &pager{asked: from, from: math.MaxInt64, limit: min(limit, maxPage), backward: backward}
	if from <= store.MaxVersion && (!backward || from > 0) {
		p.from = max(int64(from), 1)
	}
	return p
}

// read reads the page with a query that returns rows like row. A second call begins
// again.
func (p *pager) read(ctx context.Context, q querier, query string, args ...any) error {
	p.events, p.seen, p.data, p.full = nil, 0, 0, false
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	r := newRow(p.log)
	for rows.Next() {
		if p.progress != nil {
			p.progress()
		}
		if err := r.scan(rows); err != nil {
			return err
		}
		if r.version <= 0 {
			p.begin(r)
			continue
		}
		if err := p.add(r); err != nil {
			return err
		}
		if p.data >= maxPageData {
			p.full = true
			return rows.Conn().PgConn().Conn().Close() // which is cheaper than to read the rest
		}
	}
	p.full = p.seen == p.limit
	return rows.Err()
}

// begin takes the first row, which is no event.
func (p *pager) begin(r *row) {
	p.head, p.bound, p.first, p.last = uint64(r.position), uint64(-r.version), uint64(r.schema), string(r.id) //nolint:gosec // not negative
}

// add adds the event of r. If the filter does not match, which the query cannot always
// tell, add only counts the event.
func (p *pager) add(r *row) error {
	p.seen++
	if p.events == nil {
		p.events = make([]store.Recorded, 0, min(p.limit, 64))
	}
	p.events = append(p.events, store.Recorded{})
	e := &p.events[len(p.events)-1]
	if err := r.recorded(e); err != nil {
		return err
	}
	p.data += len(e.Data)
	if !p.log {
		e.Stream = p.stream
		p.number = e.Version
		return nil
	}
	p.number = e.Position
	if !p.filter.Matches(e) {
		p.events = p.events[:len(p.events)-1]
	}
	return nil
}

// page returns the page that was read.
func (p *pager) page() store.Page {
	page := store.Page{Events: p.events, Head: p.head}
	if p.backward {
		page.Next = p.before()
		page.End = page.Next == 0
		return page
	}
	page.Next = p.after()
	page.End = page.Next > p.head
	return page
}

// after returns where the next page forward begins.
func (p *pager) after() uint64 {
	switch {
	case p.full:
		return p.number + 1
	case p.bound > 0 && p.bound < p.head: // as far as it was looked for what the filter matches
		return p.bound + 1
	}
	return max(p.asked, 1, p.head+1)
}

// before returns where the next page backward begins, and 0 if there is none.
func (p *pager) before() uint64 {
	switch {
	case p.full && p.number <= p.first:
		return 0
	case p.full:
		return p.number - 1
	case p.bound > p.first:
		return p.bound - 1
	}
	return 0
}
