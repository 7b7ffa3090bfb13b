package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/evolvego/evolve/store"
)

// Update calls do with a transaction of the file. In it, do can write your own tables
// with SQL, append events, and save snapshots, documents and checkpoints. If do returns
// nil, Update commits all of it, and it is on the disk when Update returns nil. If do
// returns an error or panics, nothing is written, and the error or the panic reaches
// the caller unchanged.
//
// A projection that saves its rows and its checkpoint in one Update handles each event
// exactly once, because after a crash the file has both or neither.
//
// All other writes to the file wait until do returns, so keep do short. In do, do not
// write with the methods of the store: they would wait for this Update to end. If the
// goroutine that runs do calls one, directly or through a runner, the call fails at
// once with [ErrInUpdate]. Reads are allowed, but do not see what the transaction has
// written.
//
// Update waits for its turn until ctx ends; if ctx ends first, it does not call do. If
// Update returns an error that did not come from do and does not match
// [store.ErrRefused], the transaction may or may not have committed.
func (s *Store) Update(ctx context.Context, do func(tx *Tx) error) error {
	if err := s.backend.writable(ctx); err != nil {
		return err
	}
	u := &update{enter: make(chan *writer), leave: make(chan bool), gone: make(chan struct{})}
	w := s.backend.writer
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	r, err := w.enqueue(ctx, u)
	if err != nil {
		return err
	}
	select {
	case in := <-u.enter:
		// The caller's goroutine calls do, so that a panic in do reaches the caller.
		if err := u.call(&Tx{store: s, writer: in, ctx: context.WithoutCancel(ctx)}, do); err != nil {
			<-r.done
			return err
		}
		<-r.done
		return r.failure
	case <-ctx.Done():
		r.taken.Store(true)
		close(u.gone)
		return ctx.Err()
	case <-r.done:
		return r.failure
	case <-w.stopped:
		return store.ErrClosed
	}
}

// ErrInUpdate is the error of a write to the store, or of Close, that is called inside
// an [Store.Update] of the same file by the same goroutine. The call would wait for
// that Update to end, and so for itself. Use the methods of the [Tx] instead, or call
// it after the Update. It matches [store.ErrInvalid], because nothing was written.
var ErrInUpdate = fmt.Errorf("%w: sqlite: a write to the store from within its own Update would wait for itself: use the methods of the Tx, or write after the Update",
	store.ErrInvalid)

// inUpdate reports whether the calling goroutine is inside an Update.
func (b *backend) inUpdate() bool {
	g := b.updating.Load()
	return g != 0 && g == goroutine()
}

// update is an Update, a write that is alone in its group.
type update struct {
	enter chan *writer  // receives the writer when the transaction has begun
	leave chan bool     // receives whether to commit
	gone  chan struct{} // closed when nobody waits for enter anymore
}

func (*update) count() int { return 1 }

// errGivenUp rolls back a transaction whose caller does not want it. No caller sees it.
var errGivenUp = errors.New("given up")

func (u *update) do(w *writer) error {
	select {
	case u.enter <- w:
		if <-u.leave {
			return nil
		}
	case <-u.gone:
	}
	return errGivenUp
}

// call calls do with tx, and tells the writer whether to commit.
func (u *update) call(tx *Tx, do func(tx *Tx) error) (err error) {
	commit := false
	tx.store.backend.updating.Store(goroutine())
	defer func() {
		tx.store.backend.updating.Store(0)
		tx.done = true
		if open := tx.closeRows(); err == nil {
			err = open
		}
		u.leave <- commit && err == nil
	}()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.ready(); err != nil {
		return err
	}
	commit = true
	return nil
}

// Tx is the transaction of an [Store.Update], for the tenant of its store. It is not
// safe for concurrent use. After the Update, its methods return [store.ErrTxDone].
//
// If a statement fails, every later call of the Tx fails too, and so does the Update,
// because SQLite may have ended the transaction. If a method refuses a call, for
// example an append with a *[store.ConflictError], it changes nothing, and the
// transaction can continue.
type Tx struct {
	store  *Store
	writer *writer
	ctx    context.Context //nolint:containedctx // the values of that of Update, which does not end it
	rows   []*sql.Rows
	failed error
	done   bool
}

