package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

const (
	// maxGroup is how many writes one transaction commits at most.
	maxGroup = 512
	// maxGroupEvents is at how many events a group is not joined any more.
	maxGroupEvents = 4096
	// maxCached is how many heads of streams the writer remembers at most.
	maxCached = 100_000
	// maxKept is how many statements of callers are kept prepared at most.
	maxKept = 256
)

// write is something to do in a transaction of the writer.
type write interface {
	// do writes with the statements of w. An error that it returns fails the
	// whole transaction; a refusal is kept as an outcome instead.
	do(w *writer) error
	// count is how many events are written.
	count() int
}

// request is a write that somebody waits for.
type request struct {
	write
	taken   atomic.Bool   // by the writer, or by the caller who gives up
	done    chan struct{} // closed when err is set
	failure error
}

// writer makes all writes of a backend, on one connection.
type writer struct {
	backend *backend
	conn    *sql.Conn
	queue   chan *request
	held    *request      // that was taken out of the queue, and is for the next group
	stopped chan struct{} // closed when run has returned
	stmts   map[string]*sql.Stmt
	theirs  map[string]*sql.Stmt // of the callers of Update; maxKept at most

	// What is in the file, as long as nobody else has written to it: the
	// version says whether.
	version int64
	tenants map[string]*tenantHead
	streams map[streamKey]streamHead
}

// tenantHead is a row of table tenant, and the last position of its log.
type tenantHead struct {
	id   int64 // 0: there is none
	head uint64
}

type streamKey struct {
	tenant int64
	stream store.Stream
}

type streamHead struct {
	id      int64 // 0: there is none
	version uint64
}

func newWriter(b *backend) (*writer, error) {
	conn, err := b.writes.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	w := &writer{
		backend: b,
		conn:    conn,
		queue:   make(chan *request, maxGroup),
		stopped: make(chan struct{}),
		stmts:   make(map[string]*sql.Stmt),
		theirs:  make(map[string]*sql.Stmt),
	}
	w.forget()
	// See begin.
	if _, err := conn.ExecContext(context.Background(), "PRAGMA busy_timeout = 5"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return w, nil
}

// submit is that of the writer, if a write is possible.
func (b *backend) submit(ctx context.Context, job write) error {
	if err := b.writable(ctx); err != nil {
		return err
	}
	return b.writer.submit(ctx, job)
}

// writable returns why nothing can be written, beside what ready returns: the store
// is read-only, or the caller would wait for itself.
func (b *backend) writable(ctx context.Context) error {
	switch {
	case b.writer == nil:
		return refused{&FileError{b.path, ErrReadOnly, errors.New("the store was opened by OpenReadOnly")}}
	case b.inUpdate():
		return ErrInUpdate
	}
	return b.ready(ctx)
}

// submit has the writer make a write and returns when it is committed. If ctx
// ends before it was begun, it is never made.
func (w *writer) submit(ctx context.Context, job write) error {
	r, err := w.enqueue(ctx, job)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.failure
	case <-ctx.Done():
		r.taken.Store(true) // if it is not begun, it never will be
		return ctx.Err()
	case <-w.stopped:
	}
	select {
	case <-r.done:
		return r.failure
	default:
		return store.ErrClosed // it is left in the queue
	}
}

// enqueue asks the writer to make a write.
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

