package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/evolvego/evolve/store"
)

const (
	// maxPage is how many events a page holds at most.
	maxPage = 1000
	// maxPageData is at how many bytes of data a page ends.
	maxPageData = 32 << 20
	// maxReaders is how many read at once at most.
	maxReaders = 8
)

// reader is a connection that reads, with its statements.
type reader struct {
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	streams map[streamName]int64   // ids, which never change; maxCached at most
	names   map[int64]store.Stream // the other way around; maxCached at most
}

type streamName struct {
	tenant string
	stream store.Stream
}

func (r *reader) close() error {
	var errs []error
	for _, stmt := range r.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, r.conn.Close())...)
}

// readers are the connections that read. The one that was used last is used next: it
// knows the most of the file.
type readers struct {
	busy chan struct{} // one for each that is in use
	mu   sync.Mutex
	idle []*reader // guarded by mu
}

// take returns one that is idle, or nil if there is none. There is a place in busy
// for it.
func (rs *readers) take() *reader {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	last := len(rs.idle) - 1
	if last < 0 {
		return nil
	}
	r := rs.idle[last]
	rs.idle = rs.idle[:last]
	return r
}

// put gives r back, if there is one, and its place.
func (rs *readers) put(r *reader) {
	if r != nil {
		rs.mu.Lock()
		rs.idle = append(rs.idle, r)
		rs.mu.Unlock()
	}
	<-rs.busy
}

// reading calls do with a reader that nobody else has. The reads of do are not
// ended by ctx, which costs a goroutine each, so they must be short.
func (b *backend) reading(ctx context.Context, do func(ctx context.Context, r *reader) error) error {
	if err := b.ready(ctx); err != nil {
		return err
	}
	select {
	case b.readers.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-b.done:
		return store.ErrClosed
	}
	r := b.readers.take()
	defer func() { b.readers.put(r) }()
	quiet := context.WithoutCancel(ctx)
	if r == nil {
		conn, err := b.reads.Conn(quiet)
		if err != nil {
			return fileError(b.path, err)
		}
		r = &reader{
			conn: conn, stmts: make(map[string]*sql.Stmt),
			streams: make(map[streamName]int64), names: make(map[int64]store.Stream),
		}
	}
	err := do(quiet, r)
	if err == nil {
		err = b.placeOfReads()
	}
	if err != nil {
		return fileError(b.path, err)
	}
	return nil
}

// placeOfReads returns an error if what has been read may be of another file than the
// one at the path. It looks at the main file only, and leaves the two beside it to the
// poll and to writes.
func (b *backend) placeOfReads() error {
	if moved := b.moved.Load(); moved != nil && *moved != nil {
		return *moved
	}
	return b.place.checkMain()
}

func (r *reader) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := r.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := r.conn.PrepareContext(ctx, query)
	if err == nil {
		r.stmts[query] = stmt
	}
	return stmt, err
}

