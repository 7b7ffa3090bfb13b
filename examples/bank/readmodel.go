package main

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// In a store with SQL the statements are a table, which a projection updates in the
// transaction of its checkpoint. Both databases understand these statements.
const (
	createStatements = `CREATE TABLE IF NOT EXISTS statement (
		account TEXT PRIMARY KEY, owner TEXT NOT NULL, status BIGINT NOT NULL,
		deposited BIGINT NOT NULL, withdrawn BIGINT NOT NULL, sent BIGINT NOT NULL, refunded BIGINT NOT NULL,
		received BIGINT NOT NULL, declined BIGINT NOT NULL, delivered BIGINT NOT NULL, events BIGINT NOT NULL)`

	addToStatement = `INSERT INTO statement
		(account, owner, status, deposited, withdrawn, sent, refunded, received, declined, delivered, events)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (account) DO UPDATE SET
		owner = CASE WHEN excluded.owner = '' THEN statement.owner ELSE excluded.owner END,
		status = CASE WHEN excluded.status > statement.status THEN excluded.status ELSE statement.status END,
		deposited = statement.deposited + excluded.deposited, withdrawn = statement.withdrawn + excluded.withdrawn,
		sent = statement.sent + excluded.sent, refunded = statement.refunded + excluded.refunded,
		received = statement.received + excluded.received, declined = statement.declined + excluded.declined,
		delivered = statement.delivered + excluded.delivered, events = statement.events + excluded.events`

	readStatements = `SELECT account, owner, status, deposited, withdrawn, sent, refunded, received, declined, delivered, events
		FROM statement`
)

// movements is the source of the events of accounts, as statements read them.
func movements() codec.Source[recorded] {
	return codec.Events(codec.From(streamType, account.Codec(), func(r *store.Recorded, event account.Event) recorded {
		return recorded{Account: r.Stream.ID, Position: r.Position, ID: r.ID, Event: event}
	}))
}

// addition returns what an event adds to the statement of its account.
func addition(e recorded) []any {
	s := entry(statement{}, e.Event)
	return []any{
		e.Account, s.Owner, int(s.Status), s.Deposited, s.Withdrawn, s.Sent, s.Refunded, s.Received, s.Declined, s.Delivered, s.Events,
	}
}

// rows is the common part of the rows of both databases.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}

func readAll(from rows) (map[string]statement, error) {
	all := map[string]statement{}
	for from.Next() {
		var id string
		var s statement
		err := from.Scan(&id, &s.Owner, &s.Status, &s.Deposited, &s.Withdrawn, &s.Sent, &s.Refunded, &s.Received, &s.Declined, &s.Delivered, &s.Events)
		if err != nil {
			return nil, err
		}
		all[id] = s
	}
	return all, from.Err()
}

func sqliteStatements(ctx context.Context, st *sqlite.Store, shown *progress) (all map[string]statement, err error) {
	p := projection.New(st, st, "statements", movements(), func(_ context.Context, tx *sqlite.Tx, e projection.Event[recorded]) error {
		_, err := tx.Exec(addToStatement, addition(e.Event)...)
		return err
	}).WithSetup(func(_ context.Context, tx *sqlite.Tx) error {
		_, err := tx.Exec(createStatements)
		return err
	})
	if err := catchUp(ctx, st, p, shown); err != nil {
		return nil, err
	}
	err = st.Update(ctx, func(tx *sqlite.Tx) error {
		found, err := tx.Query(readStatements)
		if err != nil {
			return err
		}
		defer found.Close()
		all, err = readAll(found)
		return err
	})
	return all, err
}

func postgresStatements(ctx context.Context, st *postgres.Store, shown *progress) (all map[string]statement, err error) {
	p := projection.New(st, st, "statements", movements(), func(_ context.Context, tx *postgres.Tx, e projection.Event[recorded]) error {
		tx.Queue(addToStatement, addition(e.Event)...) // all statements of a transaction are sent together
		return nil
	}).WithSetup(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, createStatements)
		return err
	})
	if err := catchUp(ctx, st, p, shown); err != nil {
		return nil, err
	}
	err = st.Update(ctx, func(tx *postgres.Tx) error {
		found, err := tx.Query(ctx, readStatements)
		if err != nil {
			return err
		}
		defer found.Close()
		all, err = readAll(found)
		return err
	})
	return all, err
}

// catchUp runs a projection until it has handled the whole log, and shows its progress. A
// service runs a projection all the time, in a goroutine of its own.
func catchUp(ctx context.Context, log store.Log, p interface {
	Run(ctx context.Context) error
	WaitFor(ctx context.Context, position uint64, keys ...string) error
	Progress() projection.Progress
}, shown *progress,
) error {
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop(p.Run(ctx)) // and so ends the wait
	}()
	err = shown.watch("statements", func() (position, _ uint64) { return p.Progress().Position, head }, func() error {
		return p.WaitFor(ctx, head)
	})
	stop(nil)
	<-ended
	return err
}
