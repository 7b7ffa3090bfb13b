package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/evolvego/evolve/store"
)

const (
	// maxGroup is the maximum number of writes that one transaction commits.
	maxGroup = 512
	// maxGroupEvents is the number of events after which no more writes join a group.
	maxGroupEvents = 4096
	// maxCached is the maximum number of entries in each cache of names and heads.
	maxCached = 100_000
)

// write is a piece of work in a transaction of the writer.
type write interface {
	// do writes with the connection of w. If it returns an error, the whole transaction
	// fails. A result that concerns only this write, such as a conflict, is stored as the
	// outcome of the write.
	do(w *writer) error
	// count returns the approximate number of events that it writes.
	count() int
}

// request is a write whose caller waits for it.
type request struct {
	write
	taken   atomic.Bool   // by the writer, or by the caller that gives up
	done    chan struct{} // closed when err is set
	failure error
}

// writer makes all writes of a backend, with one connection. The goroutine that has
// locked turn may use the connection: it is the one that runs run, for all writes in
// the queue, or a caller that finds that nobody else writes.
type writer struct {
	turn    sync.Mutex   // guards the connection and the caches
	waiting atomic.Int64 // callers in the queue, or waiting for their write to be done
	*conn
	reader  *reader // uses the same connection, for short reads
	backend *backend
	queue   chan *request
	held    *request      // taken out of the queue, for the next group
	stopped chan struct{} // closed when run has returned
	theirs  theirs        // the statements of the callers of Update

	// Caches of the content of the file. They are valid until another connection commits,
	// which version detects.
	version    uint32
	tenants    map[string]*tenantHead
	streams    map[streamKey]streamHead
	kinds      map[kind]int64
	lastStream int64 // the highest id of a stream; 0 if unknown
}

// tenantHead is a row of table tenant, and the last position of its log.
type tenantHead struct {
	id   int64 // 0 if it does not exist
	head uint64
}

type streamKey struct {
	tenant int64
	stream store.Stream
}

type streamHead struct {
	id      int64 // 0 if it does not exist
	version uint64
}

func newWriter(b *backend, c *config) (*writer, error) {
	script := fmt.Sprintf("%s; PRAGMA synchronous=%s; PRAGMA journal_size_limit=67108864", settings, c.synchronous)
	conn, err := openWith(b.place.real, lib.SQLITE_OPEN_READWRITE, script)
	if err != nil {
		return nil, err
	}
	w := &writer{
		conn:    conn,
		backend: b,
		queue:   make(chan *request, maxGroup),
		stopped: make(chan struct{}),
	}
	w.theirs.conn = conn
	w.reader = newReader(conn)
	w.forget()
	err = conn.script("PRAGMA busy_timeout=5") // see begin
	if err = cmp.Or(err, w.mark()); err != nil {
		return nil, errors.Join(err, conn.close())
	}
	return w, nil
}

// submit passes a write to the writer, if one is possible. See writer.submit.
func (b *backend) submit(ctx context.Context, job write) error {
	if err := b.writable(ctx); err != nil {
		return err
	}
	return b.writer.submit(ctx, job)
}

// writable returns an error if nothing can be written: because of ready, because the
// store is read-only, or because the caller would wait for itself.
func (b *backend) writable(ctx context.Context) error {
	switch {
	case b.writer == nil:
		return refused{&FileError{b.path, ErrReadOnly, errors.New("the store was opened by OpenReadOnly")}}
	case b.inUpdate():
		return ErrInUpdate
	}
	return b.ready(ctx)
}

// submit makes a write and returns when it is committed. If ctx ends before the write
// has begun, it is never made.
func (w *writer) submit(ctx context.Context, job write) error {
	if done, err := w.alone(job); done {
		return err
	}
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	r, err := w.enqueue(ctx, job)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.failure
	case <-ctx.Done():
		r.taken.Store(true) // if it has not begun, it never will
		return ctx.Err()
	case <-w.stopped:
	}
	select {
	case <-r.done:
		return r.failure
	default:
		return store.ErrClosed // it stays in the queue
	}
}

