package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/evolvego/evolve/store"
)

const (
	// maxPage is the maximum number of events in a page.
	maxPage = 1000
	// maxPageData is the number of bytes of data at which a page ends.
	maxPageData = 32 << 20
	// maxReaders is the maximum number of connections that read.
	maxReaders = 8
)

// reader is a connection that reads, with caches of names, which never change. Each
// cache has at most maxCached entries.
type reader struct {
	*conn
	tenants map[string]int64
	streams map[streamKey]int64
	names   map[int64]store.Stream // from id to name
	kinds   map[int64]kind
}

// newReader returns a reader that uses c, with empty caches.
func newReader(c *conn) *reader {
	return &reader{
		conn: c, tenants: make(map[string]int64), streams: make(map[streamKey]int64),
		names: make(map[int64]store.Stream), kinds: make(map[int64]kind),
	}
}

// remember adds an entry to a cache.
func remember[K comparable, V any](names map[K]V, key K, value V) {
	if len(names) == maxCached {
		clear(names)
	}
	names[key] = value
}

// readers holds the connections that read. The most recently used one is used next,
// because its caches are the fullest.
type readers struct {
	busy chan struct{} // one element for each reader in use
	mu   sync.Mutex
	idle []*reader // guarded by mu
}

// take returns an idle reader, or nil if there is none. The caller must already have an
// element in busy.
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

// put returns r, if it is not nil, and removes an element from busy.
func (rs *readers) put(r *reader) {
	if r != nil {
		rs.mu.Lock()
		rs.idle = append(rs.idle, r)
		rs.mu.Unlock()
	}
	<-rs.busy
}

// close closes the idle readers.
func (rs *readers) close() error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var errs []error
	for _, r := range rs.idle {
		errs = append(errs, r.close())
	}
	rs.idle = nil
	return errors.Join(errs...)
}

// reading calls do with a reader that no other caller uses. It waits for a reader until
// ctx ends. Nothing interrupts do, so it must be short.
func (b *backend) reading(ctx context.Context, do func(r *reader) error) error {
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
	if r == nil {
		c, err := openReader(b.place, &b.config)
		if err != nil {
			return fileError(b.path, err)
		}
		r = newReader(c)
	}
	err := do(r)
	if err == nil {
		err = b.placeOfReads()
	}
	if err != nil {
		return fileError(b.path, err)
	}
	return nil
}

// soonMost is the maximum number of events in a short read.
const soonMost = 128

// errLong is the error of a short read that turns out to be long.
var errLong = errors.New("long read")

// soon is reading for reads that are usually short. If nobody writes, it uses the
// connection of the writer, which still has the pages that it has written in its cache,
// while the other connections drop all their pages after each commit. Then do may read
// at most that many events. If it needs more, it returns errLong, and soon calls it
// again with another connection.
func (b *backend) soon(ctx context.Context, do func(r *reader, most uint64) error) error {
	all := func(r *reader) error { return do(r, math.MaxUint64) }
	w := b.writer
	if w == nil || w.waiting.Load() > 0 {
		return b.reading(ctx, all)
	}
	if err := b.ready(ctx); err != nil {
		return err
	}
	if !w.turn.TryLock() {
		return b.reading(ctx, all)
	}
	err := w.read(do)
	if errors.Is(err, errLong) || isBusy(err) { // the connection of the writer does not wait for locks
		return b.reading(ctx, all)
	}
	return err
}

// read calls do with the connection of w. The caller has locked turn; read unlocks it.
func (w *writer) read(do func(r *reader, most uint64) error) error {
	defer w.turn.Unlock()
	b := w.backend
	if b.closed() {
		return store.ErrClosed
	}
	if !w.autocommit() { // a transaction that could not be rolled back, which nobody may see
		return errLong
	}
	err := do(w.reader, soonMost)
	if err == nil {
		err = b.placeOfReads()
	}
	if err != nil && !errors.Is(err, errLong) {
		return fileError(b.path, err)
	}
	return err
}

// placeOfReads returns an error if the main file at the path is not the one that is
// open. The poll and writes check the other two files.
func (b *backend) placeOfReads() error {
	if moved := b.moved.Load(); moved != nil && *moved != nil {
		return *moved
	}
	if b.place.frozen {
		return b.place.check()
	}
	return b.place.checkMain()
}

