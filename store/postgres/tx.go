package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
)

// TxStore writes to the store of a tenant in a transaction of the caller, together
// with the caller's own tables: all is committed, or none. It is made by
// [Store.WithTx], and is as safe for concurrent use as the transaction, which is
// not at all.
//
// The first append locks the log until the transaction ends, since positions are
// in the order of commits: until then all other appends of all tenants (with
// [WithLogPerTenant], of this one) wait, and fail after ten seconds. So append last,
// right before the commit, and let nothing slow happen between them; the server
// settings idle_in_transaction_session_timeout and transaction_timeout end those
// who do. A transaction that has locks that others want after their append can
// deadlock with them, which the server resolves by ending one.
//
// A refusal, such as a *[store.ConflictError], leaves the transaction as it was. Any
// other error has aborted it. What is written is neither seen nor told to
// subscriptions before the commit. The isolation level should be read committed; at a
// higher one an append that others came before is an *[Error] that is ErrBusy.
type TxStore struct {
	store *Store
	tx    pgx.Tx
}

// WithTx returns the store as it writes in tx, a transaction of the same database,
// which the caller ends. After Close it cannot be used.
func (s *Store) WithTx(tx pgx.Tx) *TxStore { return &TxStore{s, tx} }

// Append is [Store.Append] in the transaction.
func (t *TxStore) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return t.AppendClaiming(ctx, stream, expected, events, nil)
}

// AppendClaiming is [Store.AppendClaiming] in the transaction.
func (t *TxStore) AppendClaiming(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	a, err := newAppending(t.store.tenant, stream, expected, events, claims)
	if err != nil {
		return store.Appended{}, err
	}
	b := t.store.backend
	err = b.calling(ctx, func(ctx context.Context) error { return b.call(ctx, t.tx, []*appending{a}) })
	if err != nil {
		return store.Appended{}, err
	}
	return a.appended, a.refused
}

// SaveSnapshot is [Store.SaveSnapshot] in the transaction.
func (t *TxStore) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	b := t.store.backend
	return b.calling(ctx, func(ctx context.Context) error { return b.saveSnapshot(ctx, t.tx, t.store.tenant, snap) })
}

// SaveCheckpoint is [Store.SaveCheckpoint] in the transaction: of a read model that is
// written in it, so that each event is in it once, whatever happens.
func (t *TxStore) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	b := t.store.backend
	return b.calling(ctx, func(ctx context.Context) error {
		return b.saveCheckpoint(ctx, t.tx, t.store.tenant, name, from, to)
	})
}