// alone makes a write in the caller's goroutine if nobody else writes, and reports
// whether it did. Waking the goroutine of run would cost more than the rest of a small
// append. If another process writes, alone returns false, so that the caller waits in
// the queue.
func (w *writer) alone(job write) (done bool, err error) {
	if w.waiting.Load() > 0 || !w.turn.TryLock() {
		return false, nil
	}
	defer w.turn.Unlock()
	if w.backend.closed() {
		return true, store.ErrClosed
	}
	err = w.begin(0)
	if isBusy(err) {
		return false, nil
	}
	err = w.finish([]*request{{write: job}}, err)
	if err == nil {
		w.backend.news.tell()
	}
	return true, err
}

// enqueue puts a write into the queue.
func (w *writer) enqueue(ctx context.Context, job write) (*request, error) {
	r := &request{write: job, done: make(chan struct{})}
	select {
	case w.queue <- r:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.backend.done:
		return nil, store.ErrClosed
	}
}

// run commits all writes in the queue as one group, again and again, until the backend is
// closed. It never waits for a group to grow, because groups grow during commits.
func (w *writer) run() {
	defer close(w.stopped)
	group := make([]*request, 0, maxGroup)
	for {
		r := w.next()
		if r == nil {
			return
		}
		w.turn.Lock()
		group = w.pending(group[:0], r)
		err := w.commit(group)
		w.turn.Unlock()
		if err == nil {
			w.backend.news.tell()
		}
		for _, r := range group {
			r.failure = err
			close(r.done)
		}
		clear(group)
	}
}

// next waits for the first write in the queue, and returns nil when the backend is closed.
func (w *writer) next() *request {
	if r := w.held; r != nil {
		w.held = nil
		return r
	}
	select {
	case <-w.backend.done:
		return nil
	case r := <-w.queue:
		return r
	}
}

// pending appends to group r and the writes after it in the queue whose callers still wait.
// An update gets a group of its own, so that it can fail without the others.
func (w *writer) pending(group []*request, r *request) []*request {
	events := 0
	for {
		_, alone := r.write.(*update)
		if alone && len(group) > 0 {
			w.held = r
			return group
		}
		if r.taken.CompareAndSwap(false, true) {
			group = append(group, r)
			events += r.count()
		}
		if alone || len(group) == maxGroup || events >= maxGroupEvents {
			return group
		}
		select {
		case r = <-w.queue:
		default:
			return group
		}
	}
}

// commit makes the writes of group in one transaction. If it returns an error that
// matches store.ErrRefused, none of them was made. After another error, the outcome is
// unknown.
func (w *writer) commit(group []*request) error {
	if len(group) == 0 {
		return nil
	}
	return w.finish(group, w.begin(busyTimeout))
}

// finish is the rest of commit, after begin has returned err.
func (w *writer) finish(group []*request, err error) error {
	if err == nil {
		err = w.transact(group)
	}
	begun := err
	if err == nil {
		err = w.exec("COMMIT")
	}
	if err == nil {
		return nil
	}
	// The last thing that a commit writes before it syncs is the mark that makes the
	// transaction valid. So if there was no space to write, the transaction is not valid.
	if err = fileError(w.backend.path, err); begun != nil || errors.Is(err, ErrFull) {
		err = refused{err}
	}
	w.forget()
	if !w.autocommit() { // a failed transaction may have ended by itself
		if e := w.exec("ROLLBACK"); e != nil {
			return errors.Join(begun, fileError(w.backend.path, e)) // the outcome is unknown
		}
	}
	return err
}

// transact makes the writes of group in the transaction that has begun.
func (w *writer) transact(group []*request) error {
	if err := w.refresh(); err != nil {
		return err
	}
	for _, r := range group {
		if err := r.do(w); err != nil {
			return err
		}
	}
	// This check comes as late as possible, because a commit to a deleted or renamed file
	// is lost.
	return w.backend.place.checkSoon()
}

