package main

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	port "github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// evolve is used as its README shows, with two exceptions. The runner tries once,
// because the jobs count conflicts themselves. "cached" adds a cache of states, and tries
// twice, because with a single attempt the runner reads the stream before it decides.

//sumtype:decl
type command interface{ isCommand() }

type (
	openAccount struct{}
	depositCash struct{ amount int64 }
)

func (openAccount) isCommand() {}
func (depositCash) isCommand() {}

// kept are the events of evolve and of the floor in memory, as Go values.
//
//sumtype:decl
type kept interface{ isEvent() }

type (
	keptOpened    Opened
	keptDeposited Deposited
)

func (keptOpened) isEvent()    {}
func (keptDeposited) isEvent() {}

// domain is the account as a decider whose events are E.
type domain[E any] struct {
	decider   decider.Decider[command, account, E]
	codec     codec.Codec[E]
	opened    func() E
	deposited func(amount int64) E
}

func newDomain[E any](c codec.Codec[E], opened func() E, deposited func(amount int64) E, step func(*account, E)) domain[E] {
	decide := func(cmd command, a account) ([]E, error) {
		switch c := cmd.(type) {
		case openAccount:
			if err := a.mayOpen(); err != nil {
				return nil, err
			}
			return []E{opened()}, nil
		case depositCash:
			if err := a.mayDeposit(c.amount); err != nil {
				return nil, err
			}
			return []E{deposited(c.amount)}, nil
		}
		return nil, decider.ErrUnhandled
	}
	d := decider.New(decide, func(a account, event E) account { step(&a, event); return a })
	d.EvolveInPlace = step // the documentation says that it is faster for states of this size
	return domain[E]{d, c, opened, deposited}
}

func newOpened() kept                { return keptOpened{Owner: owner} }
func newDeposited(amount int64) kept { return keptDeposited{Amount: amount, Ref: ref} }

func evolveKept(a *account, event kept) {
	switch e := event.(type) {
	case keptOpened:
		a.opened(e.Owner)
	case keptDeposited:
		a.deposited(e.Amount)
	}
}

// encoding makes a driver whose events are encoded in one way.
type encoding func(st port.Store, cached bool, end closer) driver

func values(st port.Store, cached bool, end closer) driver {
	return newEvolve(st, newDomain(codec.Values[kept](), newOpened, newDeposited, evolveKept), cached, end)
}

func inJSON(st port.Store, cached bool, end closer) driver {
	c := codec.JSON(map[string]kept{"Opened": keptOpened{}, "Deposited": keptDeposited{}})
	return newEvolve(st, newDomain[kept](c, newOpened, newDeposited, evolveKept), cached, end)
}

// inProtobuf uses messages that come with protobuf: a string for the owner of the
// account, and a money message for the amount and the text of a deposit.
func inProtobuf(st port.Store, cached bool, end closer) driver {
	c := codec.Proto(map[string]proto.Message{"Opened": &wrapperspb.StringValue{}, "Deposited": &money.Money{}})
	return newEvolve(st, newDomain[proto.Message](c,
		func() proto.Message { return wrapperspb.String(owner) },
		func(amount int64) proto.Message { return &money.Money{Units: amount, CurrencyCode: ref} },
		func(a *account, event proto.Message) {
			switch e := event.(type) {
			case *wrapperspb.StringValue:
				a.opened(e.GetValue())
			case *money.Money:
				a.deposited(e.GetUnits())
			}
		}), cached, end)
}

func evolveMemory(name string, e encoding, cached bool) row {
	return row{name: name, ours: true, open: func(context.Context, string) (driver, error) {
		return e(memory.New(), cached, nothing), nil
	}}
}

func evolveSQLite(name, sync string, cached bool) row {
	return row{name: name, ours: true, open: func(_ context.Context, at string) (driver, error) {
		var options []sqlite.Option
		if sync == "NORMAL" {
			options = append(options, sqlite.WithNormalSync())
		}
		st, err := sqlite.Open(at, options...) //nolint:contextcheck // Open takes none
		if err != nil {
			return nil, err
		}
		return inJSON(st, cached, st.Close), nil
	}}
}

func evolvePostgres(name string, cached bool) row {
	return row{name: name, ours: true, open: func(ctx context.Context, at string) (driver, error) {
		at, err := pgxSource(at)
		if err != nil {
			return nil, err
		}
		st, err := postgres.Open(ctx, at)
		if err != nil {
			return nil, err
		}
		return inJSON(st, cached, st.Close), nil
	}}
}

const streamType = "Account"

type evolveDriver[E any] struct {
	closer

	domain   domain[E]
	store    port.Store
	accounts *runner.Runner[command, account, E]
}

func newEvolve[E any](st port.Store, d domain[E], cached bool, end closer) driver {
	r := runner.New(streamType, d.decider, st, d.codec).WithRetry(runner.Retry{Attempts: 1})
	if cached {
		r = r.WithCache(runner.Cache[account]{}).WithRetry(runner.Retry{Attempts: 2})
	}
	return &evolveDriver[E]{closer: end, domain: d, store: st, accounts: r}
}

func (d *evolveDriver[E]) open(ctx context.Context, stream stream) error {
	_, err := d.accounts.Handle(ctx, stream.name, openAccount{})
	return err
}

func (d *evolveDriver[E]) deposit(ctx context.Context, stream stream, amount int64) error {
	_, err := d.accounts.Handle(ctx, stream.name, depositCash{amount})
	return err
}

func (d *evolveDriver[E]) replay(ctx context.Context, stream stream) (account, error) {
	l, err := d.accounts.Load(ctx, stream.name)
	return l.State, err
}

func (d *evolveDriver[E]) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	s, version := port.Stream{Type: streamType, ID: stream.name}, uint64(0)
	var encoded []port.Event // the store keeps no reference to it
	add := func(events ...E) (err error) {
		if encoded, err = codec.EncodeAll(d.domain.codec, encoded[:0], events); err != nil {
			return err
		}
		for i, id := range port.NewIDs(len(events)) {
			encoded[i].ID = id
		}
		if _, err := d.store.Append(ctx, s, port.Exactly(version), encoded); err != nil {
			return err
		}
		version += uint64(len(events))
		return nil
	}
	var events []E
	return func(k int) error {
		events = events[:0]
		for range k {
			events = append(events, d.domain.deposited(1))
		}
		return add(events...)
	}, add(d.domain.opened())
}

func (*evolveDriver[E]) conflict(err error) bool { return errors.Is(err, port.ErrConflict) }