// run commits what is pending, as one group, until the backend is closed. It
// never waits for a group to grow: it does that by itself during a commit.
func (w *writer) run() {
	defer close(w.stopped)
	group := make([]*request, 0, maxGroup)
	for {
		r := w.next()
		if r == nil {
			return
		}
		group = w.pending(group[:0], r)
		err := w.commit(group)
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

// next returns what is pending first, or nil when the backend is closed.
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

// pending appends to group what is in the queue after r and still wanted. An
// update is alone, so that it fails and is rolled back alone.
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

// commit makes the writes of group in one transaction. If it returns an error, none of
// them was made, if it matches store.ErrRefused, or nobody knows whether they were.
func (w *writer) commit(group []*request) error {
	if len(group) == 0 {
		return nil
	}
	begun := w.transact(group)
	err := begun
	if begun == nil {
		err = w.exec("COMMIT")
	}
	if err == nil {
		return nil
	}
	// The mark that makes a transaction is the last thing that a commit writes, before
	// it syncs. So without space for it there is none.
	if err = fileError(w.backend.path, err); begun != nil || errors.Is(err, ErrFull) {
		err = refused{err}
	}
	w.forget()
	// A transaction that failed may have ended by itself, so this may fail too.
	_, _ = w.conn.ExecContext(context.Background(), "ROLLBACK")
	return err
}

// transact begins a transaction and makes the writes of group in it.
func (w *writer) transact(group []*request) error {
	if err := w.begin(); err != nil {
		return err
	}
	if err := w.refresh(); err != nil {
		return err
	}
	for _, r := range group {
		if err := r.do(w); err != nil {
			return err
		}
	}
	// As late as possible: what is committed to a file that has lost its name is lost.
	return w.backend.place.check()
}

// begin begins a transaction that writes. SQLite looks for a lock that is taken less
// and less often, and beside a process that commits without pause may not find it
// free for long; so it gives up soon and is asked anew, which begins with many looks.
func (w *writer) begin() error {
	deadline := time.Now().Add(busyTimeout) //nolint:forbidigo // of another process's work
	for {
		err := w.exec("BEGIN IMMEDIATE")
		if !isBusy(err) || time.Now().After(deadline) { //nolint:forbidigo // as above
			return err
		}
	}
}

// refresh forgets what is remembered of the file if somebody else has written.
func (w *writer) refresh() error {
	var version int64
	if err := w.queryRow("PRAGMA data_version").Scan(&version); err != nil {
		return err
	}
	if version != w.version || len(w.streams) > maxCached || len(w.tenants) > maxCached {
		w.forget()
		w.version = version
	}
	return nil
}

func (w *writer) forget() {
	w.version = 0 // SQLite begins at 1
	w.tenants = make(map[string]*tenantHead)
	w.streams = make(map[streamKey]streamHead)
}

// stmt returns query prepared; there are few different ones.
func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if stmt, ok := w.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	w.stmts[query] = stmt
	return stmt, nil
}

// kept returns query of a caller prepared.
func (w *writer) kept(query string) (*sql.Stmt, error) {
	if stmt, ok := w.theirs[query]; ok {
		return stmt, nil
	}
	if len(w.theirs) == maxKept {
		w.dropKept()
	}
	stmt, err := w.conn.PrepareContext(context.Background(), query)
	if err == nil {
		w.theirs[query] = stmt
	}
	return stmt, err
}

func (w *writer) dropKept() {
	for _, stmt := range w.theirs {
		_ = stmt.Close() // which says how its last execution ended
	}
	clear(w.theirs)
}

func (w *writer) exec(query string, args ...any) error {
	stmt, err := w.stmt(query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background(), args...)
	return err
}

// row is a *sql.Row, or the error that there is instead.
type row struct {
	row *sql.Row
	err error
}

func (r row) Scan(to ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.row.Scan(to...)
}

func (w *writer) queryRow(query string, args ...any) row {
	stmt, err := w.stmt(query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return row{err: err}
	}
	return row{row: stmt.QueryRowContext(context.Background(), args...)}
}

// tenant returns the tenant called name, made if it is not there and create.
func (w *writer) tenant(name string, create bool) (*tenantHead, error) {
	t, ok := w.tenants[name]
	if !ok {
		t = new(tenantHead)
		err := w.queryRow(findTenant, name).Scan(&t.id, &t.head)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	if t.id == 0 && create {
		err := w.queryRow("INSERT INTO tenant (name) VALUES (?) RETURNING id", name).Scan(&t.id)
		if err != nil {
			return nil, err
		}
	}
	if t.id != 0 {
		w.tenants[name] = t
	}
	return t, nil
}

// stream returns the head of s, the zero one if there is none.
func (w *writer) stream(key streamKey) (streamHead, error) {
	if head, ok := w.streams[key]; ok || key.tenant == 0 {
		return head, nil
	}
	var head streamHead
	err := w.queryRow(findStream, key.tenant, key.stream.Type, key.stream.ID).Scan(&head.id, &head.version)
	if errors.Is(err, sql.ErrNoRows) {
		return streamHead{}, nil
	}
	return head, err
}

// findStream finds a stream and its version.
const findStream = `SELECT id, (SELECT coalesce(max(version), 0) FROM event WHERE stream = s.id)
FROM stream s WHERE tenant = ? AND type = ? AND name = ?`

// one is that of reader.
func (w *writer) one(_ context.Context, query string, args, to []any) (bool, error) {
	err := w.queryRow(query, args...).Scan(to...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each is that of reader.
func (w *writer) each(ctx context.Context, query string, args []any, add func(*sql.Rows) (bool, error)) error {
	stmt, err := w.stmt(query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return err
	}
	return eachOf(ctx, stmt, args, add)
}
