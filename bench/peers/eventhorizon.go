package main

import (
	"context"
	"errors"
	"sync"
	"time"

	eh "github.com/looplab/eventhorizon"
	"github.com/looplab/eventhorizon/aggregatestore/events"
	commands "github.com/looplab/eventhorizon/commandhandler/aggregate"
	"github.com/looplab/eventhorizon/eventstore/memory"
	"github.com/looplab/eventhorizon/uuid"
)

// horizonDriver has a command handler over an aggregate store over an event store. The
// store copies events by reflection. No event store for SQL exists.
type horizonDriver struct {
	closer

	events   *memory.EventStore
	accounts *events.AggregateStore
	commands *commands.CommandHandler
}

const horizonType = eh.AggregateType("account")

// horizonRegistered registers the types with the library, once per process.
var horizonRegistered = sync.OnceFunc(func() {
	eh.RegisterAggregate(func(id uuid.UUID) eh.Aggregate {
		return &horizonAccount{AggregateBase: events.NewAggregateBase(horizonType, id)}
	})
	eh.RegisterEventData("opened", func() eh.EventData { return &Opened{} })
	eh.RegisterEventData("deposited", func() eh.EventData { return &Deposited{} })
})

func eventHorizon() row {
	return row{name: "eventhorizon", open: func(context.Context, string) (driver, error) {
		horizonRegistered()
		store, err := memory.NewEventStore()
		if err != nil {
			return nil, err
		}
		accounts, err := events.NewAggregateStore(store)
		if err != nil {
			return nil, err
		}
		handler, err := commands.NewCommandHandler(horizonType, accounts)
		return &horizonDriver{store.Close, store, accounts, handler}, err
	}}
}

type horizonAccount struct {
	*events.AggregateBase
	account
}

type (
	horizonOpen    struct{ ID uuid.UUID }
	horizonDeposit struct {
		ID     uuid.UUID
		Amount int64
	}
)

func (c *horizonOpen) AggregateID() uuid.UUID           { return c.ID }
func (*horizonOpen) AggregateType() eh.AggregateType    { return horizonType }
func (*horizonOpen) CommandType() eh.CommandType        { return "open" }
func (c *horizonDeposit) AggregateID() uuid.UUID        { return c.ID }
func (*horizonDeposit) AggregateType() eh.AggregateType { return horizonType }
func (*horizonDeposit) CommandType() eh.CommandType     { return "deposit" }

func (a *horizonAccount) HandleCommand(_ context.Context, cmd eh.Command) error {
	switch c := cmd.(type) {
	case *horizonOpen:
		if err := a.mayOpen(); err != nil {
			return err
		}
		a.AppendEvent("opened", &Opened{Owner: owner}, time.Now())
	case *horizonDeposit:
		if err := a.mayDeposit(c.Amount); err != nil {
			return err
		}
		a.AppendEvent("deposited", &Deposited{Amount: c.Amount, Ref: ref}, time.Now())
	}
	return nil
}

func (a *horizonAccount) ApplyEvent(_ context.Context, e eh.Event) error { //nolint:unparam // the library requires it
	switch e := e.Data().(type) {
	case *Opened:
		a.opened(e.Owner)
	case *Deposited:
		a.deposited(e.Amount)
	}
	return nil
}

func (d *horizonDriver) open(ctx context.Context, stream stream) error {
	return d.commands.HandleCommand(ctx, &horizonOpen{uuid.UUID(stream.id)})
}

func (d *horizonDriver) deposit(ctx context.Context, stream stream, amount int64) error {
	return d.commands.HandleCommand(ctx, &horizonDeposit{uuid.UUID(stream.id), amount})
}

func (d *horizonDriver) replay(ctx context.Context, stream stream) (account, error) {
	a, err := d.accounts.Load(ctx, horizonType, uuid.UUID(stream.id))
	if err != nil {
		return account{}, err
	}
	return a.(*horizonAccount).account, nil //nolint:errcheck // the library made it so
}

func (d *horizonDriver) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	id, version := uuid.UUID(stream.id), 1
	return func(k int) error {
		batch, now := make([]eh.Event, k), time.Now()
		for i := range batch {
			batch[i] = eh.NewEvent("deposited", &Deposited{Amount: 1, Ref: ref}, now, eh.ForAggregate(horizonType, id, version+i+1))
		}
		if err := d.events.Save(ctx, batch, version); err != nil {
			return err
		}
		version += k
		return nil
	}, d.open(ctx, stream)
}

func (*horizonDriver) conflict(err error) bool {
	return errors.Is(err, eh.ErrEventConflictFromOtherSave) || errors.Is(err, eh.ErrIncorrectEventVersion)
}