// one reads the one row of query into to, and reports whether there is one.
func (r *reader) one(ctx context.Context, query string, args, to []any) (bool, error) {
	stmt, err := r.stmt(ctx, query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(to...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each calls add for the rows of query until it returns false or an error.
func (r *reader) each(ctx context.Context, query string, args []any, add func(*sql.Rows) (bool, error)) error {
	stmt, err := r.stmt(ctx, query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return err
	}
	return eachOf(ctx, stmt, args, add)
}

func eachOf(ctx context.Context, stmt *sql.Stmt, args []any, add func(*sql.Rows) (bool, error)) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if more, err := add(rows); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// SQLite prepares a statement anew for each value that is bound to its LIMIT, but not
// for an expression.
const (
	findStreamByName = `SELECT s.id, (SELECT coalesce(max(version), 0) FROM event WHERE stream = s.id)
FROM tenant t CROSS JOIN stream s ON s.tenant = t.id WHERE t.name = ? AND s.type = ? AND s.name = ?`
	findHead    = `SELECT coalesce(max(version), 0) FROM event WHERE stream = ?`
	readForward = `SELECT ` + eventColumns + ` FROM event e
WHERE e.stream = ? AND e.version BETWEEN ? AND ? ORDER BY e.version LIMIT ? + 0`
	readBackward = `SELECT ` + eventColumns + ` FROM event e
WHERE e.stream = ? AND e.version BETWEEN ? AND ? ORDER BY e.version DESC LIMIT ? + 0`
)

// Read is [store.Store.Read]. No page is longer than 1,000 events, or goes on
// after 32 MiB of data.
func (s *Store) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := stream.Validate(); err != nil {
		return store.Page{}, err
	}
	var page store.Page
	err := s.backend.reading(ctx, func(ctx context.Context, r *reader) error {
		id, head, err := r.stream(ctx, streamName{s.tenant, stream})
		if err != nil {
			return err
		}
		// What is at or below head never changes, so the page needs no
		// transaction to be of one moment.
		p := newPager(o.From, o.Limit, o.Backward, head)
		query := readForward
		if o.Backward {
			query = readBackward
		}
		if !p.empty() {
			row := newScanner(nil)
			row.event.Stream = stream
			err = r.each(ctx, query, []any{id, p.low, p.high, p.limit}, func(rows *sql.Rows) (bool, error) {
				e, err := row.scan(rows)
				if err != nil {
					return false, err
				}
				return p.add(e.Version, e), nil
			})
		}
		page = p.page()
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// stream returns the id and the version of the stream called name, zeros if there is
// none. To find it by its name takes pages of two indexes that nobody else needs.
func (r *reader) stream(ctx context.Context, name streamName) (id int64, version uint64, err error) {
	if id, ok := r.streams[name]; ok {
		_, err := r.one(ctx, findHead, []any{id}, []any{&version})
		return id, version, err
	}
	found, err := r.one(ctx, findStreamByName, []any{name.tenant, name.stream.Type, name.stream.ID}, []any{&id, &version})
	if found {
		if len(r.streams) == maxCached {
			clear(r.streams)
		}
		r.streams[name] = id
	}
	return id, version, err
}

// pager makes a page of a stream or log up to head, of what is numbered from low
// to high.
type pager struct {
	head, low, high uint64
	limit           int
	backward        bool
	next            uint64 // if the page is as long as it can be
	seen, data      int
	events          []store.Recorded
}

func newPager(from uint64, limit int, backward bool, head uint64) *pager {
	if limit == 0 {
		limit = store.DefaultLimit
	}
	p := &pager{head: head, low: max(from, 1), high: head, limit: min(limit, maxPage), backward: backward}
	p.next = max(p.low, head+1)
	if backward {
		p.low, p.next = 1, 0
		if from != 0 && from < head {
			p.high = from
		}
	}
	return p
}

// within narrows the page to what is looked at in n numbers.
func (p *pager) within(n uint64) {
	switch {
	case p.empty() || p.high-p.low < n:
	case p.backward:
		p.low = p.high - n + 1
		p.next = p.low - 1
	default:
		p.high = p.low + n - 1
		p.next = p.high + 1
	}
}

func (p *pager) empty() bool { return p.low > p.high }

// add adds the event with this number, or if e is nil only looks at it, and
// reports whether the page goes on.
func (p *pager) add(number uint64, e *store.Recorded) bool {
	p.seen++
	if e != nil {
		if p.events == nil {
			p.events = make([]store.Recorded, 0, min(uint64(p.limit), p.high-p.low+1)) //nolint:gosec // limit is not negative
		}
		p.events = append(p.events, *e)
		p.data += len(e.Data)
	}
	if p.seen < p.limit && p.data < maxPageData {
		return true
	}
	p.next = number + 1
	if p.backward {
		p.next = number - 1
	}
	return false
}

func (p *pager) page() store.Page {
	end := p.next > p.head
	if p.backward {
		end = p.next == 0
	}
	return store.Page{Events: p.events, Head: p.head, Next: p.next, End: end}
}
