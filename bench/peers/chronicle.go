package main

import (
	"context"
	"errors"

	"github.com/DeluxeOwl/chronicle"
	"github.com/DeluxeOwl/chronicle/aggregate"
	"github.com/DeluxeOwl/chronicle/event"
	"github.com/DeluxeOwl/chronicle/eventlog"
	"github.com/DeluxeOwl/chronicle/version"
)

// chronicleDriver has a repository over an event log. Chronicle encodes events even in
// memory.
type chronicleDriver struct {
	closer

	accounts *aggregate.ESRepo[chronicleID, chronicleEvent, *chronicleAccount]
}

func newChronicle(ctx context.Context, log event.Log, end closer) (driver, error) {
	accounts, err := chronicle.NewEventSourcedRepository(log, func() *chronicleAccount { return new(chronicleAccount) }, nil,
		aggregate.AnyEventRegistry(chronicle.NewAnyEventRegistry()))
	if err != nil {
		return nil, err
	}
	d := &chronicleDriver{closer: end, accounts: accounts}
	if err := d.warm(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// warm loads a stream with an event of each type. In v0.5.0, a repository adds an event
// type to a map, without a lock, when it first reads one. If two goroutines load their
// first events at the same time, the process crashes.
func (d *chronicleDriver) warm(ctx context.Context) error {
	s := stream{name: "warm"}
	if err := d.open(ctx, s); err != nil {
		return err
	}
	for range 2 { // the second one reads the first
		if err := d.deposit(ctx, s, 1); err != nil {
			return err
		}
	}
	return nil
}

func chronicleMemory() row {
	return row{name: "chronicle", open: func(ctx context.Context, _ string) (driver, error) {
		return newChronicle(ctx, eventlog.NewMemory(), nothing)
	}}
}

func chronicleSQLite(sync string) row {
	return row{name: "chronicle", open: func(ctx context.Context, at string) (driver, error) {
		db, err := pooled("sqlite3", sqliteSource("sqlite3", at, sync))
		if err != nil {
			return nil, err
		}
		log, err := eventlog.NewSqlite(db)
		if err != nil {
			return nil, err
		}
		return newChronicle(ctx, log, db.Close)
	}}
}

func chroniclePostgres() row {
	return row{name: "chronicle", open: func(ctx context.Context, at string) (driver, error) {
		db, err := pooled("pgx", at)
		if err != nil {
			return nil, err
		}
		log, err := eventlog.NewPostgres(db)
		if err != nil {
			return nil, err
		}
		return newChronicle(ctx, log, db.Close)
	}}
}

type chronicleID string

func (id chronicleID) String() string { return string(id) }

type chronicleEvent interface {
	event.Any
	isChronicle()
}

type (
	chronicleOpened    Opened
	chronicleDeposited Deposited
)

func (*chronicleOpened) EventName() string    { return "account/opened" }
func (*chronicleDeposited) EventName() string { return "account/deposited" }
func (*chronicleOpened) isChronicle()         {}
func (*chronicleDeposited) isChronicle()      {}

type chronicleAccount struct {
	aggregate.Base

	id chronicleID
	account
}

func (a *chronicleAccount) ID() chronicleID { return a.id }

func (*chronicleAccount) EventFuncs() event.FuncsFor[chronicleEvent] {
	return event.FuncsFor[chronicleEvent]{
		func() chronicleEvent { return new(chronicleOpened) },
		func() chronicleEvent { return new(chronicleDeposited) },
	}
}

func (a *chronicleAccount) Apply(e chronicleEvent) error {
	switch e := e.(type) {
	case *chronicleOpened:
		a.opened(e.Owner)
	case *chronicleDeposited:
		a.deposited(e.Amount)
	}
	return nil
}

func (d *chronicleDriver) save(ctx context.Context, a *chronicleAccount) error {
	_, _, err := d.accounts.Save(ctx, a)
	return err
}

func (d *chronicleDriver) open(ctx context.Context, stream stream) error {
	a, err := d.accounts.Get(ctx, chronicleID(stream.name))
	switch {
	case errors.Is(err, aggregate.ErrRootNotFound):
		a = &chronicleAccount{id: chronicleID(stream.name)}
	case err != nil:
		return err
	}
	if err := a.mayOpen(); err != nil {
		return err
	}
	if err := aggregate.RecordEvent(a, chronicleEvent(&chronicleOpened{Owner: owner})); err != nil {
		return err
	}
	return d.save(ctx, a)
}

func (d *chronicleDriver) deposit(ctx context.Context, stream stream, amount int64) error {
	a, err := d.accounts.Get(ctx, chronicleID(stream.name))
	if err != nil {
		return err
	}
	if err := a.mayDeposit(amount); err != nil {
		return err
	}
	a.id = chronicleID(stream.name)
	if err := aggregate.RecordEvent(a, chronicleEvent(&chronicleDeposited{Amount: amount, Ref: ref})); err != nil {
		return err
	}
	return d.save(ctx, a)
}

func (d *chronicleDriver) replay(ctx context.Context, stream stream) (account, error) {
	a, err := d.accounts.Get(ctx, chronicleID(stream.name))
	if err != nil {
		return account{}, err
	}
	return a.account, nil
}

func (d *chronicleDriver) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	a := &chronicleAccount{id: chronicleID(stream.name)}
	if err := aggregate.RecordEvent(a, chronicleEvent(&chronicleOpened{Owner: owner})); err != nil {
		return nil, err
	}
	return func(k int) error {
		for range k {
			if err := aggregate.RecordEvent(a, chronicleEvent(&chronicleDeposited{Amount: 1, Ref: ref})); err != nil {
				return err
			}
		}
		return d.save(ctx, a)
	}, d.save(ctx, a)
}

func (*chronicleDriver) conflict(err error) bool {
	var conflict *version.ConflictError
	return errors.As(err, &conflict) || unique(err)
}
