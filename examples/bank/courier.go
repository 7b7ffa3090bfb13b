package main

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/examples/bank/transfer"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// courier runs the transfers: it reads the log, and sends the commands of the process to
// the accounts. It can stop at any moment and start again.
type courier struct {
	bank    *bank
	process transfers
	stopped chan struct{} // closed when run has returned
	err     error         // why it has returned; read it only then
}

// transfers is the process of transfers, on any target.
type transfers interface {
	Run(ctx context.Context, send process.Send[transfer.Command]) error
	WaitFor(ctx context.Context, position uint64, instances ...string) error
	Progress() process.Progress
}

// newCourier returns a courier that keeps its state in the store of b, or in memory if
// the store has no transactions. In memory, it rebuilds its state from the log.
func newCourier(b *bank) *courier {
	switch st := b.store.(type) {
	case *memory.Store:
		return courierOf(b, transfersOn(b, st))
	case *sqlite.Store:
		return courierOf(b, transfersOn(b, st))
	case *postgres.Store:
		return courierOf(b, transfersOn(b, st))
	}
	return courierOf(b, transfersOn(b, memory.New()).WithRestore())
}

func courierOf(b *bank, p transfers) *courier {
	return &courier{bank: b, process: p, stopped: make(chan struct{})}
}

// transfersOn returns the process of transfers, which keeps its state in target.
func transfersOn[T projection.Tx](b *bank, target projection.Target[T]) *process.Runtime[T, transfer.Event, transfer.State, transfer.Command] {
	return process.New(b.store, target, "Transfer", transfer.Process(b.patience), transfer.Source()).
		WithTimers(transfer.Timers())
}

// run carries transfers until ctx ends.
func (c *courier) run(ctx context.Context) {
	defer close(c.stopped)
	c.err = c.process.Run(ctx, process.To(c.bank.accounts, func(cmd transfer.Command) (string, account.Command) {
		return cmd.Account, cmd.Command
	}))
}

// position returns the position up to which the transfers have handled the log, and the
// head of the log.
func (c *courier) position() (position, head uint64) {
	is := c.process.Progress()
	return is.Position, is.Head
}

// settle returns when nothing is left to do: all events are handled, and the commands
// that were sent have led to no new ones. Timers may still run.
func (c *courier) settle(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-c.stopped:
			stop(fmt.Errorf("the courier has stopped: %w", c.err))
		case <-ctx.Done():
		}
	}()
	for handled := uint64(0); ; {
		head, err := c.bank.store.Head(ctx)
		if err != nil {
			return fmt.Errorf("read the head of the log: %w", err)
		}
		if handled == head {
			return nil
		}
		if err := c.process.WaitFor(ctx, head); err != nil {
			return err
		}
		handled = head
	}
}
