package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	es "github.com/terraskye/eventsourcing"
	"github.com/terraskye/eventsourcing/eventstore/memory"
	"github.com/terraskye/eventsourcing/eventstore/postgres"
)

// terraskyeDriver has command handlers made of pure functions. It is the library most
// similar to evolve.
type terraskyeDriver struct {
	closer

	events       es.EventStore
	begin        es.CommandHandler[terraskyeOpen]
	depositMoney es.CommandHandler[terraskyeDeposit]
}

// terraskyeRegistered tells the library of its events, once for the process.
var terraskyeRegistered = sync.OnceFunc(func() {
	es.RegisterEvent(&terraskyeOpened{})
	es.RegisterEvent(&terraskyeDeposited{})
})

func newTerraskye(store es.EventStore) driver {
	terraskyeRegistered()
	zero := func() account { return account{} }
	return &terraskyeDriver{
		closer: store.Close, events: store,
		begin: es.NewCommandHandler(store, zero, evolveTerraskye, func(a account, c terraskyeOpen) ([]es.Event, error) {
			if err := a.mayOpen(); err != nil {
				return nil, err
			}
			return []es.Event{&terraskyeOpened{c.ID, Opened{Owner: owner}}}, nil
		}),
		depositMoney: es.NewCommandHandler(store, zero, evolveTerraskye, func(a account, c terraskyeDeposit) ([]es.Event, error) {
			if err := a.mayDeposit(c.Amount); err != nil {
				return nil, err
			}
			return []es.Event{&terraskyeDeposited{c.ID, Deposited{Amount: c.Amount, Ref: ref}}}, nil
		}),
	}
}

func terraskyeMemory() row {
	return row{name: "terraskye", open: func(context.Context, string) (driver, error) {
		return newTerraskye(memory.NewMemoryStore(0)), nil
	}}
}

// terraskyeTable is the table that its store expects, which it does not make itself.
const terraskyeTable = `CREATE TABLE events (
	id BIGSERIAL PRIMARY KEY, event_id UUID NOT NULL, stream_id TEXT NOT NULL,
	stream_position BIGINT NOT NULL, event_type TEXT NOT NULL, payload JSONB NOT NULL,
	metadata JSONB NOT NULL, occurred_at TIMESTAMPTZ NOT NULL,
	UNIQUE (stream_id, stream_position))`

func terraskyePostgres() row {
	return row{name: "terraskye", open: func(ctx context.Context, at string) (driver, error) {
		pool, err := pgxPool(ctx, at)
		if err != nil {
			return nil, err
		}
		if _, err := pool.Exec(ctx, terraskyeTable); err != nil {
			return nil, err
		}
		d := newTerraskye(postgres.NewEventStore(pool))
		return d, nil
	}}
}

type (
	terraskyeOpened struct {
		ID string `json:"-"`
		Opened
	}
	terraskyeDeposited struct {
		ID string `json:"-"`
		Deposited
	}
	terraskyeOpen    struct{ ID string }
	terraskyeDeposit struct {
		ID     string
		Amount int64
	}
)

func (e *terraskyeOpened) AggregateID() string    { return e.ID }
func (*terraskyeOpened) EventType() string        { return "opened" }
func (e *terraskyeDeposited) AggregateID() string { return e.ID }
func (*terraskyeDeposited) EventType() string     { return "deposited" }
func (c terraskyeOpen) AggregateID() string       { return c.ID }
func (c terraskyeDeposit) AggregateID() string    { return c.ID }

func evolveTerraskye(a account, recorded *es.Envelope) account {
	switch e := recorded.Event.(type) {
	case *terraskyeOpened:
		a.opened(e.Owner)
	case *terraskyeDeposited:
		a.deposited(e.Amount)
	}
	return a
}

func (d *terraskyeDriver) open(ctx context.Context, stream stream) error {
	_, err := d.begin(ctx, terraskyeOpen{stream.name})
	return err
}

func (d *terraskyeDriver) deposit(ctx context.Context, stream stream, amount int64) error {
	_, err := d.depositMoney(ctx, terraskyeDeposit{stream.name, amount})
	return err
}

func (d *terraskyeDriver) replay(ctx context.Context, stream stream) (a account, err error) {
	events, err := d.events.LoadStream(ctx, stream.name)
	if err != nil {
		return a, err
	}
	for events.Next(ctx) {
		a = evolveTerraskye(a, events.Value())
	}
	return a, events.Err()
}

// appender fills in the envelopes like the library's command handler, because the store in
// memory neither makes an id nor a time.
func (d *terraskyeDriver) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	id, version := stream.name, uint64(1)
	return func(k int) error {
		batch := make([]es.Envelope, k)
		for i := range batch {
			batch[i] = es.Envelope{
				EventID: uuid.New(), StreamID: id, Metadata: map[string]any{}, Version: version + uint64(i) + 1,
				Event: &terraskyeDeposited{id, Deposited{Amount: 1, Ref: ref}}, OccurredAt: time.Now(),
			}
		}
		if _, err := d.events.Save(ctx, batch, es.Revision(version)); err != nil {
			return err
		}
		version += uint64(k) //nolint:gosec // it is positive
		return nil
	}, d.open(ctx, stream)
}

func (*terraskyeDriver) conflict(err error) bool {
	var conflict *es.StreamRevisionConflictError
	return errors.As(err, &conflict)
}
