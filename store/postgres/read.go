package postgres

import (
	"context"
	"math"

	"github.com/evolvego/evolve/store"
)

const (
	// maxPage is the maximum number of events in a page.
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
	p.stream, p.buffer = stream, o.Buffer
	query := b.sql.read
	if o.Backward {
		query = b.sql.readBackward
	}
	if err := p.read(ctx, q, query, tenant, stream.Type, stream.ID, p.from, p.limit); err != nil {
		return store.Page{}, err
	}
	return p.page(), nil
}

// pager collects a page of a stream or of a log.
type pager struct {
	asked    uint64 // the From of the options
	from     int64  // From as a query takes it
	limit    int
	backward bool

	log    bool
	stream store.Stream  // the stream to read, if it is not a log
	filter *store.Filter // the filter for a log; nil for all events

	progress func()           // called for each row, if it is not nil
	buffer   []store.Recorded // memory for events, if it is large enough

	head   uint64
	first  uint64 // the first number that exists, if the page is backward
	last   string // the id of the event that was requested together with the page
	bound  uint64 // how far the log was examined, or 0 if it was examined to the end
	seen   int    // number of examined rows
	data   int
	full   bool   // there may be more
	number uint64 // of the last examined event
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

// read reads the page with a query that returns rows like row. A second call starts
// over.
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
			return rows.Conn().PgConn().Conn().Close() // this is cheaper than reading the rest
		}
	}
	p.full = p.seen == p.limit
	return rows.Err()
}

// begin handles the first row, which is not an event.
func (p *pager) begin(r *row) {
	p.head, p.bound, p.first, p.last = uint64(r.position), uint64(-r.version), uint64(r.schema), string(r.id) //nolint:gosec // not negative
}

// add adds the event of r. If the event does not match the filter, which the query
// cannot always check, add only counts it.
func (p *pager) add(r *row) error {
	p.seen++
	if p.events == nil {
		p.events = p.room()
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

// room returns memory for the events of the page.
func (p *pager) room() []store.Recorded {
	n := min(p.limit, 64)
	if from := uint64(p.from); !p.log && !p.backward && from <= p.head { //nolint:gosec // not negative
		n = int(min(uint64(p.limit), p.head-from+1)) //nolint:gosec // limit is not negative
	}
	if n <= cap(p.buffer) {
		return p.buffer[:0]
	}
	return make([]store.Recorded, 0, n)
}

// page returns the finished page.
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

// after returns the Next of a forward page.
func (p *pager) after() uint64 {
	switch {
	case p.full:
		return p.number + 1
	case p.bound > 0 && p.bound < p.head: // the end of the range that was examined
		return p.bound + 1
	}
	return max(p.asked, 1, p.head+1)
}

// before returns the Next of a backward page, or 0 if it is the last page.
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
