package main

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/modernice/goes/aggregate"
	"github.com/modernice/goes/aggregate/repository"
	"github.com/modernice/goes/backend/postgres"
	"github.com/modernice/goes/codec"
	"github.com/modernice/goes/event"
	"github.com/modernice/goes/event/eventstore"
)

// goesDriver has a typed repository over an event store.
type goesDriver struct {
	closer

	store    event.Store
	accounts *repository.TypedRepository[*goesAccount]
}

func newGoes(store event.Store, end closer) driver {
	return &goesDriver{end, store, repository.Typed(repository.New(store), newGoesAccount)}
}

func goesMemory() row {
	return row{name: "goes", open: func(context.Context, string) (driver, error) {
		return newGoes(eventstore.New(), nothing), nil
	}}
}

func goesPostgres() row {
	return row{name: "goes", open: func(ctx context.Context, at string) (driver, error) {
		types := codec.New()
		codec.Register[Opened](types, "opened")
		codec.Register[Deposited](types, "deposited")
		pool, err := pgxPool(ctx, at)
		if err != nil {
			return nil, err
		}
		store := postgres.NewEventStore(types, postgres.Pool(pool))
		return newGoes(store, closePool(pool)), store.Connect(ctx)
	}}
}

type goesAccount struct {
	*aggregate.Base
	account
}

func newGoesAccount(id uuid.UUID) *goesAccount {
	a := &goesAccount{Base: aggregate.New("account", id)}
	event.ApplyWith(a, func(e event.Of[Opened]) { a.opened(e.Data().Owner) }, "opened")
	event.ApplyWith(a, func(e event.Of[Deposited]) { a.deposited(e.Data().Amount) }, "deposited")
	return a
}

func (d *goesDriver) open(ctx context.Context, stream stream) error {
	return d.accounts.Use(ctx, uuid.UUID(stream.id), func(a *goesAccount) error {
		if err := a.mayOpen(); err != nil {
			return err
		}
		aggregate.Next(a, "opened", Opened{Owner: owner})
		return nil
	})
}

func (d *goesDriver) deposit(ctx context.Context, stream stream, amount int64) error {
	return d.accounts.Use(ctx, uuid.UUID(stream.id), func(a *goesAccount) error {
		if err := a.mayDeposit(amount); err != nil {
			return err
		}
		aggregate.Next(a, "deposited", Deposited{Amount: amount, Ref: ref})
		return nil
	})
}

func (d *goesDriver) replay(ctx context.Context, stream stream) (account, error) {
	a, err := d.accounts.Fetch(ctx, uuid.UUID(stream.id))
	if err != nil {
		return account{}, err
	}
	return a.account, nil
}

func (d *goesDriver) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	id, version := uuid.UUID(stream.id), 1
	first := event.New("opened", Opened{Owner: owner}, event.Aggregate(id, "account", 1)).Any()
	return func(k int) error {
		batch := make([]event.Event, k)
		for i := range batch {
			batch[i] = event.New("deposited", Deposited{Amount: 1, Ref: ref}, event.Aggregate(id, "account", version+i+1)).Any()
		}
		if err := d.store.Insert(ctx, batch...); err != nil {
			return err
		}
		version += k
		return nil
	}, d.store.Insert(ctx, first)
}

// conflict compares texts too, because the memory store does not export its error.
func (*goesDriver) conflict(err error) bool {
	return aggregate.IsConsistencyError(err) || unique(err) || strings.Contains(err.Error(), "aggregate version already exists")
}
