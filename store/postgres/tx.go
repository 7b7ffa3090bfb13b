package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/evolvego/evolve/store"
)

var (
	_ store.Tx        = (*Tx)(nil)
	_ store.ReadTx    = (*Tx)(nil)
	_ pgx.Tx          = (*Tx)(nil)
	_ store.Documents = (*Store)(nil)
)

// Tx is the transaction of an [Store.Update]. It is a [pgx.Tx] for your own tables, and
// has what the store writes. It is not safe for concurrent use. After the Update, the
// methods of the store return [store.ErrTxDone], and those of pgx [pgx.ErrTxClosed].
//
// The first append locks the log until the transaction ends, because positions are in
// the order of commits. Until then the appends of all tenants (with [WithLogPerTenant],
// of this one) wait, and fail after ten seconds. So append last, and do nothing slow
// afterwards. The server settings idle_in_transaction_session_timeout and
// transaction_timeout end a transaction that takes too long. A transaction that holds
// locks which others want after their own append can deadlock with them; the server
// then ends one of the two.
//
// A refusal of the store, such as a *[store.ConflictError], leaves the transaction as
// it was. An error of the server has aborted it: what follows fails too.
type Tx struct {
	pgx.Tx

	store    *Store
	ctx      context.Context //nolint:containedctx // that of Update: the methods of store.Tx take none
	queue    pgx.Batch
	sent     int   // of what was queued
	failed   error // of what was queued
	appended bool
	done     bool
}

// Update calls do with a transaction, and commits what do wrote if do returns nil. If do
// returns an error or panics, nothing was written, and the error or the panic reaches
// the caller as it is. See [store.Tx].
//
// The transaction has the isolation level read committed. Ctx is that of each statement;
// do is not called if ctx has ended. Update takes a connection of the pool, so do must
// not wait for another one that is lent. What is written is neither seen nor told to
// subscriptions before the commit. After an error that is not that of do, the outcome is
// unknown, unless the error is definite ([store.Definite]).
func (s *Store) Update(ctx context.Context, do func(tx *Tx) error) error {
	b := s.backend
	var failure error // of do
	called, appended := false, false
	err := b.calling(ctx, func(ctx context.Context) error {
		again := func(err error) bool { return !called && (isUnfit(err) || lost(err)) }
		return b.serving(ctx, again, func(ctx context.Context, conn *pgx.Conn) error {
			tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
			if err != nil {
				return err
			}
			called = true
			t := s.WithTx(ctx, tx)
			defer t.end(ctx)
			failure = do(t)
			if t.failed != nil && (failure == nil || errors.Is(failure, pgx.ErrTxClosed)) {
				failure = t.failed // what do saw was only its consequence
			}
			if failure != nil {
				return failure
			}
			if err := t.Flush(); err != nil {
				return err
			}
			appended = t.appended
			return tx.Commit(ctx)
		})
	})
	if failure != nil {
		return failure
	}
	if err == nil && appended {
		b.news.tell([]string{s.tenant})
	}
	return err
}

// WithTx returns the transaction of a store for tx, which the caller has begun in the
// same database and ends. Ctx is that of the statements of the store. Call [Tx.Flush]
// before you commit if you queue statements. The isolation level should be read
// committed; at a higher one an append that others came before is an *[Error] that is
// [ErrBusy]. The store does not see whether a standby has confirmed your commit. After
// Close it cannot be used.
func (s *Store) WithTx(ctx context.Context, tx pgx.Tx) *Tx { return &Tx{Tx: tx, store: s, ctx: ctx} }

// end rolls back what was not committed.
func (t *Tx) end(ctx context.Context) {
	t.done = true
	t.rollback(ctx)
}

func (t *Tx) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = t.Tx.Rollback(ctx) // of what has ended it does nothing; if it fails, the connection is closed
}

// call calls do, which makes statements of the store.
func (t *Tx) call(do func(ctx context.Context, b *backend) error) error {
	if t.done {
		return store.ErrTxDone
	}
	b := t.store.backend
	return b.calling(t.ctx, func(ctx context.Context) error { return do(ctx, b) })
}

// Append is [Store.Append] in the transaction.
func (t *Tx) Append(stream store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	return t.AppendClaiming(stream, expected, events, nil)
}

// AppendClaiming is [Store.AppendClaiming] in the transaction.
func (t *Tx) AppendClaiming(
	stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	a, err := newAppending(t.store.tenant, stream, expected, events, claims)
	if err != nil {
		return store.Appended{}, err
	}
	err = t.call(func(ctx context.Context, b *backend) error { return b.call(ctx, t.Tx, []*appending{a}) })
	if err != nil {
		return store.Appended{}, err
	}
	t.appended = true
	return a.appended, a.refused
}

// Read is [Store.Read] in the transaction.
func (t *Tx) Read(stream store.Stream, o store.ReadOptions) (page store.Page, err error) {
	err = t.call(func(ctx context.Context, b *backend) error {
		page, err = b.readStream(ctx, t.Tx, t.store.tenant, stream, o)
		return err
	})
	return page, err
}