// begin begins a write transaction, and waits for another process for at most patience.
// While SQLite waits for a lock, it retries less and less often. Next to a process that
// commits without a pause it could wait very long, so begin makes it give up soon and
// starts over, with frequent retries.
//
// A transaction that is still open could not be rolled back. begin tries that again.
func (w *writer) begin(patience time.Duration) error {
	if !w.autocommit() {
		if err := w.exec("ROLLBACK"); err != nil {
			return err
		}
	}
	err := w.exec("BEGIN IMMEDIATE")
	if !isBusy(err) || patience == 0 {
		return err
	}
	for deadline := time.Now().Add(patience); isBusy(err) && time.Now().Before(deadline); { //nolint:forbidigo // of another process's work
		err = w.exec("BEGIN IMMEDIATE")
	}
	return err
}

// refresh empties the caches if another connection has committed, or if they are full.
func (w *writer) refresh() error {
	version, err := w.conn.version()
	if err != nil {
		return err
	}
	if version != w.version || max(len(w.streams), len(w.tenants), len(w.kinds)) > maxCached {
		w.forget()
		w.version = version
	}
	return nil
}

func (w *writer) forget() {
	w.version = 0 // versions of SQLite begin at 1
	w.tenants = make(map[string]*tenantHead)
	w.streams = make(map[streamKey]streamHead)
	w.kinds = make(map[kind]int64)
	w.lastStream = 0
}

// tenant returns the tenant called name. If there is none, it inserts one if create is
// set, and otherwise returns one whose id is 0.
func (w *writer) tenant(name string, create bool) (*tenantHead, error) {
	t, ok := w.tenants[name]
	if !ok {
		t = new(tenantHead)
		var err error
		if t.id, err = w.number(findTenant, text(name)); err != nil {
			return nil, err
		}
		if t.head, err = w.head(t.id); err != nil {
			return nil, err
		}
	}
	if t.id == 0 && create {
		id, err := w.number("INSERT INTO tenant (name) VALUES (?) RETURNING id", text(name))
		if err != nil {
			return nil, err
		}
		if id > maxTenant {
			return nil, fmt.Errorf("tenant %q would be number %d, but there can be only %d", name, id, int64(maxTenant))
		}
		t.id = id
	}
	if t.id != 0 {
		w.tenants[name] = t
	}
	return t, nil
}

// stream returns the head of a stream, or a zero head if there is none.
func (w *writer) stream(key streamKey) (head streamHead, err error) {
	if head, ok := w.streams[key]; ok || key.tenant == 0 {
		return head, nil
	}
	_, err = w.one(findStream, func(s *stmt) { head = streamHead{s.int(0), s.uint(1)} },
		number(key.tenant), text(key.stream.Type), text(key.stream.ID))
	return head, err
}

// findStream finds a stream and its version.
const findStream = `SELECT id, (SELECT coalesce(max(version), 0) FROM event WHERE stream = s.id)
FROM stream s WHERE tenant = ? AND type = ? AND name = ?`

// newStream inserts a stream and returns its id. If the stream exists, taken returns
// the columns of its name for the error.
func (w *writer) newStream(tenant int64, stream store.Stream) (id int64, err error) {
	if w.lastStream == 0 {
		if w.lastStream, err = w.number("SELECT coalesce(max(id), 0) FROM stream"); err != nil {
			return 0, err
		}
	}
	id = w.lastStream + 1
	err = w.exec("INSERT INTO stream (id, tenant, type, name) VALUES (?, ?, ?, ?)",
		number(id), number(tenant), text(stream.Type), text(stream.ID))
	if err == nil {
		w.lastStream = id
	}
	return id, err
}

// kind returns the id of a kind, and inserts the kind if there is none.
func (w *writer) kind(k kind) (int64, error) {
	if id, ok := w.kinds[k]; ok {
		return id, nil
	}
	args := []value{text(k.name), number(k.schema), text(k.contentType)}
	id, err := w.number("SELECT id FROM kind WHERE type = ? AND schema = ? AND content_type = ?", args...)
	if err == nil && id == 0 {
		id, err = w.number("INSERT INTO kind (type, schema, content_type) VALUES (?, ?, ?) RETURNING id", args...)
	}
	if err == nil {
		w.kinds[k] = id
	}
	return id, err
}
