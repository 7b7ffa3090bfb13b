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
// also has the store's methods for writing. It is not safe for concurrent use. After
// the Update, the methods of the store return [store.ErrTxDone], and those of pgx
// [pgx.ErrTxClosed].
//
// The first append locks the log until the transaction ends, because positions are in
// commit order. Until then, the appends of all tenants (with [WithLogPerTenant], of
// this tenant) wait, and fail after ten seconds. So append last, and do nothing slow
// afterwards. The server settings idle_in_transaction_session_timeout and
// transaction_timeout end a transaction that takes too long. If other transactions
// append first and then want locks that this transaction holds, they can deadlock with
// it; the server then ends one of them.
//
// If a method of the store refuses a call, for example with a *[store.ConflictError],
// the transaction is unchanged. An error from the server aborts the transaction: every
// later call fails too.
type Tx struct {
	pgx.Tx

	store    *Store
	ctx      context.Context //nolint:containedctx // that of Update: the methods of store.Tx take none
	queue    pgx.Batch
	sent     int   // number of queued statements that were sent
	failed   error // the error of a queued statement
	appended bool
	done     bool
}

// Update calls do with a transaction, and commits what do wrote if do returns nil. If
// do returns an error or panics, nothing is written, and the error or the panic reaches
// the caller unchanged. See [store.Tx].
//
// The transaction has the isolation level read committed. Each statement uses ctx; if
// ctx has already ended, Update does not call do. Update takes a connection of the
// pool, so do must not wait for another connection. Nobody sees the writes, and
// subscriptions are not notified, before the commit. After an error that did not come
// from do, the outcome is unknown, unless the error is definite ([store.Definite]).
func (s *Store) Update(ctx context.Context, do func(tx *Tx) error) error {
	b := s.backend
	var failure error // the error of do
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
				failure = t.failed // the error that do returned is only a consequence
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

// WithTx returns a Tx of the store for tx, a transaction in the same database that you
// have begun and that you end. The store's statements use ctx. If you queue statements,
// call [Tx.Flush] before you commit. The isolation level should be read committed; at a
// higher level, an append that comes after a concurrent one returns an *[Error] that
// matches [ErrBusy]. The store does not see whether a standby has confirmed your
// commit. After Close, the Tx cannot be used.
func (s *Store) WithTx(ctx context.Context, tx pgx.Tx) *Tx { return &Tx{Tx: tx, store: s, ctx: ctx} }

// end rolls back what was not committed.
func (t *Tx) end(ctx context.Context) {
	t.done = true
	t.rollback(ctx)
}

func (t *Tx) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = t.Tx.Rollback(ctx) // a no-op if the transaction has ended; if it fails, the connection is closed
}

// call calls do, which executes statements of the store.
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
// checkpoint, so that no other writer moves the checkpoint before the transaction ends.
func (t *Tx) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	return t.call(func(ctx context.Context, b *backend) error {
		return b.saveCheckpoint(ctx, t.Tx, t.store.tenant, name, from, to)
	})
}

// Queue queues a statement. All queued statements are sent later in one pipeline: at
// the end of the Update, before your next statement, or by [Tx.Flush]. So many
// statements cost one round trip. If one fails, that call returns a *[QueueError].
func (t *Tx) Queue(sql string, args ...any) { t.queue.Queue(sql, args...) }

// QueueError reports a statement of [Tx.Queue] that failed. The transaction is aborted.
type QueueError struct {
	Index int    // number of statements that were queued before it in the transaction
	SQL   string // without its arguments
	Err   error  // the details
}

// Error returns a message with the statement and the details.
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

// Queued returns the number of statements queued so far in the transaction. Use it to
// find the statement for the Index of a [QueueError].
func (t *Tx) Queued() int { return t.sent + t.queue.Len() }

// Flush sends the queued statements. If one fails, the transaction is rolled back.
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
			if unprepared, ok := errors.AsType[pgx.ErrPreprocessingBatch](err); ok { // before any statement was sent
				failed.Index, failed.SQL = first+firstOf(batch.QueuedQueries, unprepared.SQL()), unprepared.SQL()
			}
			_ = results.Close() // returns the same error
			t.failed = failed
			t.rollback(t.ctx)
			return failed
		}
	}
	return results.Close()
}

// firstOf returns the index of the first of queries whose SQL is sql.
func firstOf(queries []*pgx.QueuedQuery, sql string) int {
	for i, q := range queries {
		if q.SQL == sql {
			return i
		}
	}
	return 0
}

var errEnds = errors.New("postgres: Update ends the transaction, or the caller that has begun it")

// Commit returns an error, because Update commits.
func (t *Tx) Commit(context.Context) error { return errEnds }

// Rollback returns an error: to roll back, return an error of your own from the function
// that Update calls.
func (t *Tx) Rollback(context.Context) error { return errEnds }

// Begin begins a nested transaction, using a savepoint, after sending the queued
// statements.
func (t *Tx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := t.Flush(); err != nil {
		return nil, err
	}
	return t.Tx.Begin(ctx)
}

// Exec executes SQL, after sending the queued statements.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.Flush(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return t.Tx.Exec(ctx, sql, args...)
}

// Query executes SQL that returns rows, after sending the queued statements.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.Flush(); err != nil {
		return nil, err
	}
	return t.Tx.Query(ctx, sql, args...)
}

// QueryRow executes SQL that returns a row, after sending the queued statements.
func (t *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	_ = t.Flush() // if it fails, the row returns pgx.ErrTxClosed
	return t.Tx.QueryRow(ctx, sql, args...)
}

// CopyFrom copies rows into a table, after sending the queued statements.
func (t *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := t.Flush(); err != nil {
		return 0, err
	}
	return t.Tx.CopyFrom(ctx, table, columns, rows)
}

// SendBatch sends a batch, after sending the queued statements.
func (t *Tx) SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults {
	_ = t.Flush() // if it fails, the results return pgx.ErrTxClosed
	return t.Tx.SendBatch(ctx, batch)
}
