package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/evolvego/evolve/store"
)

// Update calls do with a transaction of the file, in which do makes what belongs
// together: its own tables by SQL, and appends, snapshots and checkpoints. If do
// returns nil, all of it is committed, and on the disk when Update returns. If do
// returns an error or panics, nothing of it was made, and Update returns that error
// as it is.
//
// A projection that keeps its rows and its checkpoint so handles each event
// exactly once: after a crash the file has both or neither.
//
// The transaction has the writer of the store for itself. Every other write waits
// until do returns, so do must be short, and must not call what writes of the
// store: it would wait for itself. Where the goroutine of do makes such a call, also
// through a runner, it fails at once with [ErrInUpdate]. Update waits for its turn until
// ctx ends, and then do is not called. After another error than that of do, nobody knows whether
// it was committed.
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
		// Here and not by the writer, so that a panic is the caller's.
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

// ErrInUpdate is what every write of a store, and Close, returns within the function of an
// [Store.Update] of the same file. It would wait for that Update to end, and so for
// itself. It matches [store.ErrInvalid]: nothing was written. Use the methods of the
// [Tx] instead, or call after the Update.
var ErrInUpdate = fmt.Errorf("%w: sqlite: a write of the store within its own Update would wait for itself: use the methods of the Tx, or write after the Update",
	store.ErrInvalid)

// inUpdate reports whether the goroutine that asks is that of an Update.
func (b *backend) inUpdate() bool {
	g := b.updating.Load()
	return g != 0 && g == goroutine()
}

// update is an Update, a write that is alone in its group.
type update struct {
	enter chan *writer  // gets the writer when the transaction has begun
	leave chan bool     // gets whether to commit
	gone  chan struct{} // closed if nobody waits for enter any more
}

func (*update) count() int { return 1 }

// errGivenUp rolls back a transaction that is not wanted. Nobody sees it.
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

// call calls do with tx and tells the writer how it ended.
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

// Tx is the transaction of an [Store.Update], for its store's tenant. It is not
// safe for concurrent use, and of no use when the Update is done.
//
// After a statement has failed, so does all that follows, and the Update: SQLite
// may have ended the transaction with it. What a method refuses, such as an append
// with a *[store.ConflictError], has changed nothing, and the transaction can go
// on.
type Tx struct {
	store  *Store
	writer *writer
	ctx    context.Context //nolint:containedctx // the values of that of Update, which does not end it
	rows   []*sql.Rows
	failed error
	done   bool
}

// Exec executes SQL, one statement or several. It must leave the tables of the
// store alone (see the package comment; what is named after the caller's own
// application is safe), and must not begin, commit or roll back. A statement with
// arguments is prepared once, and kept for the next call with the same text.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	result, err := t.writer.theirs.exec(query, args)
	return result, t.fail(err)
}

// Query executes SQL that returns rows, and sees what the transaction has made. The
// rows must be read to their end or closed before the next call, and are closed
// after the Update.
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
		// Names that are met here may never be committed, so they are not kept.
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

// do calls job with the writer. An error of it is one of SQLite.
func (t *Tx) do(job func(w *writer) error) error {
	if err := t.ready(); err != nil {
		return err
	}
	return t.fail(job(t.writer))
}

// ready returns why nothing can be done. Where SQL of the caller has ended the
// transaction, each statement would be committed by itself.
func (t *Tx) ready() error {
	if t.done {
		return store.ErrTxDone
	}
	if t.failed == nil && t.writer.autocommit() {
		_ = t.fail(errors.New("transaction was ended by its own SQL"))
	}
	return t.failed
}

// fail keeps err, if there is one, for all that follows.
func (t *Tx) fail(err error) error {
	if err == nil {
		return nil
	}
	t.failed = fileError(t.store.backend.path, err)
	return t.failed
}

// closeRows closes what do has left open, which would keep the connection.
func (t *Tx) closeRows() error {
	for _, rows := range t.rows {
		if err := rows.Close(); err != nil {
			return fmt.Errorf("sqlite: close rows: %w", err)
		}
	}
	return nil
}