// SaveSnapshot is [Store.SaveSnapshot] in the transaction.
func (t *Tx) SaveSnapshot(snap store.Snapshot) error {
	return t.call(func(ctx context.Context, b *backend) error {
		return b.saveSnapshot(ctx, t.Tx, t.store.tenant, snap)
	})
}

// LoadCheckpoint is [Store.LoadCheckpoint] in the transaction.
func (t *Tx) LoadCheckpoint(name string) (c store.Checkpoint, err error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	err = t.call(func(ctx context.Context, b *backend) error {
		c, err = b.checkpoint(ctx, t.Tx, t.store.tenant, name)
		return err
	})
	return c, err
}

// SaveCheckpoint is [Store.SaveCheckpoint] in the transaction. It locks the row of the
// checkpoint, so that nobody else moves it before the transaction ends.
func (t *Tx) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	return t.call(func(ctx context.Context, b *backend) error {
		return b.saveCheckpoint(ctx, t.Tx, t.store.tenant, name, from, to)
	})
}

// Queue has a statement sent later, in one pipeline with all that is queued: at the end
// of the Update, before the next statement of yours, or by [Tx.Flush]. So many
// statements cost one round trip. A failure is a *[QueueError] then.
func (t *Tx) Queue(sql string, args ...any) { t.queue.Queue(sql, args...) }

// QueueError is a statement of [Tx.Queue] that failed. The transaction is aborted.
type QueueError struct {
	Index int    // of the statement: how many were queued before it in the transaction
	SQL   string // without its arguments
	Err   error  // the details
}

// Error says which statement failed, and the details.
func (e *QueueError) Error() string {
	const most = 100
	sql := e.SQL
	if len(sql) > most {
		sql = sql[:most] + "…"
	}
	return fmt.Sprintf("postgres: queued statement %d (%q): %s", e.Index, sql, e.Err)
}

// Unwrap returns the details.
func (e *QueueError) Unwrap() error { return e.Err }

// Queued returns how many statements were queued in the transaction. It tells what the
// Index of a [QueueError] belongs to.
func (t *Tx) Queued() int { return t.sent + t.queue.Len() }

// Flush sends what is queued. If a statement fails, the transaction is rolled back.
func (t *Tx) Flush() error {
	if t.failed != nil || t.queue.Len() == 0 {
		return t.failed
	}
	batch, first := t.queue, t.sent
	t.queue, t.sent = pgx.Batch{}, t.Queued()
	results := t.Tx.SendBatch(t.ctx, &batch)
	for i, queued := range batch.QueuedQueries {
		if _, err := results.Exec(); err != nil {
			failed := &QueueError{Index: first + i, SQL: queued.SQL, Err: err}
			if unprepared, ok := errors.AsType[pgx.ErrPreprocessingBatch](err); ok { // before any was sent
				failed.Index, failed.SQL = first+firstOf(batch.QueuedQueries, unprepared.SQL()), unprepared.SQL()
			}
			_ = results.Close() // with the same error
			t.failed = failed
			t.rollback(t.ctx)
			return failed
		}
	}
	return results.Close()
}

// firstOf returns the index of the first of queries that is sql.
func firstOf(queries []*pgx.QueuedQuery, sql string) int {
	for i, q := range queries {
		if q.SQL == sql {
			return i
		}
	}
	return 0
}

var errEnds = errors.New("postgres: the transaction ends with its Update, or with whoever has begun it")

// Commit returns an error: Update commits.
func (t *Tx) Commit(context.Context) error { return errEnds }

// Rollback returns an error: to roll back, return an error of your own from the function
// that Update calls.
func (t *Tx) Rollback(context.Context) error { return errEnds }

// Begin begins a transaction in the transaction, by a savepoint, after what is queued.
func (t *Tx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := t.Flush(); err != nil {
		return nil, err
	}
	return t.Tx.Begin(ctx)
}

// Exec executes SQL, after what is queued.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.Flush(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return t.Tx.Exec(ctx, sql, args...)
}

// Query executes SQL that returns rows, after what is queued.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.Flush(); err != nil {
		return nil, err
	}
	return t.Tx.Query(ctx, sql, args...)
}

// QueryRow executes SQL that returns a row, after what is queued.
func (t *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	_ = t.Flush() // if it fails the row is pgx.ErrTxClosed
	return t.Tx.QueryRow(ctx, sql, args...)
}

// CopyFrom copies rows into a table, after what is queued.
func (t *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := t.Flush(); err != nil {
		return 0, err
	}
	return t.Tx.CopyFrom(ctx, table, columns, rows)
}

// SendBatch sends a batch, after what is queued.
func (t *Tx) SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults {
	_ = t.Flush() // if it fails the results are pgx.ErrTxClosed
	return t.Tx.SendBatch(ctx, batch)
}
