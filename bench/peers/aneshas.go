package main

import (
	"context"
	"errors"

	"github.com/aneshas/eventstore"
	"github.com/aneshas/eventstore/aggregate"
	"gorm.io/gorm/logger"
)

// aneshasDriver has an aggregate store over gorm, which the library opens itself.
type aneshasDriver struct {
	closer

	events   *eventstore.EventStore
	accounts *aggregate.Store[*aneshasAccount]
}

func newAneshas(where eventstore.Option) (driver, error) {
	store, err := eventstore.New(eventstore.NewJSONEncoder(Opened{}, Deposited{}), where)
	if err != nil {
		return nil, err
	}
	store.DB.Logger = logger.Discard
	db, err := store.DB.DB()
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return &aneshasDriver{closer: store.Close, events: store, accounts: aggregate.NewStore[*aneshasAccount](store)}, nil
}

func aneshasSQLite(sync string) row {
	return row{name: "aneshas", open: func(_ context.Context, at string) (driver, error) {
		return newAneshas(eventstore.WithSQLiteDB(sqliteSource("sqlite3", at, sync)))
	}}
}

func aneshasPostgres() row {
	return row{name: "aneshas", open: func(_ context.Context, at string) (driver, error) {
		return newAneshas(eventstore.WithPostgresDB(at))
	}}
}

type aneshasID string

func (id aneshasID) String() string { return string(id) }

type aneshasAccount struct {
	aggregate.Root[aneshasID]
	account
}

func newAneshasAccount(id string) *aneshasAccount {
	a := &aneshasAccount{}
	a.ID = aneshasID(id)
	a.Rehydrate(a)
	return a
}

// OnOpened and OnDeposited are found by their names.
func (a *aneshasAccount) OnOpened(e Opened)       { a.opened(e.Owner) }
func (a *aneshasAccount) OnDeposited(e Deposited) { a.deposited(e.Amount) }

func (d *aneshasDriver) open(ctx context.Context, stream stream) error {
	a := newAneshasAccount(stream.name)
	if err := d.accounts.ByID(ctx, stream.name, a); err != nil && !errors.Is(err, aggregate.ErrAggregateNotFound) {
		return err
	}
	if err := a.mayOpen(); err != nil {
		return err
	}
	a.Apply(Opened{Owner: owner})
	return d.accounts.Save(ctx, a)
}

func (d *aneshasDriver) deposit(ctx context.Context, stream stream, amount int64) error {
	a := newAneshasAccount(stream.name)
	return aggregate.Exec(ctx, d.accounts, a, func(context.Context) error {
		if err := a.mayDeposit(amount); err != nil {
			return err
		}
		a.Apply(Deposited{Amount: amount, Ref: ref})
		return nil
	})
}

func (d *aneshasDriver) replay(ctx context.Context, stream stream) (account, error) {
	a := newAneshasAccount(stream.name)
	err := d.accounts.ByID(ctx, stream.name, a)
	return a.account, err
}

func (d *aneshasDriver) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	id, version := stream.name, 0
	add := func(k int, event any) error {
		batch := make([]eventstore.EventToStore, k)
		for i := range batch {
			batch[i].Event = event
		}
		if err := d.events.AppendStream(ctx, id, version, batch); err != nil {
			return err
		}
		version += k
		return nil
	}
	return func(k int) error { return add(k, Deposited{Amount: 1, Ref: ref}) }, add(1, Opened{Owner: owner})
}

func (*aneshasDriver) conflict(err error) bool {
	return errors.Is(err, eventstore.ErrConcurrencyCheckFailed) || unique(err)
}
