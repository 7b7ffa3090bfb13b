package main

import (
	"context"
	"errors"
	"sync"

	"github.com/hallgren/eventsourcing"
	"github.com/hallgren/eventsourcing/aggregate"
	"github.com/hallgren/eventsourcing/core"
	"github.com/hallgren/eventsourcing/eventstore/memory"
	"github.com/hallgren/eventsourcing/eventstore/sql"
)

// hallgrenDriver uses the library's functions Load and Save over an event store. The
// library encodes events even in memory.
type hallgrenDriver struct {
	closer

	store core.EventStore
}

// registered registers the type of the aggregate with the library, once per process.
var registered = sync.OnceFunc(func() { aggregate.Register(&hallgrenAccount{}) })

func newHallgren(store core.EventStore, end func()) driver {
	registered()
	return &hallgrenDriver{store: store, closer: func() error { end(); return nil }}
}

func hallgrenMemory() row {
	return row{name: "hallgren", open: func(context.Context, string) (driver, error) {
		store := memory.Create()
		return newHallgren(store, store.Close), nil
	}}
}

func hallgrenSQLite(sync string) row {
	return row{name: "hallgren", open: func(_ context.Context, at string) (driver, error) {
		db, err := pooled("sqlite3", sqliteSource("sqlite3", at, sync))
		if err != nil {
			return nil, err
		}
		store, err := sql.NewSQLiteSingelWriter(db)
		if err != nil {
			return nil, err
		}
		return newHallgren(store, store.Close), nil
	}}
}

func hallgrenPostgres() row {
	return row{name: "hallgren", open: func(_ context.Context, at string) (driver, error) {
		db, err := pooled("postgres", at)
		if err != nil {
			return nil, err
		}
		store, err := sql.NewPostgres(db)
		if err != nil {
			return nil, err
		}
		return newHallgren(store, store.Close), nil
	}}
}

type hallgrenAccount struct {
	aggregate.Root
	account
}

func (*hallgrenAccount) Register(r aggregate.RegisterFunc) { r(&Opened{}, &Deposited{}) }

func (a *hallgrenAccount) Transition(e eventsourcing.Event) {
	switch e := e.Data().(type) {
	case *Opened:
		a.opened(e.Owner)
	case *Deposited:
		a.deposited(e.Amount)
	}
}

func (d *hallgrenDriver) open(ctx context.Context, stream stream) error {
	var a hallgrenAccount
	if err := aggregate.Load(ctx, d.store, stream.name, &a); err != nil && !errors.Is(err, eventsourcing.ErrAggregateNotFound) {
		return err
	}
	if err := a.mayOpen(); err != nil {
		return err
	}
	return d.begin(&a, stream)
}

// begin opens an account that has no events.
func (d *hallgrenDriver) begin(a *hallgrenAccount, stream stream) error {
	if err := a.SetID(stream.name); err != nil {
		return err
	}
	aggregate.TrackChange(a, &Opened{Owner: owner})
	return aggregate.Save(d.store, a)
}

func (d *hallgrenDriver) deposit(ctx context.Context, stream stream, amount int64) error {
	var a hallgrenAccount
	if err := aggregate.Load(ctx, d.store, stream.name, &a); err != nil {
		return err
	}
	if err := a.mayDeposit(amount); err != nil {
		return err
	}
	aggregate.TrackChange(&a, &Deposited{Amount: amount, Ref: ref})
	return aggregate.Save(d.store, &a)
}

func (d *hallgrenDriver) replay(ctx context.Context, stream stream) (account, error) {
	var a hallgrenAccount
	err := aggregate.Load(ctx, d.store, stream.name, &a)
	return a.account, err
}

func (d *hallgrenDriver) appender(_ context.Context, stream stream) (func(k int) error, error) {
	var a hallgrenAccount
	return func(k int) error {
		for range k {
			aggregate.TrackChange(&a, &Deposited{Amount: 1, Ref: ref})
		}
		return aggregate.Save(d.store, &a)
	}, d.begin(&a, stream)
}

func (*hallgrenDriver) conflict(err error) bool {
	return errors.Is(err, eventsourcing.ErrConcurrency) || errors.Is(err, core.ErrConcurrency) || unique(err)
}