// Exec executes SQL: one statement, or several without arguments. The SQL must not
// write to the tables of the store, and must not begin, commit or roll back. Name your
// own tables after your application, so that they do not collide with tables of later
// versions of this package. A statement with arguments is prepared once and kept for
// the next call with the same text. Errors of SQLite are *[SQLError]s.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	result, err := t.writer.theirs.exec(query, args)
	return result, t.fail(err)
}

// Query executes SQL that returns rows. It sees what the transaction has written. Close
// the rows when you are done; Update closes any that are left.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	rows, err := t.writer.theirs.query(t.ctx, query, args)
	if err != nil {
		return nil, t.fail(err)
	}
	t.rows = append(t.rows, rows)
	return rows, nil
}

// Append is [Store.Append] in the transaction.
func (t *Tx) Append(stream store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	return t.AppendClaiming(stream, expected, events, nil)
}

// AppendClaiming is [Store.AppendClaiming] in the transaction.
func (t *Tx) AppendClaiming(
	stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	a, err := t.store.appending(stream, expected, events, claims)
	if err != nil {
		return store.Appended{}, err
	}
	if err := t.write(a); err != nil {
		return store.Appended{}, err
	}
	return a.appended, a.refused
}

// Read is [Store.Read] in the transaction. It sees what the transaction has appended.
func (t *Tx) Read(stream store.Stream, o store.ReadOptions) (page store.Page, err error) {
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := stream.Validate(); err != nil {
		return store.Page{}, err
	}
	err = t.do(func(w *writer) (err error) {
		// Names that are read here may never be committed, so the reader is not kept.
		page, err = newReader(w.conn).streamPage(t.store.tenant, stream, o, math.MaxUint64)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// SaveSnapshot is [Store.SaveSnapshot] in the transaction.
func (t *Tx) SaveSnapshot(snap store.Snapshot) error {
	save, err := t.store.saveSnapshot(snap)
	if err != nil {
		return err
	}
	return t.write(save)
}

// LoadCheckpoint is [Store.LoadCheckpoint] in the transaction.
func (t *Tx) LoadCheckpoint(name string) (store.Checkpoint, error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	l := &loadCheckpoint{tenant: t.store.tenant, name: name}
	if err := t.write(l); err != nil {
		return store.Checkpoint{}, err
	}
	return l.is, nil
}

// SaveCheckpoint is [Store.SaveCheckpoint] in the transaction.
func (t *Tx) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	save, err := t.store.saveCheckpoint(name, from, to)
	if err != nil {
		return err
	}
	if err := t.write(save); err != nil {
		return err
	}
	return save.refused
}

// write makes a write of the store.
func (t *Tx) write(job write) error { return t.do(job.do) }

// do calls job with the writer. An error of job is an error of SQLite and ends the
// transaction.
func (t *Tx) do(job func(w *writer) error) error {
	if err := t.ready(); err != nil {
		return err
	}
	return t.fail(job(t.writer))
}

// ready returns an error if the transaction cannot continue. If SQL of the caller has
// ended the transaction, each further statement would be committed on its own.
func (t *Tx) ready() error {
	if t.done {
		return store.ErrTxDone
	}
	if t.failed == nil && t.writer.autocommit() {
		_ = t.fail(errors.New("transaction was ended by its own SQL"))
	}
	return t.failed
}

// fail returns err with the path. If err is not nil, all later calls return it too.
func (t *Tx) fail(err error) error {
	if err == nil {
		return nil
	}
	t.failed = fileError(t.store.backend.path, err)
	return t.failed
}

// closeRows closes the rows that do has left open, which would keep statements busy.
func (t *Tx) closeRows() error {
	for _, rows := range t.rows {
		if err := rows.Close(); err != nil {
			return fmt.Errorf("sqlite: close rows: %w", err)
		}
	}
	return nil
}