// SQLite prepares a statement again for each new value of a LIMIT parameter, but not if
// the LIMIT is an expression.
const (
	findTenant   = `SELECT id FROM tenant WHERE name = ?`
	findStreamID = `SELECT id FROM stream WHERE tenant = ? AND type = ? AND name = ?`
	findVersion  = `SELECT coalesce(max(version), 0) FROM event WHERE stream = ?`
	readForward  = `SELECT ` + eventColumns + ` FROM event WHERE stream = ? AND version BETWEEN ? AND ? ORDER BY version LIMIT ? + 0`
	readBackward = `SELECT ` + eventColumns + ` FROM event WHERE stream = ? AND version BETWEEN ? AND ? ORDER BY version DESC LIMIT ? + 0`
)

// Read is [store.Store.Read]. A page has at most 1,000 events, and ends after 32 MiB of
// data.
func (s *Store) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := stream.Validate(); err != nil {
		return store.Page{}, err
	}
	var page store.Page
	err := s.backend.soon(ctx, func(r *reader, most uint64) (err error) {
		page, err = r.streamPage(s.tenant, stream, o, most)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// streamPage returns a page of a stream, or errLong if the page would have more than
// most events.
func (r *reader) streamPage(tenant string, stream store.Stream, o store.ReadOptions, most uint64) (store.Page, error) {
	id, head, err := r.stream(tenant, stream)
	if err != nil {
		return store.Page{}, err
	}
	// Events at or below head never change, so the page is consistent without a
	// transaction.
	p := newPager(o.From, o.Limit, o.Backward, head)
	p.buffer = o.Buffer
	if !p.empty() {
		if min(p.high-p.low, uint64(p.limit)) > most { //nolint:gosec // limit is not negative
			return store.Page{}, errLong
		}
		err = r.readStream(stream, id, p)
	}
	return p.page(), err
}

// readStream reads the events of p from the stream with this id.
func (r *reader) readStream(stream store.Stream, id int64, p *pager) error {
	query := readForward
	if p.backward {
		query = readBackward
	}
	var small arena
	return r.each(query, func(s *stmt) (bool, error) {
		k, err := r.kind(s.int(columnKind))
		if err != nil {
			return false, err
		}
		e := p.grow()
		e.Stream = stream
		err = s.event(e, k, &small)
		return p.goesOn(e.Version, len(e.Data)), err
	}, number(id), number(p.low), number(p.high), number(p.limit))
}

// stream returns the id and the version of a stream, or zeros if there is none. Ids are
// cached, because nothing else needs the index of names.
func (r *reader) stream(tenant string, stream store.Stream) (id int64, version uint64, err error) {
	t, err := r.tenant(tenant)
	if err != nil || t == 0 {
		return 0, 0, err
	}
	key := streamKey{t, stream}
	id, known := r.streams[key]
	if !known {
		id, err = r.number(findStreamID, number(t), text(stream.Type), text(stream.ID))
		if err != nil || id == 0 {
			return 0, 0, err
		}
		remember(r.streams, key, id)
	}
	_, err = r.one(findVersion, func(s *stmt) { version = s.uint(0) }, number(id))
	return id, version, err
}

// kind returns the kind with this id.
func (r *reader) kind(id int64) (kind, error) {
	if k, ok := r.kinds[id]; ok {
		return k, nil
	}
	var k kind
	found, err := r.one("SELECT type, schema, content_type FROM kind WHERE id = ?", func(s *stmt) {
		k = kind{s.text(0), uint32(s.int(1)), s.text(2)} //nolint:gosec // as it was inserted
	}, number(id))
	if err == nil && !found {
		err = fmt.Errorf("%w: kind %d is missing", ErrCorrupt, id)
	}
	if err == nil {
		remember(r.kinds, id, k)
	}
	return k, err
}

// pager collects a page of a stream or log whose last number is head. Its events are
// those from low to high.
type pager struct {
	head, low, high uint64
	limit           int
	backward        bool
	next            uint64 // next if the page is as long as possible
	data            int
	events          []store.Recorded
	buffer          []store.Recorded // memory for events, if it is large enough
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

// within limits the page to n numbers.
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

// grow adds an event to the page and returns it for the caller to fill in.
func (p *pager) grow() *store.Recorded {
	if p.events == nil {
		p.events = p.buffer[:0]
		if n := min(uint64(p.limit), p.high-p.low+1); n > uint64(cap(p.buffer)) { //nolint:gosec // limit is not negative
			p.events = make([]store.Recorded, 0, n)
		}
	}
	p.events = append(p.events, store.Recorded{})
	return &p.events[len(p.events)-1]
}

// goesOn reports whether the page continues after the event with this number and size
// of data.
func (p *pager) goesOn(number uint64, data int) bool {
	p.data += data
	if len(p.events) < p.limit && p.data < maxPageData {
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
